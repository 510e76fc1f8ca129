"""The ICM-42688-P behind its registers: gyroscope, accelerometer, thermometer, FIFO of packets.

Written from the datasheet DS-000347 revision 1.8, for what a recorder needs. Not modelled: APEX,
INT2, INT1 but for data ready and the FIFO's threshold, FSYNC, the external clock, low-power modes,
notch filter, self-test, offset registers, sensors at different rates, the read cache of the FIFO.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hw_sim.inertial import InertialChip, Pin, Raw, Sensor
from hw_sim.rotation import Floats

_DEVICE_CONFIG, _INT_CONFIG, _FIFO_CONFIG = 0x11, 0x14, 0x16
_TEMP_DATA1, _ACCEL_DATA_X1 = 0x1D, 0x1F
_INT_STATUS, _FIFO_COUNTH, _FIFO_COUNTL, _FIFO_DATA = 0x2D, 0x2E, 0x2F, 0x30
_SIGNAL_PATH_RESET, _INTF_CONFIG0, _PWR_MGMT0 = 0x4B, 0x4C, 0x4E
_GYRO_CONFIG0, _ACCEL_CONFIG0, _GYRO_ACCEL_CONFIG0, _TMST_CONFIG = 0x4F, 0x50, 0x52, 0x54
_FIFO_CONFIG1, _FIFO_CONFIG2, _FIFO_CONFIG3 = 0x5F, 0x60, 0x61
_INT_CONFIG1, _INT_SOURCE0 = 0x64, 0x65
_TMSTVAL0 = 0x62  # in bank 1
_FIFO_LOST_PKT0, _FIFO_LOST_PKT1, _WHO_AM_I, _BANK_SEL = 0x6C, 0x6D, 0x75, 0x76
_READ_ONLY = {*range(_TEMP_DATA1, 0x39), _FIFO_LOST_PKT0, _FIFO_LOST_PKT1, _WHO_AM_I}
_SETTINGS = {_PWR_MGMT0, *range(_GYRO_CONFIG0, _TMST_CONFIG)}

_RESET_VALUES = {
    0x13: 0x05, _TEMP_DATA1: 0x80, _INT_STATUS: 0x10, _INTF_CONFIG0: 0x30, 0x4D: 0x91,
    _GYRO_CONFIG0: 0x06, _ACCEL_CONFIG0: 0x06, 0x51: 0x16, _GYRO_ACCEL_CONFIG0: 0x11, 0x53: 0x0D,
    _TMST_CONFIG: 0x23, 0x56: 0x82, _INT_CONFIG1: 0x10, _INT_SOURCE0: 0x10, _WHO_AM_I: 0x47,
}  # fmt: skip

_HZ = {1: 32000, 2: 16000, 3: 8000, 4: 4000, 5: 2000, 6: 1000, 7: 200, 8: 100, 9: 50, 10: 25,
       11: 12.5, 15: 500}  # fmt: skip

# Filters of the second order, UI_FILT_BW 0 to 7 (section 5.5): noise bandwidth in Hz at 1 kHz, and
# group delay in ms by rate. Above 1 kHz there is one, and one delay.
_NOISE_HZ = (551.1, 223.7, 189.9, 122.7, 102.8, 64.7, 52.5, 23.7)
_DELAY_MS = {
    1000: (0.7, 2.1, 2.4, 3.2, 3.7, 5.2, 6.1, 12.0),
    500: (1.3, 4.1, 4.7, 6.4, 7.3, 10.4, 12.2, 24.0),
    200: (3.3, 5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
    100: (6.5, 5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
    50: (12.9, 5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
    25: (25.7, 5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
    12.5: (25.7, 5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
}
_FAST_DELAY_MS = {2000: 0.8, 4000: 0.4, 8000: 0.2, 16000: 0.1, 32000: 0.1}
_ANTI_ALIAS_HZ = (585.0, 1163.0)  # of gyroscope and accelerometer after reset (section 5.3)

_TICKS_A_SECOND = 32000
_FIFO_BYTES = 2048  # of which the size of one packet is set aside (section 6.3)
_RESET_NS = 1_000_000
_WAKE_NS = 30_000_000
_INVALID = -32768


class Icm42688P(InertialChip):
    """One chip, powered and with its sensors off from the start.

    Each low-pass filter is a pure delay, the sum of what the datasheet gives for the UI filter and
    of that of the second-order filter before it. After a flush the first count reads 0, as the
    Linux driver has found.
    """

    least = -32766  # -32768 stands for no sample (section 12.8)

    def _power_on(self, at_ns: int) -> None:
        self._banks = [bytearray(128) for _ in range(5)]
        for register, value in _RESET_VALUES.items():
            self._banks[0][register] = value
        self._bank = 0
        self._flush()
        self._unread_count = False
        self._lost = 0
        self._odr_changed = True
        self._on = 0
        self._stop()

    def _is_fifo(self, register: int) -> bool:
        return register == _FIFO_DATA and self._bank == 0

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        if register == _BANK_SEL:
            self._bank = value & 7 if value & 7 < 5 else 0
        elif self._bank:
            self._banks[self._bank][register] = value
        elif register == _DEVICE_CONFIG and value & 1:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + _RESET_NS
        elif register == _SIGNAL_PATH_RESET:
            if value & 0x02:
                self._flush()
            if value & 0x04 and self._banks[0][_TMST_CONFIG] & 0x10:
                ticks = int(self._ticks_at(np.array([self._clock.chip_s(at_ns)]))[0]) & 0xFFFFF
                self._banks[1][_TMSTVAL0 : _TMSTVAL0 + 3] = ticks.to_bytes(3, "little")
        elif register not in _READ_ONLY:
            self._banks[0][register] = value
            if register in _SETTINGS:
                self._restart(at_ns)
            elif register == _FIFO_CONFIG and not value >> 6:
                self._fifo.clear()

    def _read_byte(self, register: int) -> int:
        if register == _BANK_SEL:
            return self._bank
        registers = self._banks[self._bank]
        if self._bank == 0 and register == _FIFO_COUNTH:
            order = "big" if registers[_INTF_CONFIG0] & 0x20 else "little"
            unit = self._packet_bytes() if registers[_INTF_CONFIG0] & 0x40 else 1
            count = 0 if self._unread_count else len(self._fifo) // unit
            self._unread_count = False
            registers[_FIFO_COUNTH : _FIFO_COUNTL + 1] = (
                count.to_bytes(2, "big") if order == "big" else count.to_bytes(2, "little")
            )
        value = registers[register]
        if self._bank == 0 and register == _INT_STATUS:
            registers[register] = 0
            self._pin_held = False
        return value

    def _pop(self, length: int) -> bytes:
        data = bytes(self._fifo[:length])
        del self._fifo[:length]
        return data.ljust(length, b"\xff")

    def _flush(self) -> None:
        self._fifo.clear()
        self._unread_count = True

    def _packet_bytes(self) -> int:
        enabled = self._banks[0][_FIFO_CONFIG1]
        if enabled & 0x10:
            return 20
        return (0, 8, 8, 16)[enabled & 3]

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        registers = self._banks[0]
        gyro_on = registers[_PWR_MGMT0] >> 2 & 3 == 3
        accel_on = registers[_PWR_MGMT0] & 3 >= 2
        if gyro_on and not self._on:
            self._settled_ns = at_ns + _WAKE_NS
        self._on = gyro_on
        filters = registers[_GYRO_ACCEL_CONFIG0]
        gyro, accel = registers[_GYRO_CONFIG0], registers[_ACCEL_CONFIG0]
        self._odr_changed = True
        if not (gyro_on or accel_on) or gyro & 15 not in _HZ or accel & 15 not in _HZ:
            self._stop()
            return
        # 16.4 LSB for one deg/s at 2000 deg/s and so on to 15.625 (table 1), 2048 for one g at 16.
        gyro_lsb = (16.4, 32.8, 65.5, 131.0, 262.0, 524.3, 1048.6, 2097.2)[gyro >> 5]
        self._sample(
            _TICKS_A_SECOND,
            _sensor(gyro_on, _HZ[gyro & 15], gyro_lsb, filters & 15, _ANTI_ALIAS_HZ[0]),
            _sensor(accel_on, _HZ[accel & 15], 2048 << (accel >> 5 & 3), filters >> 4,
                    _ANTI_ALIAS_HZ[1]),
            at_ns,
        )  # fmt: skip

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._banks[0]
        byte_order = ">" if registers[_INTF_CONFIG0] & 0x10 else "<"
        warm = self.temperature_c - 25
        latest = np.array([round(warm * 132.48), *raw[-1]], f"{byte_order}i2")
        registers[_TEMP_DATA1 : _TEMP_DATA1 + 14] = latest.tobytes()
        registers[_INT_STATUS] |= 0x08

        size = self._packet_bytes()
        mode = registers[_FIFO_CONFIG] >> 6
        if not (size and mode):
            return False
        packets = self._packets(chip_s, raw, size, byte_order)
        self._fifo += packets.tobytes()
        room = (_FIFO_BYTES // size - 1) * size
        watermark = registers[_FIFO_CONFIG2] | (registers[_FIFO_CONFIG3] & 15) << 8
        if watermark and len(self._fifo) >= watermark:
            registers[_INT_STATUS] |= 0x04
        if (too_much := len(self._fifo) - room) > 0:
            registers[_INT_STATUS] |= 0x02
            self._lost = (self._lost + too_much // size) & 0xFFFF
            registers[_FIFO_LOST_PKT0 : _FIFO_LOST_PKT1 + 1] = self._lost.to_bytes(2, "big")
            if mode == 1:  # stream: the oldest packets go
                del self._fifo[:too_much]
            else:
                del self._fifo[room:]
        return True

    def _packets(
        self, chip_s: Floats, raw: Raw, size: int, byte_order: str
    ) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        """What goes to the FIFO (section 6.1), (N, size)."""
        registers = self._banks[0]
        enabled = registers[_FIFO_CONFIG1]
        stamped = registers[_TMST_CONFIG] & 0x01
        warm = self.temperature_c - 25
        out = np.zeros((len(raw), size), np.uint8)
        both = enabled & 3 == 3 or size == 20
        out[:, 0] = (enabled & 1) << 6 | (enabled & 2) << 4
        if both:
            out[:, 0] = 0x70 if size == 20 else 0x60
            out[:, 0] |= 0x08 if stamped else 0
        if self._odr_changed:
            out[0, 0] |= 0x03 & (enabled & 2) >> 1 | (enabled & 1) << 1
            self._odr_changed = False
        columns = slice(0, 6) if both else slice(0, 3) if enabled & 1 else slice(3, 6)
        words = raw[:, columns].astype(f"{byte_order}i2")
        data = np.frombuffer(words.tobytes(), np.uint8).reshape(len(raw), -1)
        out[:, 1 : 1 + data.shape[1]] = data
        at = 1 + data.shape[1]
        if size == 20:
            cold = np.array([round(warm * 132.48)], f"{byte_order}i2").tobytes()
            out[:, at : at + 2] = np.frombuffer(cold, np.uint8)
            at += 2
        elif enabled & 4:
            out[:, at] = round(warm * 2.07) & 0xFF
            at += 1
        else:
            at += 1
        if both and stamped:
            stamps = (self._ticks_at(chip_s) & 0xFFFF).astype(f"{byte_order}u2").tobytes()
            out[:, at : at + 2] = np.frombuffer(stamps, np.uint8).reshape(-1, 2)
        return out

    def _ticks_at(self, chip_s: Floats) -> npt.NDArray[np.int64]:
        """The counter of time: 1 or 16 microseconds of a clock that counts 30 for 32 (12.7)."""
        unit_us = 16 if self._banks[0][_TMST_CONFIG] & 0x08 else 1
        return (chip_s * 1e6 * 30 / 32 / unit_us).astype(np.int64)

    def _pin(self) -> Pin | None:
        registers = self._banks[0]
        source, how = registers[_INT_SOURCE0], registers[_INT_CONFIG]
        mark = registers[_FIFO_CONFIG2] | (registers[_FIFO_CONFIG3] & 15) << 8
        # INT_ASYNC_RESET keeps the pins from working (section 12.6).
        if not source & 0x0C or not how & 1 or registers[_INT_CONFIG1] & 0x10:
            return None
        size = self._packet_bytes()
        unit = size if registers[_INTF_CONFIG0] & 0x40 else 1
        return Pin(mark * unit if source & 0x04 else 0, size, bool(how & 4))


def _sensor(on: bool, hz: float, lsb: float, code: int, anti_alias_hz: float) -> Sensor:
    if hz in _DELAY_MS:
        delay_ms = _DELAY_MS[hz][min(code, 7)]
        noise_hz = _NOISE_HZ[min(code, 7)] * (max(hz, 400) if code else hz) / 1000
    else:
        delay_ms, noise_hz = _FAST_DELAY_MS[int(hz)], 0.2755 * hz
    before_ns = 1e9 * math.sqrt(2) / (2 * math.pi * anti_alias_hz)
    return Sensor(
        on, round(_TICKS_A_SECOND / hz), 0, lsb, round(delay_ms * 1e6 + before_ns), noise_hz
    )
