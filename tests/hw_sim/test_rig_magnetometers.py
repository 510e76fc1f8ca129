"""Magnetometers of a package of their own in the simulated rig."""

import dataclasses

import numpy as np
import pytest

from camm import UsageError
from drivers.find import find_imu
from drivers.find_magnetometer import DRIVERS, find_magnetometer
from hw_sim import SimulatedRig, VirtualClock, load_scenario
from hw_sim.scenario import Fault, Mount

START = 40_000_000_000
MOUNT = Mount(x="up", y="right", z="forward")
OWN = sorted(set(DRIVERS) - {"LSM9DS1"})


def rig_with(fault=(), **mag):
    walk = load_scenario("walk")
    errors = dataclasses.replace(walk.mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.01, **mag)
    clock = VirtualClock(START, 0)
    return clock, SimulatedRig(dataclasses.replace(walk, mag=errors, fault=fault), clock)


def polled(clock, mag, seconds):
    mag.configure(clock)
    fields, end = [], clock.now_ns() + seconds * 1e9
    while clock.now_ns() < end:
        clock.sleep_until(clock.now_ns() + mag.poll_interval_ns)
        if (burst := mag.read_burst(clock)) is not None:
            fields.append(burst.field[0])
    return np.array(fields)


@pytest.mark.parametrize("chip", OWN)
def test_it_sits_as_its_own_mount_says(chip):
    clock, rig = rig_with(chip=chip, mount=MOUNT)
    mag = find_magnetometer(rig.bus)
    assert mag.name == chip
    told = polled(clock, mag, 1) @ MOUNT.matrix().T
    truth = rig.truth()
    rig.close()
    strength = load_scenario("walk").magnetic_field.strength_ut
    np.testing.assert_allclose(np.linalg.norm(truth["mag_field"], axis=1), strength)
    for field in told:
        assert np.abs(truth["mag_field"] - field).max(axis=1).min() < 0.15


def test_without_a_mount_it_sits_as_the_imu_does():
    clock, rig = rig_with(chip="LIS3MDL")
    told = polled(clock, find_magnetometer(rig.bus), 0.1) @ rig.mount.matrix().T
    truth = rig.truth()["mag_field"]
    rig.close()
    assert np.abs(truth - told[-1]).max(axis=1).min() < 0.05


def test_it_takes_the_place_of_the_internal_one_at_its_own_address():
    _, rig = rig_with(chip="LIS3MDL", address=0x1E)
    assert find_magnetometer(rig.bus).description["address"] == "0x1e"
    rig.bus.write(0x69, 0x0F, 0x02)
    with pytest.raises(OSError, match="nothing answers at 0x0c"):
        rig.bus.read(0x0C, 0x00)
    rig.close()


def test_it_has_its_power_not_from_the_imu():
    clock, rig = rig_with(chip="QMC5883L", fault=(Fault(kind="unplug", at_s=0.5, part="imu"),))
    mag = find_magnetometer(rig.bus)
    assert len(polled(clock, mag, 2)) > 190
    rig.close()


def test_a_mount_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no right-handed axes"):
        rig_with(chip="LIS3MDL", mount=Mount(x="right", y="up", z="forward"))


def test_that_of_an_lsm9ds1_tells_the_field_in_the_axes_of_its_imu():
    walk = load_scenario("walk")
    imu = dataclasses.replace(walk.imu, chip="LSM9DS1", address=0x6A)
    clock = VirtualClock(START, 0)
    rig = SimulatedRig(dataclasses.replace(walk, imu=imu), clock)
    probe = find_imu(rig.bus).magnetometer
    told = polled(clock, probe(rig.bus), 0.5) @ rig.mount.matrix().T
    truth = rig.truth()["mag_field"]
    rig.close()
    assert np.abs(truth - told[-1]).max(axis=1).min() < 1.5  # hard iron and noise
