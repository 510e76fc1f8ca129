"""What the simulated motion sensors of Bosch have in common: sensor time, and a FIFO of frames.

Written from the datasheets BST-BMI160-DS000 and BST-BMI270-DS000.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from hw_sim.inertial import InertialChip, Raw, Sensor
from hw_sim.rotation import Floats

_SENSOR_TIME, _CMD = 0x18, 0x7E
ACC_CONF, ACC_RANGE, GYR_CONF, GYR_RANGE = 0x40, 0x41, 0x42, 0x43
_DRDY_ACC, _DRDY_GYR = 0x80, 0x40
_FIFO_GYR, _FIFO_ACC, _FIFO_HEADER = 0x80, 0x40, 0x10
_SKIP, _SENSOR_TIME_FRAME, _NOTHING = 0x40, 0x44, 0x80
_SOFT_RESET, _FIFO_FLUSH = 0xB6, 0xB0

_TICKS_A_SECOND = 25600  # 39.0625 us
_SLOW_WRITES_NS = 450_000  # between writes while the chip saves power


class BoschChip(InertialChip):
    """A chip whose samples lie on whole periods of its sensor time, which a reset sets to 0.

    Each low-pass filter is a pure delay of 1 / (2 pi f), the group delay of a first-order filter
    with the 3 dB bandwidth f (the datasheets give none). A frame that was not read to its end is
    read again. A change of what goes into the FIFO empties it.

    `gyro_data`, `accel_data`  where the registers of the latest sample are
    `status`, `temperature`, `fifo_length`  registers; the port of the FIFO is behind the last one
    `fifo_config`  the register with what goes into it
    `fifo_bytes`   that the FIFO holds
    `reset_values`, `read_only`  by register, and which registers; `reset_ns` how long a reset takes
    """

    gyro_data: ClassVar[int]
    accel_data: ClassVar[int]
    status: ClassVar[int]
    temperature: ClassVar[int]
    fifo_length: ClassVar[int]
    fifo_config: ClassVar[int]
    fifo_bytes: int
    reset_values: ClassVar[dict[int, int]]
    read_only: ClassVar[set[int]]
    reset_ns: ClassVar[int]

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        for register, value in self.reset_values.items():
            self._registers[register] = value
        self._time_zero_s = self._clock.chip_s(at_ns)
        self._deaf_until_ns = at_ns
        self._flush()
        self._stop()

    @abstractmethod
    def _saves_power(self) -> bool:
        """Whether it needs time between writes."""

    @abstractmethod
    def _tells_time(self) -> bool:
        """Whether who reads on behind the last frame gets one with the sensor time."""

    @abstractmethod
    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""

    def _set(self, register: int, value: int, at_ns: int) -> None:
        """Take what is written to any other register that can be written."""
        self._registers[register] = value
        if ACC_CONF <= register <= GYR_RANGE:
            self._restart(at_ns)
        elif register == self.fifo_config:
            self._flush()

    def _command(self, value: int, at_ns: int) -> None:
        """Obey what is written to CMD, but for reset and flush."""
        return  # it knows no other

    def _is_fifo(self, register: int) -> bool:
        return register == self.fifo_length + 2

    def write(self, register: int, data: bytes, at_ns: int) -> None:
        if at_ns < self._deaf_until_ns:
            return
        saved = self._saves_power()
        super().write(register, data, at_ns)
        if saved:
            self._deaf_until_ns = at_ns + _SLOW_WRITES_NS

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        if register == _CMD and value == _SOFT_RESET:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + self.reset_ns
        elif register == _CMD and value == _FIFO_FLUSH:
            self._flush()
        elif register == _CMD:
            self._command(value, at_ns)
        elif register not in self.read_only:
            self._set(register, value, at_ns)

    def _read_byte(self, register: int) -> int:
        registers = self._registers
        if _SENSOR_TIME <= register < _SENSOR_TIME + 3:
            return self._sensor_time()[register - _SENSOR_TIME]
        if register == self.fifo_length:
            level = len(self._fifo) + len(self._skip_frame())
            registers[register : register + 2] = level.to_bytes(2, "little")
        for first, flag in ((self.gyro_data, _DRDY_GYR), (self.accel_data, _DRDY_ACC)):
            if first <= register < first + 6:
                registers[self.status] &= ~flag
        return registers[register]

    def _sensor_time(self) -> bytes:
        ticks = int((self._clock.chip_s(self._looked_ns) - self._time_zero_s) * _TICKS_A_SECOND)
        return (ticks & 0xFFFFFF).to_bytes(3, "little")

    def _begin(self, gyro: Sensor, accel: Sensor, at_ns: int) -> None:
        """Begin sampling at the next whole period of sensor time."""
        period_s = (gyro.ticks if gyro.on else accel.ticks) / _TICKS_A_SECOND
        start_s = self._clock.chip_s(max(at_ns, self._settled_ns)) - self._time_zero_s
        aligned_s = self._time_zero_s + math.ceil(start_s / period_s) * period_s
        [aligned_ns] = self._clock.host_ns(np.array([aligned_s]))
        self._sample(_TICKS_A_SECOND, gyro, accel, int(aligned_ns))

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._registers
        accel, gyro = raw[:, :3].astype("<i2"), raw[:, 3:].astype("<i2")
        registers[self.accel_data : self.accel_data + 6] = accel[-1].tobytes()
        registers[self.gyro_data : self.gyro_data + 6] = gyro[-1].tobytes()
        registers[self.status] |= _DRDY_ACC | _DRDY_GYR
        celsius = round((self.temperature_c - 23) * 512)
        registers[self.temperature : self.temperature + 2] = celsius.to_bytes(
            2, "little", signed=True
        )
        size = self._frame_bytes()
        if not size:
            return False
        config = registers[self.fifo_config]
        sets = [gyro] * bool(config & _FIFO_GYR) + [accel] * bool(config & _FIFO_ACC)
        frames = np.empty((len(raw), size), np.uint8)
        frames[:, size - 6 * len(sets) :] = np.hstack(sets).view(np.uint8)
        if config & _FIFO_HEADER:
            frames[:, 0] = 0x80 | (config & _FIFO_GYR) >> 4 | (config & _FIFO_ACC) >> 4
        self._fifo += frames.tobytes()
        room = self.fifo_bytes // size * size
        if (too_much := len(self._fifo) - room) > 0:
            if self._stops_when_full():
                del self._fifo[room:]
            else:
                del self._fifo[:too_much]
                self._skipped += too_much // size
        return True

    def _stops_when_full(self) -> bool:
        return False

    def _frame_bytes(self) -> int:
        config = self._registers[self.fifo_config]
        data = 6 * (config & (_FIFO_GYR | _FIFO_ACC)).bit_count()
        return data + bool(config & _FIFO_HEADER) if data else 0

    def _skip_frame(self) -> bytes:
        if not (self._skipped and self._registers[self.fifo_config] & _FIFO_HEADER):
            return b""
        return bytes([_SKIP, min(self._skipped, 255)])

    def _pop(self, length: int) -> bytes:
        data = self._skip_frame() + self._fifo
        whole = max(0, min(length, len(data)) - len(self._skip_frame()))
        if size := self._frame_bytes():
            del self._fifo[: whole // size * size]
        self._skipped = 0
        if self._tells_time() and self._registers[self.fifo_config] & _FIFO_HEADER:
            data += bytes([_SENSOR_TIME_FRAME]) + self._sensor_time()
        return bytes(data[:length]).ljust(length, bytes([_NOTHING]))

    def _flush(self) -> None:
        self._fifo.clear()
        self._skipped = 0


def sensor(on: bool, code: int, lsb: float, bandwidth_hz: float) -> Sensor:
    """A sensor at the rate of an ODR code: 100 Hz is 8, and each further one doubles it."""
    delay_ns = round(1e9 / (2 * math.pi * bandwidth_hz))
    return Sensor(on, 1 << (16 - code), 0, lsb, delay_ns, bandwidth_hz * math.pi / 2)
