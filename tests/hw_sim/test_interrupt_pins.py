"""The interrupt pins of simulated chips, set by their registers."""

import dataclasses

import numpy as np
import pytest

from hw_sim.clock import VirtualClock
from hw_sim.interrupt import SimulatedInterrupt
from hw_sim.rig import make_imu
from hw_sim.scenario import load_scenario

START = 5_000_000_000
MS = 1_000_000
# What sets the chip sampling with its FIFO on, and its pin rising: with each sample, or with five
# of them in the FIFO; then the address and length that empty it.
FIFO = {
    "ICM-42688-P": [
        (0x4F, 0x27), (0x50, 0x27), (0x5F, 0x07), (0x16, 0x80), (0x60, 80), (0x61, 0),
        (0x14, 0x03), (0x64, 0x60), (0x65, 0x04), (0x4E, 0x0F),
    ],
    "LSM6DSOX": [
        (0x19, 0x20), (0x07, 15), (0x08, 0), (0x0D, 0x08), (0x09, 0x55), (0x10, 0x50),
        (0x11, 0x50), (0x0A, 0x41),
    ],
    "LSM6DS3TR-C": [
        (0x06, 30), (0x07, 0), (0x0D, 0x08), (0x08, 0x09), (0x10, 0x50), (0x11, 0x50), (0x0A, 0x29),
    ],
    "LSM9DS1": [(0x0C, 0x08), (0x23, 0x02), (0x20, 0x80), (0x10, 0x80), (0x2E, 0x25)],
    "BMI160": [
        (0x7E, 0x11), (0x7E, 0x15), (0x40, 0x29), (0x42, 0x29), (0x46, 16), (0x53, 0x0A),
        (0x56, 0x40), (0x51, 0x40), (0x47, 0xD0),
    ],
}  # fmt: skip
PORTS = {
    "ICM-42688-P": (0x30, 16),
    "LSM6DSOX": (0x78, 21),
    "LSM6DS3TR-C": (0x3E, 12),
    "LSM9DS1": (0x18, 12),
    "BMI160": (0x24, 13),
}
READY = {
    "ICM-42688-P": [(0x4F, 0x27), (0x50, 0x27), (0x14, 0x03), (0x64, 0), (0x65, 8), (0x4E, 0x0F)],
    "ICM-20948": [(0x06, 0x01), (0x0F, 0x00), (0x11, 0x01)],
    "MPU-6050": [(0x6B, 0x01), (0x1A, 0x01), (0x37, 0x00), (0x38, 0x01)],
    "MPU-9250": [(0x6B, 0x01), (0x1A, 0x01), (0x37, 0x00), (0x38, 0x01)],
}
HOW = {"ICM-42688-P": 0x14, "ICM-20948": 0x0F, "MPU-6050": 0x37, "MPU-9250": 0x37}
LATCHED = {"ICM-42688-P": 0x07, "ICM-20948": 0x20, "MPU-6050": 0x20, "MPU-9250": 0x20}
ACTIVE_LOW = {"ICM-42688-P": 0x02, "ICM-20948": 0x80, "MPU-6050": 0x80, "MPU-9250": 0x80}
STATUS = {"ICM-42688-P": 0x2D, "ICM-20948": 0x1A, "MPU-6050": 0x3A, "MPU-9250": 0x3A}


def still(t_ns):
    return np.zeros((len(t_ns), 3)), np.full((len(t_ns), 3), 9.81)


def chip(name, settings):
    imu = make_imu(still, dataclasses.replace(load_scenario("walk").imu, chip=name), START, 7)
    pause = MS if name == "BMI160" else 0  # asleep, it takes one write in 0.45 ms
    for step, (register, value) in enumerate(settings):
        imu.write(register, bytes([value]), START + step * pause)
    return imu


def ready(imu):
    return imu.truth().gyro_t_ns + imu._gyro.delay_ns


@pytest.mark.parametrize("name", READY)
def test_data_ready_rises_with_each_sample(name):
    imu = chip(name, READY[name])
    rises = imu.rises(START + 500 * MS)
    assert len(rises) > 50
    assert rises == ready(imu).tolist()
    assert imu.rises(START + 500 * MS) == []


@pytest.mark.parametrize("name", READY)
def test_a_latched_pin_stays_high_until_the_status_is_read(name):
    imu = chip(name, [*READY[name], (HOW[name], LATCHED[name])])
    assert len(imu.rises(START + 300 * MS)) == 1
    assert imu.rises(START + 400 * MS) == []
    imu.read(STATUS[name], 1, START + 400 * MS)
    [rise] = imu.rises(START + 500 * MS)
    assert rise == ready(imu)[ready(imu) > START + 400 * MS][0]


@pytest.mark.parametrize("name", READY)
def test_a_pin_that_is_active_low_or_off_does_not_rise(name):
    low = chip(name, [*READY[name], (HOW[name], ACTIVE_LOW[name])])
    off = chip(name, [s for s in READY[name] if s[0] not in (0x65, 0x11, 0x38)])
    for imu in (low, off):
        assert imu.rises(START + 300 * MS) == []
        assert len(ready(imu)) > 20


def test_the_icm_42688_p_needs_its_asynchronous_reset_off():
    imu = chip("ICM-42688-P", [s for s in READY["ICM-42688-P"] if s[0] != 0x64])
    assert imu.rises(START + 300 * MS) == []


@pytest.mark.parametrize("name", FIFO)
def test_a_watermark_rises_once_and_again_when_the_fifo_was_emptied(name):
    imu = chip(name, FIFO[name])
    in_fifo = imu.truth().in_fifo.sum()
    at = START + 500 * MS
    [rise] = imu.rises(at)
    truth = imu.truth()
    kept = ready(imu)[truth.in_fifo][in_fifo:]
    assert rise == kept[4]
    port, a_sample = PORTS[name]
    imu.read(port, a_sample * len(kept), at)
    [rise] = imu.rises(at + 200 * MS)
    assert rise == ready(imu)[imu.truth().in_fifo][in_fifo:][len(kept) + 4]


@pytest.mark.parametrize("name", FIFO)
def test_a_fifo_that_is_left_with_as_many_does_not_rise_again(name):
    imu = chip(name, FIFO[name])
    imu.rises(START + 500 * MS)
    port, a_sample = PORTS[name]
    imu.read(port, a_sample, START + 500 * MS)
    assert imu.rises(START + 600 * MS) == []


def test_the_host_is_told_of_an_edge_once_it_has_served_it():
    clock = VirtualClock(START, 0)
    imu = chip("MPU-9250", READY["MPU-9250"])
    line = SimulatedInterrupt(clock, imu, 3)
    clock.sleep_until(START + 200 * MS)
    told = line.edges()
    lateness = np.array(told) - ready(imu)[: len(told)]
    assert len(told) > 50
    assert lateness.min() >= 2_000
    assert lateness.max() <= 9_000
    assert line.edges() == []
    clock.sleep_until(int(ready(imu)[-1]))
    assert all(edge <= clock.now_ns() for edge in line.edges())
    line.close()
