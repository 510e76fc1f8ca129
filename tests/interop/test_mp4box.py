"""mp4box.js: the tables as they are, without edit lists."""

import numpy as np
import pytest

from camm import PACKET_SIZES

# QuickTime's "©mak", which it takes for damage; it goes on behind the box that holds it.
COMPLAINTS = {"BoxParser: Invalid box type: '©mak'"}


@pytest.fixture(scope="module")
def found(mp4box, clip):
    return mp4box(clip.path)


@pytest.fixture(scope="module")
def metadata(found):
    tracks, _ = found
    (track,) = (track for track in tracks if track.codec == "camm")
    return track


def test_it_complains_of_nothing_but_quicktime_strings(found):
    _, complaints = found
    assert complaints <= COMPLAINTS


def test_tracks(found, clip):
    tracks, _ = found
    assert [track.codec[:4] for track in tracks] == [track.codec for track in clip.tracks]
    assert [len(track.samples) for track in tracks] == [len(track.table) for track in clip.tracks]


def test_every_record(metadata, clip):
    assert (metadata.timescale, metadata.name) == (1_000_000, "CameraMetadataMotionHandler")
    records = clip.records
    assert [pts * 1000 for pts, _, _ in metadata.samples] == records.t_ns.tolist()
    ours = [
        records.payload[at : at + PACKET_SIZES[kind]].tobytes()
        for at, kind in zip(records.place.tolist(), records.kind.tolist(), strict=True)
    ]
    assert [data for _, _, data in metadata.samples] == ours


def test_pictures_in_decoding_order(found, clip):
    (video,) = (track for track in found[0] if track.name == "VideoHandler")
    table = clip.video.table
    assert [len(data) for _, _, data in video.samples] == table.size.tolist()
    times = np.array([(pts, dts) for pts, dts, _ in video.samples])
    np.testing.assert_array_equal(times[:, 1], table.dts)
    np.testing.assert_array_equal(times[:, 0] - times[:, 1], table.cts_offset)
