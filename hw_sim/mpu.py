"""MPU-6050, MPU-6500, MPU-9250 and MPU-9255 behind their registers.

Written from RM-MPU-6000A-00 revision 4.2 and RM-MPU-9250A-00 revisions 1.4 and 1.6, for what a
recorder needs. Not modelled: the DMP, the auxiliary I2C master (only its bypass), interrupts but
that of data ready, low-power and wake-on-motion modes, self-test, offset registers.
"""

from __future__ import annotations

import math

import numpy as np

from hw_sim.inertial import InertialChip, Motion, Pin, Raw, Sensor
from hw_sim.rotation import Floats
from hw_sim.scenario import ImuErrors

_SMPLRT_DIV, _CONFIG, _GYRO_CONFIG, _ACCEL_CONFIG, _ACCEL_CONFIG_2 = 0x19, 0x1A, 0x1B, 0x1C, 0x1D
_FIFO_EN, _INT_PIN_CFG, _INT_ENABLE, _INT_STATUS, _ACCEL_XOUT_H = 0x23, 0x37, 0x38, 0x3A, 0x3B
_USER_CTRL, _PWR_MGMT_1, _PWR_MGMT_2 = 0x6A, 0x6B, 0x6C
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _WHO_AM_I = 0x72, 0x73, 0x74, 0x75
_READ_ONLY = {*range(_INT_STATUS, 0x61), _FIFO_COUNTH, _FIFO_COUNTL, _WHO_AM_I}

_WHO = {"MPU-6050": 0x68, "MPU-6500": 0x70, "MPU-9250": 0x71, "MPU-9255": 0x73}

# By DLPF_CFG: 3 dB bandwidth in Hz and delay in ms. The MPU-6050 has one setting for both sensors
# (section 4.3), the others two (sections 4.5 and 4.8); the last line is for FCHOICE_B 1.
_GYRO_6050 = [(256.0, 0.98), (188, 1.9), (98, 2.8), (42, 4.8), (20, 8.3), (10, 13.4), (5, 18.6),
              (256, 0.98)]  # fmt: skip
_ACCEL_6050 = [(260.0, 0.0), (184, 2.0), (94, 3.0), (44, 4.9), (21, 8.5), (10, 13.8), (5, 19.0),
               (260, 0.0)]  # fmt: skip
_GYRO_9250 = [(250.0, 0.97), (184, 2.9), (92, 3.9), (41, 5.9), (20, 9.9), (10, 17.85), (5, 33.48),
              (3600, 0.17)]  # fmt: skip
_ACCEL_9250 = [(218.1, 1.88), (218.1, 1.88), (99, 2.88), (44.8, 4.88), (21.2, 8.87), (10.2, 16.83),
               (5.05, 32.48), (420, 1.38)]  # fmt: skip
_GYRO_BYPASS, _ACCEL_BYPASS = (8800.0, 0.064), (1046.0, 0.503)

_TICKS_A_SECOND = 8000
_RESET_NS = 60_000_000  # the datasheets allow 100 ms
_WAKE_NS = 35_000_000  # gyroscope start-up from sleep, typical


