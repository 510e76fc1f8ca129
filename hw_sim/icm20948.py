"""The ICM-20948 behind its registers: gyroscope, accelerometer, thermometer, FIFO.

Written from the datasheet, DS-000189 revision 1.3 (register map: sections 7 to 10), for what a
recorder needs. Not modelled: the DMP, the auxiliary I2C master (only its bypass), interrupts but
that of raw data, low-power and wake-on-motion modes, self-test, offset registers.
"""

from __future__ import annotations

import math

import numpy as np

from hw_sim.inertial import InertialChip, Pin, Raw, Sensor
from hw_sim.rotation import Floats

_BANK_SEL = 0x7F
_WHO_AM_I, _USER_CTRL, _PWR_MGMT_1, _PWR_MGMT_2, _INT_PIN_CFG = 0x00, 0x03, 0x06, 0x07, 0x0F
_INT_ENABLE_1, _INT_STATUS_1, _INT_STATUS_2 = 0x11, 0x1A, 0x1B
_ACCEL_XOUT_H = 0x2D
_FIFO_EN_2, _FIFO_RST, _FIFO_MODE = 0x67, 0x68, 0x69
_FIFO_COUNTH, _FIFO_COUNTL, _FIFO_R_W, _DATA_RDY_STATUS = 0x70, 0x71, 0x72, 0x74
_READ_ONLY = {_WHO_AM_I, *range(0x17, 0x1D), *range(0x28, 0x53), 0x70, 0x71, 0x74}
_CLEARED_BY_READING = {0x19, _INT_STATUS_1, _INT_STATUS_2, 0x1C, _DATA_RDY_STATUS}

# Bank 2.
_GYRO_SMPLRT_DIV, _GYRO_CONFIG_1, _ODR_ALIGN_EN = 0x00, 0x01, 0x09
_ACCEL_SMPLRT_DIV_1, _ACCEL_SMPLRT_DIV_2, _ACCEL_CONFIG = 0x10, 0x11, 0x14

_RESET_VALUES = {
    (0, _WHO_AM_I): 0xEA,
    (0, 0x05): 0x40,
    (0, _PWR_MGMT_1): 0x41,
    (2, _GYRO_CONFIG_1): 0x01,
    (2, _ACCEL_CONFIG): 0x01,
}

# Low-pass filters by DLPFCFG: 3 dB bandwidth and noise bandwidth, Hz (tables 16 and 18); the last
# line is the filter switched off (FCHOICE 0).
_GYRO_FILTERS = [
    (196.6, 229.8), (151.8, 187.6), (119.5, 154.3), (51.2, 73.3), (23.9, 35.9), (11.6, 17.8),
    (5.7, 8.9), (361.4, 376.5), (12106.0, 12316.0),
]  # fmt: skip
_ACCEL_FILTERS = [
    (246.0, 265.0), (246.0, 265.0), (111.4, 136.0), (50.4, 68.8), (23.9, 34.4), (11.5, 17.0),
    (5.7, 8.3), (473.0, 499.0), (1209.0, 1248.0),
]  # fmt: skip

_TICKS_A_SECOND = 9000  # the gyroscope's unfiltered rate; 1125 Hz is every eighth tick
_FIFO_BYTES = 512
_RESET_NS = 40_000_000  # between the typical 11 ms and the longest, 100 ms (table 1, start-up)
_WAKE_NS = 35_000_000  # gyroscope start-up from sleep (table 1)


