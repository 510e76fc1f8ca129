"""Bosch BMI270: gyroscope and accelerometer, read through the FIFO.

Registers, ranges and times are from the datasheet BST-BMI270-DS000 (revision 1.3), the upload and
the correction of the gyroscope's X axis from Bosch's BMI270_SensorAPI. It has no magnetometer of
its own.

The traps: after each reset it does nothing until it has been given a program by Bosch, which is not
ours to make and which `configure` uploads from a file of the user's; until power saving is off, it
takes one write in 0.45 ms; turning about Z shows a little about X, and the chip knows how much.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np

from camm.errors import UsageError
from drivers.bosch import RESET, BoschImu
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.fifo import LowPass, Setup, Words

CONFIG_VARIABLE = "CAMMCORDER_BMI270"
"""Environment variable that names the file to upload."""


class _Register(IntEnum):
    SHORT_GYR_CAS = 0x1E  # with the short program
    INTERNAL_STATUS = 0x21
    TEMPERATURE = 0x22
    FIFO_LENGTH = 0x24
    FIFO_DATA = 0x26
    FEAT_PAGE = 0x2F
    GYR_CAS = 0x3C  # with the other one, on page 0
    ACC_CONF = 0x40
    ACC_RANGE = 0x41
    GYR_CONF = 0x42
    GYR_RANGE = 0x43
    FIFO_DOWNS = 0x45
    FIFO_WTM_0 = 0x46  # and 1 behind it: bytes, low byte first
    FIFO_CONFIG_0 = 0x48
    FIFO_CONFIG_1 = 0x49
    INT1_IO_CTRL = 0x53
    INT_MAP_DATA = 0x58
    INIT_CTRL = 0x59
    INIT_ADDR_0 = 0x5B  # four bits, then eight more: in words of two bytes
    INIT_DATA = 0x5E
    PWR_CONF = 0x7C
    PWR_CTRL = 0x7D
    CMD = 0x7E


_CONFIG_BYTES, _SHORT_CONFIG_BYTES = 8192, 328
_UPLOAD_BYTES = 512  # at a time: the kernel refuses more than 8192 in one message
_INITIALISED = 1
_MESSAGES = {
    0: "does not run what it was given: a weak supply or a counterfeit",
    2: "refuses it: take the file from Bosch again",
}
"""By INTERNAL_STATUS."""

_SHARE = 0.44
"""Bandwidth of both filters in normal mode as a part of the rate: the datasheet's ends are 11 Hz at
25 Hz (gyroscope), and 5.5 Hz at 12.5 Hz up to 740 Hz at 1600 Hz (accelerometer)."""
_NORMAL = 2

_RESET_NS = 50_000_000  # 2 ms
_POWER_SAVING_WRITE_NS = 1_000_000
_INITIALISE_NS = 150_000_000  # 20 ms
_SETTLE_NS = 150_000_000  # the gyroscope starts in 45 ms


class Bmi270(BoschImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`.

    `config_file` holds what to upload; without one it is looked for (`find_config`). UsageError
    where it is not there or has another length than such files have.
    """

    name = "BMI270"
    identity = 0x24
    accel_ranges = {2.0: (0, 16384.0), 4.0: (1, 8192.0), 8.0: (2, 4096.0), 16.0: (3, 2048.0)}
    """ACC_RANGE."""
    command_register = _Register.CMD
    length_register = _Register.FIFO_LENGTH
    temperature_register = _Register.TEMPERATURE
    fifo_port = _Register.FIFO_DATA
    fifo_bytes = 2048  # 6 kB with the short file, but 2 are certain

    def __init__(self, bus: I2CBus, address: int, config_file: Path | None = None) -> None:
        self._config = _read_config(config_file or find_config())
        self._cross_axis = 0
        super().__init__(bus, address)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """The widest, which lies below half of any rate.

        The delay is that of a first-order filter, 1 / (2 pi f), the least that it can be.
        """
        hz = _SHARE * rate_hz
        return [LowPass(hz, hz, _NORMAL, round(1e9 / (2 * math.pi * hz)))]

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Register.CMD, RESET)
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.PWR_CONF, 0x00)  # no power saving
        clock.sleep_until(clock.now_ns() + _POWER_SAVING_WRITE_NS)
        self._upload(clock)
        self._write(_Register.PWR_CTRL, 0x0E)  # thermometer, accelerometer, gyroscope
        best = 0x80  # filters for performance rather than power
        bandwidth = setup.low_pass.code << 4
        self._write(_Register.ACC_CONF, best | bandwidth | setup.rate_code)
        self._write(_Register.ACC_RANGE, setup.accel_code)
        self._write(_Register.GYR_CONF, best | 0x40 | bandwidth | setup.rate_code)  # least noise
        self._write(_Register.GYR_RANGE, setup.gyro_code)
        self._write(_Register.FIFO_DOWNS, 0x88)  # filtered samples, all of them
        self._write(_Register.FIFO_CONFIG_0, 0x01)  # full means stop, the old samples stay
        if setup.interrupt_at:
            # Within the last frame that it takes, whether "reached" or "exceeded" is meant.
            mark = setup.interrupt_at * self.sample_bytes - 1
            self._write(_Register.FIFO_WTM_0, mark & 0xFF, mark >> 8)
            self._write(_Register.INT1_IO_CTRL, 0x0A)  # driven, active high
            self._write(_Register.INT_MAP_DATA, 0x02)  # INT1 tells of the watermark
        self._write(_Register.FIFO_CONFIG_1, 0xD0)  # gyroscope, accelerometer, headers
        clock.sleep_until(clock.now_ns() + _SETTLE_NS)
        self._cross_axis = self._read_cross_axis()

    def _upload(self, clock: Clock) -> None:
        self._write(_Register.INIT_CTRL, 0x00)
        for at in range(0, len(self._config), _UPLOAD_BYTES):
            word = at // 2
            self._write(_Register.INIT_ADDR_0, word & 0x0F, word >> 4)
            self._write(_Register.INIT_DATA, *self._config[at : at + _UPLOAD_BYTES])
        self._write(_Register.INIT_CTRL, 0x01)
        clock.sleep_until(clock.now_ns() + _INITIALISE_NS)
        status = self._read(_Register.INTERNAL_STATUS, 1)[0] & 0x0F
        if status != _INITIALISED:
            raise DeviceError(
                errno.EIO,
                f"the BMI270 at 0x{self._address:02x} on {self._bus.name} has taken "
                f"{len(self._config)} bytes of configuration and "
                f"{_MESSAGES.get(status, f'reports failure {status}')}",
            )

    def _read_cross_axis(self) -> int:
        """How much of Z is in X, in 512ths: seven bits with a sign."""
        register = _Register.SHORT_GYR_CAS
        if len(self._config) != _SHORT_CONFIG_BYTES:
            self._write(_Register.FEAT_PAGE, 0)
            register = _Register.GYR_CAS
        raw = self._read(register, 1)[0] & 0x7F
        return raw - 0x80 if raw & 0x40 else raw

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        gyro, accel = super()._decode(raw)
        if self._cross_axis:
            x = gyro[:, 0] - self._cross_axis * gyro[:, 2].astype(np.int32) / 512
            gyro = gyro.copy()
            gyro[:, 0] = np.clip(np.rint(x), -32768, 32767)
        return gyro, accel

    def _sleep(self) -> None:
        self._write(_Register.PWR_CTRL, 0x00)


def find_config() -> Path:
    """The file to upload: that of the environment variable, or what lies where such files lie.

    UsageError where there is none.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    own = data / "cammcorder" / "bmi270.bin"
    system, kernel = Path("/etc/cammcorder/bmi270.bin"), Path("/lib/firmware/bmi270-init-data.fw")
    for path in (own, system, kernel):
        if path.is_file():
            return path
    raise UsageError(
        f"a BMI270 needs a file by Bosch, the {_CONFIG_BYTES} bytes of bmi270_config_file in "
        f"bmi270.c of the BMI270_SensorAPI: put them into {system} or {own}, or name their file in "
        f"{CONFIG_VARIABLE}"
    )


def _read_config(path: Path) -> bytes:
    try:
        config = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the BMI270's file {path} cannot be read: {error.strerror}") from None
    if len(config) not in (_CONFIG_BYTES, _SHORT_CONFIG_BYTES):
        raise UsageError(
            f"{path} has {len(config)} bytes, Bosch's bmi270_config_file for the BMI270 has "
            f"{_CONFIG_BYTES} (the one for maximum FIFO {_SHORT_CONFIG_BYTES}): take it again"
        )
    return config
