"""The BNO055 behind its registers: three sensors and the fusion of them.

Written from the datasheet BST-BNO055-DS000-14 (revision 1.4), for the mode NDOF. It is calibrated
from the start and its fusion makes no error but that of its filters' delay. Not modelled: the other
modes, resets and self-test, register page 1, units and axes by choice, interrupts, Euler angles,
linear acceleration and gravity, how calibration comes about, clock stretching.
"""

from __future__ import annotations

import math
import struct
from collections import deque

import numpy as np

from hw_sim.inertial import InertialChip, Motion, Raw, Sensor, Times
from hw_sim.magnetic import FieldAt, MagTruth
from hw_sim.rotation import AttitudeAt, Floats
from hw_sim.scenario import ImuErrors, MagErrors

_CHIP_ID, _PAGE_ID, _ACC_DATA, _MAG_DATA, _GYR_DATA, _QUA_DATA = 0x00, 0x07, 0x08, 0x0E, 0x14, 0x20
_TEMP, _CALIB_STAT, _SYS_STATUS, _UNIT_SEL = 0x34, 0x35, 0x39, 0x3B
_OPR_MODE, _PWR_MODE, _AXIS_MAP_CONFIG, _AXIS_MAP_SIGN = 0x3D, 0x3E, 0x41, 0x42
_IDENTITIES = bytes([0xA0, 0xFB, 0x32, 0x0F, 0x11, 0x03, 0x15])
_CONFIG_MODE, _NDOF = 0x00, 0x0C
_SWITCHING_NS = 7_000_000  # table 3-6

_RATE_HZ = 100  # table 3-14
_SAMPLES_A_FIELD = 5
_GYRO_DELAY_NS, _ACCEL_DELAY_NS, _MAG_DELAY_NS = (
    round(1e9 / (2 * math.pi * bandwidth)) for bandwidth in (32.0, 62.5, 10.0)
)
_GYRO = Sensor(True, 1, 0, 16.0, _GYRO_DELAY_NS, 32.0)
_ACCEL = Sensor(True, 1, 0, 100 * 9.80665, _ACCEL_DELAY_NS, 62.5)
_FULL_SCALE = np.array([round(4 * 980.665)] * 3 + [2000 * 16] * 3)
_FIELD_LSB, _UNIT_LSB = 16.0, 16384.0


class Bno055(InertialChip):
    """One chip, calibrated, in its mode of configuration from the start.

    `attitude`     of it, against magnetic north
    `field`        in its axes, uT
    `calibration`  what CALIB_STAT says
    """

    calibration = 0xFF

    def __init__(
        self,
        motion: Motion,
        attitude: AttitudeAt,
        field: FieldAt,
        errors: ImuErrors,
        mag_errors: MagErrors,
        start_ns: int,
        seed: int,
    ) -> None:
        self._attitude, self._field, self._mag_errors = attitude, field, mag_errors
        self._field_noise = np.random.default_rng((seed, 2))
        self._field_times: deque[Times] = deque()
        super().__init__(motion, errors, start_ns, seed)

    def forget_truth(self) -> None:
        super().forget_truth()
        self._field_times = deque(maxlen=0)

    def mag_truth(self) -> MagTruth:
        """Every measurement of the field so far; the registers have had all of them."""
        t_ns = np.concatenate([np.empty(0, np.int64), *self._field_times])
        return MagTruth(t_ns, self._field(t_ns), np.ones(len(t_ns), bool))

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        self._registers[: len(_IDENTITIES)] = _IDENTITIES
        self._registers[_UNIT_SEL], self._registers[_AXIS_MAP_CONFIG] = 0x80, 0x24
        self._stop()

    def _is_fifo(self, register: int) -> bool:
        return False

    def _pop(self, length: int) -> bytes:
        raise NotImplementedError("a BNO055 has no FIFO")

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        registers = self._registers
        if register == _PAGE_ID:
            registers[register] = value & 1
        if register == _PAGE_ID or registers[_PAGE_ID]:
            return
        if register == _OPR_MODE:
            registers[register] = value & 0x0F
            registers[_SYS_STATUS] = 0
            self._stop()
            if registers[register] == _NDOF:
                self._settled_ns = at_ns + _SWITCHING_NS
                self._sample(_RATE_HZ, _GYRO, _ACCEL, at_ns)
        elif registers[_OPR_MODE] == _CONFIG_MODE and register in (
            _UNIT_SEL,
            _PWR_MODE,
            _AXIS_MAP_CONFIG,
            _AXIS_MAP_SIGN,
        ):
            registers[register] = value

    def _read_byte(self, register: int) -> int:
        if self._registers[_PAGE_ID] and register != _PAGE_ID:
            return 0
        if register == _TEMP:
            return round(self.temperature_c) & 0xFF
        if register == _CALIB_STAT:
            return self.calibration
        return self._registers[register]

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._registers
        limited = np.clip(raw[-1], -_FULL_SCALE, _FULL_SCALE).astype("<i2")
        registers[_ACC_DATA : _ACC_DATA + 6] = limited[:3].tobytes()
        registers[_GYR_DATA : _GYR_DATA + 6] = limited[3:].tobytes()
        ready_ns = self._clock.host_ns(chip_s)
        quaternion = np.rint(self._attitude(ready_ns[-1:] - _GYRO_DELAY_NS)[0] * _UNIT_LSB)
        registers[_QUA_DATA : _QUA_DATA + 8] = struct.pack("<4h", *quaternion.astype(int))
        number = np.rint((chip_s - self._origin_s) * _RATE_HZ).astype(np.int64)
        if len(ended := ready_ns[number % _SAMPLES_A_FIELD == 0]):
            self._store_field(ended - _MAG_DELAY_NS)
        registers[_SYS_STATUS] = 5  # the fusion runs
        return True

    def _store_field(self, t_ns: Times) -> None:
        self._field_times.append(t_ns)
        field = self._field(t_ns[-1:])[0] @ np.array(self._mag_errors.soft_iron).T
        field += self._mag_errors.hard_iron_ut
        field += self._field_noise.standard_normal(3) * self._mag_errors.noise_ut
        words = np.rint(field * _FIELD_LSB).astype("<i2")
        self._registers[_MAG_DATA : _MAG_DATA + 6] = words.tobytes()
