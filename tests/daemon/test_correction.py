"""A calibration on its way: into its file, into a rig, into samples, and out of a clip again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import Packet, UsageError
from camm.declared import DeclarationError
from daemon.calibration import (
    NOTHING,
    AccelTable,
    Calibration,
    GyroTable,
    MagTable,
    MountTable,
    NoiseTable,
    SyncTable,
    load,
    of_clip,
    save,
    told,
)
from daemon.configuration import Configuration, ImuSettings
from daemon.correction import SaidBySensors, SensorCorrection
from daemon.rig import hardware_rig
from daemon.sources import Inertial, Magnetic, shifted
from hw_sim.real_time import RealTimeClock
from hw_sim.rig import SimulatedRig
from hw_sim.scenario import load_scenario
from hw_sim.serve import BusServer

WHEN = datetime(2026, 11, 20, 18, 0, 1, tzinfo=UTC)
UNIT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
CROOKED = ((1.02, 0.01, 0.0), (-0.02, 0.97, 0.0), (0.0, 0.03, 1.1))
MOUNT = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
_BOTH = ("gyro", "accel")
MADE = {"when": WHEN, "chip": "ICM-20948", "samples": 100, "residual": 0.001}
GYRO = GyroTable(
    **MADE, bias=(0.02, -0.01, 0.03), bias_per_c=(1e-4, 0.0, -2e-4), temperature_c=30.0
)
ALL = Calibration(
    gyro=GYRO,
    accel=AccelTable(**MADE, bias=(0.1, 0.2, -0.3), matrix=CROOKED),
    mag=MagTable(**MADE, bias=(12.0, -3.0, 5.0), matrix=CROOKED, strength_ut=48.0),
    noise=NoiseTable(
        WHEN, "ICM-20948", 100, (1e-4,) * 3, (1e-5,) * 3, (1e-3,) * 3, (1e-4,) * 3, 31.5
    ),
    mount=MountTable(**MADE, matrix=MOUNT, uncertainty_deg=0.1, hfov_deg=70.0),
    sync=SyncTable(**MADE, offset_ms=-12.5, uncertainty_ms=0.1, hfov_deg=70.0),
)


def block(t_ns, gyro=(0.0, 0.0, 0.0), accel=(0.0, 0.0, 9.8)):
    times = np.asarray(t_ns, np.int64)
    count = len(times)
    return Inertial(times, np.tile(gyro, (count, 1)), np.tile(accel, (count, 1)), 1_000_000)


def test_a_file_says_what_was_saved(tmp_path):
    path = tmp_path / "calibration.toml"
    save(path, ALL)
    assert load(path) == ALL
    assert [entry.name for entry in tmp_path.iterdir()] == ["calibration.toml"]
    save(path, NOTHING)
    assert load(path) == NOTHING


@given(st.text(max_size=40), st.floats(-1e9, 1e9), st.floats(1e-300, 1e-6))
def test_any_name_and_number_survives_the_file(tmp_path, name, value, small):
    path = tmp_path / "calibration.toml"
    table = replace(GYRO, chip=name, bias=(value, small, -small))
    save(path, Calibration(gyro=table))
    assert load(path).gyro == table


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("offset_ms = -12.5", "offset_ms = 5000.0", "sync.offset_ms must be"),
        ("[0.0, 1.0, 0.0]]", "[0.0, 1.0, 0.1]]", "rotation matrix"),
        ("matrix = [[1.02", "matrix = [[-1.02", "near to the unit matrix"),
        ("[accel]", "[acel]", "did you mean 'accel'"),
        ("bias = [0.02, -0.01, 0.03]", "bias = [0.02, nan, 0.03]", "gyro.bias"),
        ("bias = [0.02, -0.01, 0.03]", "bias = [0.02]", "gyro.bias"),
        ("temperature_c = 30.0", "", "no use without temperature_c"),
        ("[gyro]", "[gyro", "cannot be read as TOML"),
    ],
)
def test_a_file_that_says_what_cannot_be_is_refused(tmp_path, old, new, words):
    path = tmp_path / "calibration.toml"
    save(path, ALL)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DeclarationError, match=words):
        load(path)


def test_what_is_true_is_the_matrix_times_what_the_sensor_says_less_the_bias():
    correction = SensorCorrection(ALL)
    said = block([1, 2, 3], (0.5, -0.2, 0.1), (1.0, 2.0, 9.0))
    found = correction.inertial(said)
    np.testing.assert_allclose(found.gyro, np.tile((0.48, -0.19, 0.07), (3, 1)))
    expected = np.array(CROOKED) @ (0.9, 1.8, 9.3)
    np.testing.assert_allclose(found.accel, np.tile(expected, (3, 1)))
    field = correction.magnetic(Magnetic(said.t_ns, np.tile((22.0, 7.0, -5.0), (3, 1)))).field
    np.testing.assert_allclose(field[0], np.array(CROOKED) @ (10.0, 10.0, -10.0))
    assert (found.t_ns is said.t_ns, found.period_ns) == (True, said.period_ns)


def test_without_a_calibration_nothing_is_touched_and_the_clip_says_none():
    correction = SensorCorrection()
    said = block([1], (np.nan, 0.0, -0.0))
    assert correction.inertial(said) is said
    assert correction.told == "none"
    assert correction.gyro_limit(17.4) == 17.4


def test_the_bias_follows_the_temperature_in_steps():
    warmth = iter([30.0, 30.1, 35.0, None, 25.0])
    correction = SensorCorrection(Calibration(gyro=GYRO), lambda: next(warmth))
    means = [correction.inertial(block([t])).gyro[0, 0] for t in range(0, 50_000_000, 10_000_000)]
    np.testing.assert_allclose(means, -0.02 - np.array([0.0, 0.0, 5e-4, 5e-4, -5e-4]))
    steps = correction.told["gyro_biases"]
    assert [step["monotonic_ns"] for step in steps] == [-500_000, 19_500_000, 39_500_000]


def test_a_clip_can_be_brought_back_to_what_the_sensors_said():
    warmth = iter([30.0, 34.0, 41.0])
    correction = SensorCorrection(ALL, lambda: next(warmth))
    rng = np.random.default_rng(1)
    blocks = [
        Inertial(t0 + np.arange(5) * 1_000_000, *rng.normal(size=(2, 5, 3)), 1_000_000)
        for t0 in (1_000_000_000, 1_005_000_000, 1_010_000_000)
    ]
    true = [correction.inertial(part) for part in blocks]
    metadata = {
        "movie": {"zero_monotonic_ns": 900_000_000},
        "mount": MOUNT,
        "calibration": correction.told,
    }
    said = SaidBySensors(metadata)
    t_ns = np.concatenate([part.t_ns for part in true]) - 900_000_000
    in_camera = [np.concatenate([getattr(p, n) for p in true]) @ np.array(MOUNT).T for n in _BOTH]
    undone = said.gyro(t_ns, in_camera[0]), said.accel(in_camera[1])
    for name, back in zip(_BOTH, undone, strict=True):
        np.testing.assert_allclose(back, np.concatenate([getattr(p, name) for p in blocks]))
    assert said.applied == ALL


@pytest.mark.parametrize("metadata", [{}, {"calibration": "none"}, {"calibration": None}])
def test_a_clip_of_another_maker_has_nothing_to_undo(metadata):
    assert of_clip(metadata) == NOTHING
    rates = np.ones((2, 3))
    np.testing.assert_array_equal(SaidBySensors(metadata).gyro(np.arange(2), rates), rates)


@pytest.mark.parametrize(
    "metadata", [{"mount": [[1, 2], [3, 4]]}, {"calibration": {"gyro": {"bias": "much"}}}]
)
def test_metadata_that_says_what_cannot_be_is_refused(metadata):
    with pytest.raises(UsageError):
        SaidBySensors(metadata)


def test_what_a_clip_keeps_is_all_of_it():
    assert of_clip({"calibration": {**told(ALL), "gyro_biases": []}}) == ALL


def test_pictures_are_moved_with_their_shutter():
    packet = Packet(0, b"", 100, 90, 33, exposure_start_ns=80, exposure_ns=5, skew_ns=7)
    bare = replace(packet, exposure_start_ns=None)
    moved = shifted([packet, bare], -30)
    assert [(p.pts_ns, p.dts_ns, p.exposure_start_ns) for p in moved] == [
        (70, 60, 50),
        (70, 60, None),
    ]
    assert (moved[0].exposure_ns, moved[0].skew_ns, moved[0].duration_ns) == (5, 7, 33)
    assert shifted([packet], 0)[0] is packet


def test_a_rig_of_devices_takes_its_calibration_from_the_configuration(tmp_path):
    path = tmp_path / "calibration.toml"
    turned = replace(ALL.mount, matrix=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)))
    save(path, replace(ALL, mount=turned))
    scenario = load_scenario("walk")
    clock = RealTimeClock(int(scenario.start.timestamp()) * 1_000_000_000)
    simulated = SimulatedRig(scenario, clock)
    socket = tmp_path / "i2c"
    settings = ImuSettings(f"unix:{socket}", calibration=str(path))
    with BusServer(simulated.bus, socket), hardware_rig(Configuration(imu=settings)) as rig:
        assert rig.calibration.gyro == GYRO
        np.testing.assert_array_equal(rig.mount, turned.matrix)
        assert rig.about["configuration"]["imu"]["calibration"] == str(path)
    simulated.close()
