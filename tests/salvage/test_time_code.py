"""A track of one sample, which nothing can recognise, is what lies in a gap of its size."""

import numpy as np
import pytest

from muxer.salvage.salvage import SalvagedTrack, _single
from muxer.sample_table import SampleTable

PICTURES = np.array([[1_000.0, 1_200.0, 0.0, 1.0]])
LOST = np.array([[36, 40], [500, 900], [2_000, 2_004]])


@pytest.fixture
def pictures(reference_track):
    track = reference_track(b"vide", timescale=25, duration=1, number=1, chunks=PICTURES)
    number = np.arange(50)
    table = SampleTable(number, number, number, number * 0, 1, number == 0)
    return SalvagedTrack(track, table)


@pytest.fixture
def time_code(reference_track):
    def at(place: float):
        chunks = np.array([[place, place + 4, 0.0, 1.0]])
        sizes = np.array([4])
        return reference_track(
            b"tmcd", timescale=600, number=2, chunks=chunks, count=1, sizes=sizes
        )

    return at


@pytest.mark.parametrize(("place", "found"), [(36.0, 36), (9_000.0, 2_000)])
def test_it_stands_before_the_pictures_or_behind_them_as_in_the_healthy_file(
    time_code, pictures, place, found
):
    single, lost = _single(time_code(place), LOST, [pictures])
    assert single.table.offset.tolist() == [found]
    assert single.table.size.tolist() == [4]
    assert single.table.end == 2 * 600  # as long as the film
    assert lost.tolist() == [gap for gap in LOST.tolist() if gap[0] != found]


def test_without_such_a_gap_there_is_none(time_code, pictures):
    single, lost = _single(time_code(36.0), LOST[1:2], [pictures])
    assert single is None
    assert lost.tolist() == [[500, 900]]
