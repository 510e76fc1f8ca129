"""TDK InvenSense ICM-20948: gyroscope and accelerometer, read through the FIFO.

Registers, ranges and times are from the datasheet DS-000189, revision 1.3. The magnetometer in the
same package is a chip of its own, `drivers.ak09916`, which `configure` lets through to the bus.

The traps: registers lie in four banks and a bank stays selected when a program dies; a FIFO that
runs full in the middle of a sample has lost its alignment for good, so it is emptied and what was
lost is counted; the oscillator is off by up to several per cent, a deviation that differs from chip
to chip, which is why nobody should stamp samples by the nominal rate.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum

import numpy as np

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.imu import ImuBurst


class _Bank0(IntEnum):
    WHO_AM_I = 0x00
    USER_CTRL = 0x03
    LP_CONFIG = 0x05
    PWR_MGMT_1 = 0x06
    PWR_MGMT_2 = 0x07
    INT_PIN_CFG = 0x0F
    FIFO_EN_1 = 0x66
    FIFO_EN_2 = 0x67
    FIFO_RST = 0x68
    FIFO_MODE = 0x69
    FIFO_COUNTH = 0x70
    FIFO_R_W = 0x72
    REG_BANK_SEL = 0x7F  # in every bank


class _Bank2(IntEnum):
    GYRO_SMPLRT_DIV = 0x00
    GYRO_CONFIG_1 = 0x01
    ODR_ALIGN_EN = 0x09
    ACCEL_SMPLRT_DIV_1 = 0x10  # and _2 behind it: 12 bits, high byte first
    ACCEL_CONFIG = 0x14


_WHO_AM_I = 0xEA
_ADDRESSES = (0x69, 0x68)  # AD0 high, as most boards have it, or low
_OTHERS = {
    0x68: "an MPU-6050",
    0x70: "an MPU-6500",
    0x71: "an MPU-9250",
    0x73: "an MPU-9255",
    0x74: "an MPU-6515",
    0x47: "an ICM-42688-P",
}
"""Identities in register 0x75, where this chip's relatives at the same addresses keep theirs."""

_GYRO_LSB = {250.0: (0, 131.0), 500.0: (1, 65.5), 1000.0: (2, 32.8), 2000.0: (3, 16.4)}
"""Range in deg/s: code of GYRO_FS_SEL and LSB per deg/s (table 1)."""
_ACCEL_LSB = {2.0: (0, 16384.0), 4.0: (1, 8192.0), 8.0: (2, 4096.0), 16.0: (3, 2048.0)}
"""Range in g: code of ACCEL_FS_SEL and LSB per g (table 2)."""
_STANDARD_GRAVITY = 9.80665

_BASE_RATE_HZ = 1125.0
_LARGEST_DIVIDER = 255  # of the gyroscope; the accelerometer's has 12 bits
_DLPF_HZ = ((361.4, 473.0, 7), (196.6, 246.0, 0), (151.8, 246.0, 1), (119.5, 111.4, 2),
            (51.2, 50.4, 3), (23.9, 23.9, 4), (11.6, 11.5, 5), (5.7, 5.7, 6))  # fmt: skip
"""3 dB bandwidths of gyroscope and accelerometer, widest first, and their code in both
configuration registers (tables 16 and 18, FCHOICE = 1)."""

_FIFO_BYTES = 512
_SAMPLE_BYTES = 12  # accelerometer and gyroscope, X Y Z each, 16 bits, high byte first
_FIFO_SAMPLES = _FIFO_BYTES // _SAMPLE_BYTES

