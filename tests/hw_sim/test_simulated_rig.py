import numpy as np
import pytest

from drivers.errors import BusError
from hw_sim import SimulatedRig, VirtualClock, load_scenario

START = 40_000_000_000


@pytest.fixture
def rig():
    clock = VirtualClock(START, 0)
    rig = SimulatedRig(load_scenario("walk"), clock)
    yield clock, rig
    rig.close()


def record(clock, rig, seconds):
    """Wake both chips and read them 50 times a second; raw rows of IMU and magnetometer."""
    bus = rig.bus
    bus.write(0x69, 0x06, 0x01)
    bus.write(0x69, 0x7F, 0x20)
    bus.write(0x69, 0x09, 0x01)
    bus.write(0x69, 0x00, 4)
    bus.write(0x69, 0x10, 0, 4)
    bus.write(0x69, 0x7F, 0x00)
    bus.write(0x69, 0x0F, 0x02)
    bus.write(0x0C, 0x31, 0x08)
    bus.write(0x69, 0x03, 0x40)
    bus.write(0x69, 0x67, 0x1E)
    imu, mag = [], []
    for step in range(1, round(seconds * 50)):
        clock.sleep_until(START + step * 20_000_000)
        size = int.from_bytes(bus.read(0x69, 0x70, 2), "big") // 12 * 12
        if size:
            imu.append(np.frombuffer(bus.read(0x69, 0x72, size), ">i2").reshape(-1, 6))
        burst = bus.read(0x0C, 0x10, 9)
        if burst[0] & 1:
            mag.append(np.frombuffer(burst[1:7], "<i2"))
    return np.concatenate(imu), np.array(mag)


def test_the_magnetometer_is_on_the_bus_only_with_bypass(rig):
    _, rig = rig
    with pytest.raises(BusError, match="nothing answers at 0x0c"):
        rig.bus.read(0x0C, 0x00)
    rig.bus.write(0x69, 0x0F, 0x02)
    assert rig.bus.read(0x0C, 0x00, 2) == b"\x48\x09"
    with pytest.raises(BusError):
        rig.bus.read(0x68, 0x00)


def test_what_the_chips_say_is_the_truth_in_the_mounts_axes(rig):
    clock, rig = rig
    imu, mag = record(clock, rig, 4)
    truth = rig.truth()
    kept = truth["imu_in_fifo"]
    count = len(imu)
    # Camera axes from IMU axes x right, y forward, z up: (x, -z, y).
    accel = imu[:, [0, 2, 1]] * [1, -1, 1] / 16384 * 9.80665
    gyro = np.radians(imu[:, [3, 5, 4]] * [1, -1, 1] / 131)
    bias = np.radians([0.31, -0.17, -0.24])
    np.testing.assert_allclose(accel, truth["imu_accel"][kept][:count], atol=0.3)
    np.testing.assert_allclose(gyro - bias, truth["imu_gyro"][kept][:count], atol=0.03)
    # The magnetometer's axes are the IMU's with y and z turned round: (x, z, -y).
    field = mag[:, [0, 2, 1]] * [1, 1, -1] * 0.15
    np.testing.assert_allclose(field, truth["mag_field"][truth["mag_kept"]][: len(mag)], atol=2.0)
    assert np.linalg.norm(truth["mag_field"], axis=1) == pytest.approx(47.336)


def test_the_truth_of_orientation_agrees_with_the_truth_of_rate(rig):
    clock, rig = rig
    record(clock, rig, 2)
    truth = rig.truth()
    step = np.diff(truth["imu_angle_axis"], axis=0)
    seconds = np.diff(truth["imu_t_ns"])[:, None] / 1e9
    # d(angle axis)/dt is the rate where both have one axis; about the axis itself they agree.
    middle = (truth["imu_angle_axis"][1:] + truth["imu_angle_axis"][:-1]) / 2
    axis = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    rate = (truth["imu_gyro"][1:] + truth["imu_gyro"][:-1]) / 2
    np.testing.assert_allclose(
        ((step / seconds) * axis).sum(axis=1), (rate * axis).sum(axis=1), atol=2e-3
    )


def test_the_truth_is_saved_with_every_array(rig, tmp_path):
    clock, rig = rig
    rig.start()
    rig.camera.open()
    record(clock, rig, 1)
    rig.camera.read()
    rig.save_truth(tmp_path / "truth.npz")
    with np.load(tmp_path / "truth.npz") as saved:
        assert str(saved["scenario"]) == "walk"
        assert int(saved["seed"]) == 20948
        for stem, names in {
            "imu_t_ns": "imu_gyro imu_accel imu_accel_t_ns imu_angle_axis imu_in_fifo",
            "mag_t_ns": "mag_field mag_kept",
            "gps_t_ns": "gps_time latitude longitude height velocity reported_latitude "
            "reported_longitude reported_height reported_velocity",
            "frame_start_ns": "frame_centre_ns exposure_ns skew_ns",
        }.items():
            assert len(saved[stem]) > 0
            assert {len(saved[name]) for name in names.split()} == {len(saved[stem])}


def test_two_runs_are_the_same_to_the_last_bit():
    def run():
        clock = VirtualClock(START, 0)
        rig = SimulatedRig(load_scenario("walk"), clock)
        rig.start()
        rows = record(clock, rig, 1)
        truth = rig.truth()
        rig.close()
        return *rows, truth["gps_t_ns"], truth["reported_latitude"]

    for first, second in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(first, second)