class Mpu(InertialChip):
    """One chip of the family, by name. The MPU-6050 is asleep at first, the others are awake.

    Each low-pass filter is a pure delay, the one that the register map gives. What a full FIFO of
    an MPU-6050 loses is its oldest bytes, whatever sample they belong to.
    """

    def __init__(
        self, motion: Motion, errors: ImuErrors, start_ns: int, seed: int, name: str
    ) -> None:
        self._identity = _WHO[name]
        self._old = name == "MPU-6050"
        self._fifo_bytes = 1024 if self._old else 512
        self._last_read = b"\x00"
        super().__init__(motion, errors, start_ns, seed)

    @property
    def bypass(self) -> bool:
        return bool(self._registers[_INT_PIN_CFG] & 0x02) and not self._registers[_USER_CTRL] & 0x20

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        self._registers[_WHO_AM_I] = self._identity
        self._registers[_PWR_MGMT_1] = 0x40 if self._old else 0x01
        self._fifo.clear()
        self._restart(at_ns)

    def _while_busy(self, register: int) -> int:
        return 0x80 if register == _PWR_MGMT_1 else 0

    def _is_fifo(self, register: int) -> bool:
        return register == _FIFO_R_W

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        registers = self._registers
        if register in _READ_ONLY:
            return
        if register == _PWR_MGMT_1 and value & 0x80:
            self._busy_until_ns = self._settled_ns = at_ns + _RESET_NS
            self._power_on(at_ns)
            return
        if register == _PWR_MGMT_1 and registers[register] & ~value & 0x40:
            self._settled_ns = at_ns + _WAKE_NS
        if register == _USER_CTRL:
            if value & 0x04 and not value & 0x40:  # FIFO_RESET works while FIFO_EN is 0
                self._fifo.clear()
            value &= ~0x07  # the three resets clear themselves
        registers[register] = value
        if _SMPLRT_DIV <= register <= _ACCEL_CONFIG_2 or register in (_PWR_MGMT_1, _PWR_MGMT_2):
            self._restart(at_ns)

    def _read_byte(self, register: int) -> int:
        registers = self._registers
        if register == _FIFO_COUNTH:
            # Only this read takes the count over; the low byte alone gives the one of last time.
            registers[_FIFO_COUNTH : _FIFO_COUNTL + 1] = len(self._fifo).to_bytes(2, "big")
        value = registers[register]
        if register == _INT_STATUS:
            registers[register] = 0
        if register == _INT_STATUS or registers[_INT_PIN_CFG] & 0x10:  # INT_RD_CLEAR
            self._pin_held = False
        return value

    def _pin(self) -> Pin | None:
        how = self._registers[_INT_PIN_CFG]
        if not self._registers[_INT_ENABLE] & 1 or how & 0x80:  # not on, or active low
            return None
        return Pin(0, 0, latched=bool(how & 0x20))

    def _pop(self, length: int) -> bytes:
        data = bytes(self._fifo[:length])
        del self._fifo[:length]
        self._last_read = data[-1:] or self._last_read
        return data.ljust(length, self._last_read)  # an empty FIFO repeats itself

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        registers = self._registers
        if registers[_PWR_MGMT_1] & 0x40:
            self._stop()
            return
        filter_code = registers[_CONFIG] & 7
        fast = filter_code in (0, 7) or (not self._old and registers[_GYRO_CONFIG] & 3 != 0)
        if self._old:
            gyro_filter, accel_filter = _GYRO_6050[filter_code], _ACCEL_6050[filter_code]
            ticks = (registers[_SMPLRT_DIV] + 1) * (1 if fast else 8)
        else:
            code_2 = registers[_ACCEL_CONFIG_2]
            gyro_filter = _GYRO_BYPASS if registers[_GYRO_CONFIG] & 3 else _GYRO_9250[filter_code]
            accel_filter = _ACCEL_BYPASS if code_2 & 8 else _ACCEL_9250[code_2 & 7]
            ticks = 1 if fast else 8 * (registers[_SMPLRT_DIV] + 1)
        gyro_range, accel_range = (
            registers[_GYRO_CONFIG] >> 3 & 3,
            registers[_ACCEL_CONFIG] >> 3 & 3,
        )
        asleep = registers[_PWR_MGMT_2]
        self._sample(
            _TICKS_A_SECOND,
            _sensor(asleep & 0x07 != 0x07, ticks, (131, 65.5, 32.8, 16.4)[gyro_range], gyro_filter),
            _sensor(asleep & 0x38 != 0x38, max(ticks, 8), 16384 >> accel_range, accel_filter),
            at_ns,
        )

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        temperature = self.temperature_c
        record = np.empty((len(raw), 7), ">i2")
        record[:, :3], record[:, 4:] = raw[:, :3], raw[:, 3:]
        record[:, 3] = round(
            (temperature - 36.53) * 340 if self._old else (temperature - 21) * 333.87
        )
        registers = self._registers
        registers[_ACCEL_XOUT_H : _ACCEL_XOUT_H + 14] = record[-1].tobytes()
        registers[_INT_STATUS] |= 0x01

        enabled = registers[_FIFO_EN]
        bits = (0x08, 0x08, 0x08, 0x80, 0x40, 0x20, 0x10)  # accelerometer; temp; gyroscope X, Y, Z
        columns = [column for column, bit in enumerate(bits) if enabled & bit]
        if not (registers[_USER_CTRL] & 0x40 and columns):
            return False
        self._fifo += record[:, columns].tobytes()
        if len(self._fifo) > self._fifo_bytes:
            registers[_INT_STATUS] |= 0x10
            if registers[_CONFIG] & 0x40 and not self._old:  # FIFO_MODE: nothing more is written
                del self._fifo[self._fifo_bytes :]
            else:
                del self._fifo[: -self._fifo_bytes]
        return True


def _sensor(on: bool, ticks: int, lsb: float, low_pass: tuple[float, float]) -> Sensor:
    bandwidth_hz, delay_ms = low_pass
    # The noise bandwidth of a first-order filter.
    return Sensor(on, ticks, 0, lsb, round(delay_ms * 1e6), bandwidth_hz * math.pi / 2)