class Icm20948(InertialChip):
    """One chip, powered and asleep from the start.

    Each low-pass filter is a pure delay of 1 / (2 pi f), the group delay of a first-order filter
    with the configured 3 dB bandwidth f (the datasheet gives none).
    """

    @property
    def bypass(self) -> bool:
        """Whether the auxiliary bus is joined to the main one: BYPASS_EN, and its master off."""
        return bool(self._banks[0][_INT_PIN_CFG] & 0x02) and not self._banks[0][_USER_CTRL] & 0x20

    def _power_on(self, at_ns: int) -> None:
        self._banks = [bytearray(128) for _ in range(4)]
        for (bank, register), value in _RESET_VALUES.items():
            self._banks[bank][register] = value
        self._bank = 0
        self._fifo.clear()
        self._stop()

    def _while_busy(self, register: int) -> int:
        return 0x80 if register == _PWR_MGMT_1 else 0

    def _is_fifo(self, register: int) -> bool:
        return register == _FIFO_R_W and self._bank == 0

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        if register == _BANK_SEL:
            self._bank = value >> 4 & 3
        elif self._bank == 0:
            self._write_bank_0(register, value, at_ns)
        else:
            self._banks[self._bank][register] = value
            if self._bank == 2:
                self._restart(at_ns)

    def _write_bank_0(self, register: int, value: int, at_ns: int) -> None:
        registers = self._banks[0]
        if register in _READ_ONLY:
            return
        if register == _PWR_MGMT_1 and value & 0x80:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + _RESET_NS
            return
        if register == _PWR_MGMT_1 and registers[register] & ~value & 0x40:
            self._settled_ns = at_ns + _WAKE_NS
        if register == _USER_CTRL:
            value &= ~0x0E  # the resets of DMP, SRAM and I2C master clear themselves
        registers[register] = value
        if register in (_PWR_MGMT_1, _PWR_MGMT_2):
            self._restart(at_ns)
        elif register == _FIFO_RST and value & 1:
            self._fifo.clear()

    def _read_byte(self, register: int) -> int:
        if register == _BANK_SEL:
            return self._bank << 4
        registers = self._banks[self._bank]
        if self._bank == 0 and register == _FIFO_COUNTH:
            # Only this read takes the count over; the low byte alone gives the one of last time.
            registers[_FIFO_COUNTH : _FIFO_COUNTL + 1] = len(self._fifo).to_bytes(2, "big")
        value = registers[register]
        if self._bank == 0 and register in _CLEARED_BY_READING:
            registers[register] = 0
        any_read = self._banks[0][_INT_PIN_CFG] & 0x10  # INT_ANYRD_2CLEAR
        if any_read or (self._bank == 0 and register == _INT_STATUS_1):
            self._pin_held = False
        return value

    def _pin(self) -> Pin | None:
        how = self._banks[0][_INT_PIN_CFG]
        if not self._banks[0][_INT_ENABLE_1] & 1 or how & 0x80:  # not on, or active low
            return None
        return Pin(0, 0, latched=bool(how & 0x20))

    def _pop(self, length: int) -> bytes:
        data = bytes(self._fifo[:length])
        del self._fifo[:length]
        return data.ljust(length, b"\xff")  # an empty FIFO reads 0xff, as its sister chips tell

    def _push(self, data: bytes) -> None:
        if self._banks[0][_FIFO_RST] & 1:
            return  # held in reset
        self._fifo += data
        if len(self._fifo) > _FIFO_BYTES:
            self._banks[0][_INT_STATUS_2] |= 0x01
            if self._banks[0][_FIFO_MODE] & 1:  # snapshot: what does not fit is not written
                del self._fifo[_FIFO_BYTES:]
            else:  # stream: the oldest bytes go, and a record may lose its head
                del self._fifo[:-_FIFO_BYTES]

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        bank_0, bank_2 = self._banks[0], self._banks[2]
        if bank_0[_PWR_MGMT_1] & 0x40:
            self._stop()
            return
        gyro_on = bank_0[_PWR_MGMT_2] & 0x07 != 0x07
        gyro, accel = bank_2[_GYRO_CONFIG_1], bank_2[_ACCEL_CONFIG]
        accel_divider = (bank_2[_ACCEL_SMPLRT_DIV_1] & 0x0F) << 8 | bank_2[_ACCEL_SMPLRT_DIV_2]
        accel_ticks = 8 * (accel_divider + 1) if accel & 1 else 2
        # Without ODR_ALIGN_EN the two sensors start their periods at different moments.
        apart = gyro_on and not bank_2[_ODR_ALIGN_EN] & 1
        gyro_filter = _GYRO_FILTERS[gyro >> 3 & 7 if gyro & 1 else 8]
        accel_filter = _ACCEL_FILTERS[accel >> 3 & 7 if accel & 1 else 8]
        # Full scales +-250..2000 deg/s and +-2..16 g on 16 bits (tables 1 and 2).
        self._sample(
            _TICKS_A_SECOND,
            Sensor(
                gyro_on,
                8 * (bank_2[_GYRO_SMPLRT_DIV] + 1) if gyro & 1 else 1,
                0,
                (131.0, 65.5, 32.8, 16.4)[gyro >> 1 & 3],
                _delay_ns(gyro_filter[0]),
                gyro_filter[1],
            ),
            Sensor(
                bank_0[_PWR_MGMT_2] & 0x38 != 0x38,
                accel_ticks,
                min(3, accel_ticks - 1) if apart else 0,
                16384 >> (accel >> 1 & 3),
                _delay_ns(accel_filter[0]),
                accel_filter[1],
            ),
            at_ns,
        )

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        record = np.empty((len(raw), 7), ">i2")
        record[:, :6] = raw
        record[:, 6] = round((self.temperature_c - 21) * 333.87)
        registers = self._banks[0]
        registers[_ACCEL_XOUT_H : _ACCEL_XOUT_H + 14] = record[-1].tobytes()
        registers[_INT_STATUS_1] |= 0x01
        registers[_DATA_RDY_STATUS] |= 0x01

        enabled = registers[_FIFO_EN_2]
        bits = (0x10, 0x10, 0x10, 0x02, 0x04, 0x08, 0x01)  # accelerometer; gyroscope X, Y, Z; temp
        columns = [column for column, bit in enumerate(bits) if enabled & bit]
        in_fifo = bool(registers[_USER_CTRL] & 0x40 and columns)
        if in_fifo:
            self._push(record[:, columns].tobytes())
        return in_fifo


def _delay_ns(bandwidth_hz: float) -> int:
    return round(1e9 / (2 * math.pi * bandwidth_hz))