_RESET_NS = 100_000_000  # start-up time for register access, at most (section 3.3)
_GYRO_START_NS = 35_000_000  # from sleep until the gyroscope is within 1 % (table 1)
_NOISE_NS = 20_000.0  # between the sample and its appearance in the count
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_LONGEST_POLL_NS = 20_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Icm20948:
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "ICM-20948"

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._divider = 4
        self._bandwidth = _DLPF_HZ[4]
        self._gyro_range = 1000.0
        self._accel_range = 8.0
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._next_count = 0
        self._lost = 0
        self._drained_ns = 0
        self._stale = False

    @classmethod
    def probe(cls, bus: I2CBus, address: int | None = None) -> Icm20948:
        """Find the chip at `address`, or at either of the two that it can have.

        BusError where nothing answers, WrongChip where something else does.
        """
        addresses = _ADDRESSES if address is None else (address,)
        stranger: WrongChip | None = None
        for candidate in addresses:
            try:
                # A program that was killed may have left another bank selected.
                bus.write(candidate, _Bank0.REG_BANK_SEL, 0)
                identity = bus.read(candidate, _Bank0.WHO_AM_I)[0]
                if identity == _WHO_AM_I:
                    return cls(bus, candidate)
                stranger = _wrong_chip(candidate, identity, bus.read(candidate, 0x75)[0])
            except BusError as error:
                if error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                    raise
        places = " or ".join(f"0x{a:02x}" for a in addresses)
        raise stranger or BusError(
            errno.ENXIO,
            f"no {cls.name} on {bus.name}: nothing answers at {places}; check power and wiring",
        )

    @property
    def rate_hz(self) -> float:
        return _BASE_RATE_HZ / (1 + self._divider)

    @property
    def poll_interval_ns(self) -> int:
        """Some whole periods and a golden section of one, at most 20 ms or half a FIFO.

        Whatever the chip's true rate, the polls so meet the samples at every phase, and it is the
        polls close to a sample that tell its time best.
        """
        period = 1e9 / self.rate_hz
        most = min(_LONGEST_POLL_NS / period, _FIFO_SAMPLES / 2)
        return int((max(0, math.floor(most - _GOLDEN)) + _GOLDEN) * period)

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "rate_hz": self.rate_hz,
            "gyro_range_dps": self._gyro_range,
            "accel_range_g": self._accel_range,
            "gyro_bandwidth_hz": self._bandwidth[0],
            "accel_bandwidth_hz": self._bandwidth[1],
            "group_delay_ns": self.group_delay_ns,
        }

    @property
    def group_delay_ns(self) -> int:
        """Delay of the low-pass filter, as that of a first-order one: 1 / (2 pi f).

        The datasheet gives bandwidths only. The chip's filters are of a higher order, so this is
        the least it can be; aligning clip and motion finds the rest, which is constant. Both
        filters have the same code and nearly the same bandwidth, hence one figure for both.
        """
        gyro, accel, _ = self._bandwidth
        return round(1e9 / (math.pi * (gyro + accel)))

    def configure(
        self,
        clock: Clock,
        *,
        rate_hz: float = 225.0,
        gyro_range_dps: float = 1000.0,
        accel_range_g: float = 8.0,
    ) -> None:
        """Reset the chip, set it up and start the FIFO.

        The rate becomes the nearest of 1125 Hz / (1 + n), the filter the widest that lies below
        half of it. UsageError for a range that the chip has not.
        """
        gyro_code, _ = _choose(_GYRO_LSB, gyro_range_dps, "gyroscope range", "deg/s")
        accel_code, _ = _choose(_ACCEL_LSB, accel_range_g, "accelerometer range", "g")
        self._divider = _divider(rate_hz)
        self._gyro_range, self._accel_range = gyro_range_dps, accel_range_g
        half = self.rate_hz / 2
        self._bandwidth = next((b for b in _DLPF_HZ if max(b[0], b[1]) < half), _DLPF_HZ[-1])
        filter_code = self._bandwidth[2]

        self._write(_Bank0.REG_BANK_SEL, 0)
        self._write(_Bank0.PWR_MGMT_1, 0x80)  # DEVICE_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Bank0.PWR_MGMT_1, 0x01)  # awake; the PLL once the gyroscope runs
        self._write(_Bank0.PWR_MGMT_2, 0x00)  # all six axes on
        self._write(_Bank0.LP_CONFIG, 0x00)  # no duty cycling
        clock.sleep_until(clock.now_ns() + _GYRO_START_NS)
        self._write(_Bank0.USER_CTRL, 0x00)  # the chip's own I2C master off ...
        self._write(_Bank0.INT_PIN_CFG, 0x02)  # ... and the magnetometer on our bus: BYPASS_EN

        self._write(_Bank0.REG_BANK_SEL, 2 << 4)
        self._write(_Bank2.ODR_ALIGN_EN, 0x01)  # both sensors start their period together
        self._write(_Bank2.GYRO_SMPLRT_DIV, self._divider)
        self._write(_Bank2.GYRO_CONFIG_1, filter_code << 3 | gyro_code << 1 | 1)
        self._write(_Bank2.ACCEL_SMPLRT_DIV_1, self._divider >> 8, self._divider & 0xFF)
        self._write(_Bank2.ACCEL_CONFIG, filter_code << 3 | accel_code << 1 | 1)
        self._write(_Bank0.REG_BANK_SEL, 0)

        self._write(_Bank0.FIFO_EN_1, 0x00)
        self._write(_Bank0.FIFO_EN_2, 0x1E)  # accelerometer and the three axes of the gyroscope
        self._write(_Bank0.FIFO_MODE, 0x1F)  # snapshot: full means stop, the old samples stay whole
        self._write(_Bank0.USER_CTRL, 0x40)  # FIFO_EN
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._next_count = self._lost = 0
        self._stale = False
        before, after = self._empty_fifo(clock)
        self._fit.observe(0, before, after + round(self._fit.longest_period_ns), _NOISE_NS)

    def read_burst(self, clock: Clock) -> ImuBurst | None:
        if self._stale:
            self._resume_counting(clock, kept=0)
        before = clock.now_ns()
        filled = int.from_bytes(self._bus.read(self._address, _Bank0.FIFO_COUNTH, 2))
        after = clock.now_ns()
        looked, noise = (before + after) // 2, _NOISE_NS + (after - before) * _SPREAD
        count = min(filled // _SAMPLE_BYTES, _FIFO_SAMPLES)
        if not count:
            return None
        # Until the whole of it has come, a fault on the bus leaves the FIFO anywhere in a sample.
        self._stale = True
        raw = self._bus.read(self._address, _Bank0.FIFO_R_W, count * _SAMPLE_BYTES)
        full = filled + _SAMPLE_BYTES > _FIFO_BYTES
        words = np.frombuffer(raw, ">i2").reshape(count, 6)
        burst = ImuBurst(
            first_count=self._next_count,
            gyro=words[:, 3:] * math.radians(1.0 / _GYRO_LSB[self._gyro_range][1]),
            accel=words[:, :3] * (_STANDARD_GRAVITY / _ACCEL_LSB[self._accel_range][1]),
            # A full FIFO holds the oldest samples: its newest is from any time since the last look.
            earliest_ns=self._drained_ns if full else looked - round(self._fit.longest_period_ns),
            latest_ns=looked,
            noise_ns=noise,
            lost=self._lost,
            group_delay_ns=self.group_delay_ns,
        )
        if full:
            self._resume_counting(clock, kept=count)
            self._lost -= burst.lost
            return burst
        self._next_count += count
        self._lost = 0
        self._drained_ns = looked
        self._stale = False
        self._fit.observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, noise)
        return burst

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._write(_Bank0.REG_BANK_SEL, 0)
            self._write(_Bank0.PWR_MGMT_1, 0x41)  # SLEEP

    def _resume_counting(self, clock: Clock, kept: int) -> None:
        """Begin with an empty FIFO, the count of the next sample being what time says it is.

        `kept` samples came out of it whole. Until this has succeeded, nothing is counted as done.
        """
        # Half-way between two samples, so that there is no doubt which one comes next.
        coming = math.ceil(self._fit.count_at(clock.now_ns()))
        due = int(self._fit.times(np.array([coming]))[0])
        clock.sleep_until(due + round(self._fit.period_ns / 2))
        before, after = self._empty_fifo(clock)
        following = math.ceil(self._fit.count_at((before + after) // 2))
        self._lost += max(0, following - self._next_count - kept)
        self._next_count = max(following, self._next_count + kept)
        self._stale = False

    def _empty_fifo(self, clock: Clock) -> tuple[int, int]:
        """Reset the FIFO; the host time before and after the moment from which it fills again."""
        self._write(_Bank0.FIFO_RST, 0x1F)
        before = clock.now_ns()
        self._write(_Bank0.FIFO_RST, 0x00)
        after = clock.now_ns()
        self._drained_ns = before
        return before, after

    def _write(self, register: int, *values: int) -> None:
        self._bus.write(self._address, register, *values)


def _divider(rate_hz: float) -> int:
    rates = _BASE_RATE_HZ / (1 + np.arange(_LARGEST_DIVIDER + 1))
    if not rates[-1] <= rate_hz <= rates[0]:
        raise UsageError(
            f"{Icm20948.name} samples at {rates[-1]:.1f} to {rates[0]:g} Hz, asked for {rate_hz:g}"
        )
    return int(np.argmin(np.abs(rates - rate_hz)))


def _choose(
    table: Mapping[float, tuple[int, float]], value: float, what: str, unit: str
) -> tuple[int, float]:
    try:
        return table[value]
    except KeyError:
        legal = ", ".join(f"{key:g}" for key in table)
        raise UsageError(
            f"{what} of {Icm20948.name} is one of {legal} {unit}, asked for {value:g}"
        ) from None


def _wrong_chip(address: int, identity: int, elsewhere: int) -> WrongChip:
    found = _OTHERS.get(elsewhere, "another chip")
    return WrongChip(
        errno.ENODEV,
        f"WHO_AM_I at 0x{address:02x} is 0x{identity:02x}, that of an ICM-20948 is "
        f"0x{_WHO_AM_I:02x}; this is {found}: name the chip that is fitted",
    )
