"""mapillary_tools: GPS, and with `telemetry_only` gyroscope, accelerometer and magnetometer."""

from pathlib import Path

import numpy as np
import pytest
from mapillary_tools.camm import camm_parser

from camm import PacketType

# mapillary_tools adds up float seconds.
SUMMED = 1e-6


@pytest.fixture(scope="module")
def parse(clip):
    def parse(**options):
        with Path(clip.path).open("rb") as file:
            return camm_parser.extract_camm_info(file, **options)

    return parse


def test_gps(parse, ours):
    info = parse()
    points = [*(info.gps or []), *(info.mini_gps or [])]
    t_s, values = ours(PacketType.GPS)
    assert len(points) == len(t_s)
    np.testing.assert_allclose([p.time for p in points], t_s, atol=SUMMED)
    fields = (
        *("time_gps_epoch", "gps_fix_type", "lat", "lon", "alt", "horizontal_accuracy"),
        *("vertical_accuracy", "velocity_east", "velocity_north", "velocity_up", "speed_accuracy"),
    )
    theirs = [[getattr(point, field) for field in fields] for point in points]
    np.testing.assert_array_equal(theirs, values)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (PacketType.GYRO, "gyro"),
        (PacketType.ACCELERATION, "accl"),
        (PacketType.MAGNETIC_FIELD, "magn"),
    ],
)
def test_motion(parse, ours, kind, name):
    points = getattr(parse(telemetry_only=True), name) or []
    t_s, values = ours(kind)
    assert len(points) == len(t_s)
    np.testing.assert_allclose([p.time for p in points], t_s, atol=SUMMED)
    np.testing.assert_array_equal([[p.x, p.y, p.z] for p in points] or np.empty((0, 3)), values)


def test_maker_and_model(parse, clip):
    info = parse()
    assert (info.make, info.model) == (clip.make, clip.model)
