"""TDK InvenSense MPU-6050, MPU-6500, MPU-9250 and MPU-9255, read through the FIFO.

Registers, ranges, filters and times are from the register maps RM-MPU-6000A-00 (revision 4.2) and
RM-MPU-9250A-00 (revisions 1.4 and 1.6), which the MPU-6500's agrees with. The magnetometer inside
the MPU-9250 and the MPU-9255 is a chip of its own, `drivers.ak8963`, which `configure` lets through
to the bus.

The traps: many a board that is sold with an MPU-9250 carries an MPU-6500, which has no
magnetometer; only the younger chips can be told to keep what is oldest in a full FIFO, the MPU-6050
goes on and loses its alignment; with DLPF_CFG 0 or 7 the rate is 8 kHz, so 1 to 6 it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from drivers.ak8963 import Ak8963
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.fifo import FifoImu, LowPass, Setup, Words, accel_then_gyro
from drivers.identities import wrong_chip


class _Register(IntEnum):
    SMPLRT_DIV = 0x19
    CONFIG = 0x1A
    GYRO_CONFIG = 0x1B
    ACCEL_CONFIG = 0x1C
    ACCEL_CONFIG_2 = 0x1D  # not the MPU-6050
    FIFO_EN = 0x23
    INT_PIN_CFG = 0x37
    INT_ENABLE = 0x38
    TEMP_OUT_H = 0x41
    USER_CTRL = 0x6A
    PWR_MGMT_1 = 0x6B
    PWR_MGMT_2 = 0x6C
    FIFO_COUNTH = 0x72
    FIFO_R_W = 0x74
    WHO_AM_I = 0x75


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells the chips of the family apart; temperatures are `raw / lsb + offset`."""

    name: str
    fifo_bytes: int
    keeps_oldest: bool
    low_passes: Sequence[LowPass]
    temperature_lsb: float
    temperature_offset: float
    compass: bool


# DLPF_CFG: bandwidths of gyroscope and accelerometer, code, delay of the gyroscope (RM-MPU-6000A
# section 4.3; RM-MPU-9250A sections 4.5 and, in revision 1.6, 4.8).
_MPU_6050_LOW_PASSES = [
    LowPass(188, 184, 1, 1_900_000),
    LowPass(98, 94, 2, 2_800_000),
    LowPass(42, 44, 3, 4_800_000),
    LowPass(20, 21, 4, 8_300_000),
    LowPass(10, 10, 5, 13_400_000),
    LowPass(5, 5, 6, 18_600_000),
]
_MPU_9250_LOW_PASSES = [
    LowPass(184, 218.1, 1, 2_900_000),
    LowPass(92, 99, 2, 3_900_000),
    LowPass(41, 44.8, 3, 5_900_000),
    LowPass(20, 21.2, 4, 9_900_000),
    LowPass(10, 10.2, 5, 17_850_000),
    LowPass(5, 5.05, 6, 33_480_000),
]
_KINDS = {
    0x68: _Kind("MPU-6050", 1024, False, _MPU_6050_LOW_PASSES, 340.0, 36.53, False),
    0x70: _Kind("MPU-6500", 512, True, _MPU_9250_LOW_PASSES, 333.87, 21.0, False),
    0x71: _Kind("MPU-9250", 512, True, _MPU_9250_LOW_PASSES, 333.87, 21.0, True),
    0x73: _Kind("MPU-9255", 512, True, _MPU_9250_LOW_PASSES, 333.87, 21.0, True),
}
"""By WHO_AM_I."""

_RESET_NS = 100_000_000  # start-up time for register access, at most
_GYRO_START_NS = 70_000_000  # from sleep; 30 to 35 ms are typical


class Mpu(FifoImu):
    """A chip of the family at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "MPU-6050, MPU-6500 or MPU-9250"
    addresses = (0x68, 0x69)  # AD0 low, as most boards have it, or high
    rates = {1000.0 / (1 + divider): divider for divider in range(256)}
    gyro_ranges = {250.0: (0, 131.0), 500.0: (1, 65.5), 1000.0: (2, 32.8), 2000.0: (3, 16.4)}
    accel_ranges = {2.0: (0, 16384.0), 4.0: (1, 8192.0), 8.0: (2, 4096.0), 16.0: (3, 2048.0)}
    fifo_port = _Register.FIFO_R_W
    sample_bytes = 12
    watermark = False

    def __init__(self, bus: I2CBus, address: int, kind: _Kind) -> None:
        self._kind = kind
        self.name, self.fifo_bytes, self.keeps_oldest = (
            kind.name,
            kind.fifo_bytes,
            kind.keeps_oldest,
        )
        self.magnetometer = Ak8963.probe if kind.compass else None
        super().__init__(bus, address)

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        identity = bus.read(address, _Register.WHO_AM_I)[0]
        if identity not in _KINDS:
            raise wrong_chip(bus, address, identity, cls.name, list(_KINDS))
        return cls(bus, address, _KINDS[identity])

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        return self._kind.low_passes

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Register.PWR_MGMT_1, 0x80)  # H_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.PWR_MGMT_1, 0x01)  # awake; the PLL once the gyroscope runs
        self._write(_Register.PWR_MGMT_2, 0x00)  # all six axes on
        clock.sleep_until(clock.now_ns() + _GYRO_START_NS)
        self._write(_Register.USER_CTRL, 0x00)  # the chip's own I2C master off ...
        # ... and the magnetometer on our bus: BYPASS_EN; the interrupt pin pulses, active high.
        self._write(_Register.INT_PIN_CFG, 0x02)
        self._write(_Register.INT_ENABLE, int(setup.interrupt_at > 0))  # DATA_RDY_EN
        self._write(_Register.SMPLRT_DIV, setup.rate_code)
        code = setup.low_pass.code
        if self.keeps_oldest:
            self._write(_Register.CONFIG, 0x40 | code)  # FIFO_MODE: full means stop
            self._write(_Register.ACCEL_CONFIG_2, code)
        else:
            self._write(_Register.CONFIG, code)
        self._write(_Register.GYRO_CONFIG, setup.gyro_code << 3)
        self._write(_Register.ACCEL_CONFIG, setup.accel_code << 3)
        self._write(_Register.FIFO_EN, 0x78)  # the three axes of the gyroscope, accelerometer

    def _hold_fifo(self) -> None:
        self._write(_Register.USER_CTRL, 0x00)  # FIFO_RESET works while FIFO_EN is 0
        self._write(_Register.USER_CTRL, 0x04)

    def _release_fifo(self) -> None:
        self._write(_Register.USER_CTRL, 0x40)  # FIFO_EN

    def _filled(self) -> int:
        return int.from_bytes(self._read(_Register.FIFO_COUNTH, 2))

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        return accel_then_gyro(raw)

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Register.TEMP_OUT_H, 2), signed=True)
        return raw / self._kind.temperature_lsb + self._kind.temperature_offset

    def _sleep(self) -> None:
        self._write(_Register.PWR_MGMT_1, 0x41)  # SLEEP
