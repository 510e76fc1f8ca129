"""The BMI270 behind its registers: upload, two sensors, thermometer, sensor time, FIFO.

Written from the datasheet BST-BMI270-DS000 (revision 1.3), for what a recorder needs. Not modelled:
the features of the uploaded program, the auxiliary bus and OIS, interrupts but that of the FIFO's
watermark on INT1, offset registers, sensors at different rates, unfiltered data, the FIFO's own
downsampling and its frames of changed settings.
"""

from __future__ import annotations

from hw_sim.bosch import ACC_CONF, ACC_RANGE, GYR_CONF, GYR_RANGE, BoschChip, sensor
from hw_sim.inertial import Pin, Raw
from hw_sim.rotation import Floats

_SHORT_GYR_CAS, _INTERNAL_STATUS, _FEAT_PAGE, _GYR_CAS = 0x1E, 0x21, 0x2F, 0x3C
_FIFO_WTM_0, _FIFO_WTM_1, _FIFO_CONFIG_0, _INT1_IO_CTRL, _INT_MAP_DATA = (
    0x46,
    0x47,
    0x48,
    0x53,
    0x58,
)
_INIT_CTRL, _INIT_ADDR_0, _INIT_ADDR_1, _INIT_DATA = 0x59, 0x5B, 0x5C, 0x5E
_PWR_CONF, _PWR_CTRL = 0x7C, 0x7D
_ACC_EN, _GYR_EN = 0x04, 0x02

_INIT_OK, _INIT_ERROR = 1, 2
_PROGRAM_BYTES, _SHORT_PROGRAM_BYTES = 8192, 328  # the latter leaves more memory to the FIFO
_FIFO_BYTES = {_PROGRAM_BYTES: 2048, _SHORT_PROGRAM_BYTES: 6144}

_START_NS = 45_000_000  # of the gyroscope
_INITIALISE_NS = 20_000_000


class Bmi270(BoschChip):
    """One chip, powered, saving power and without a program from the start.

    It takes any program that has the length of one of Bosch's and comes without a gap; the address
    that is set before counts words of two bytes and moves on by itself within a transaction.
    `cross_axis` is how much of Z its gyroscope adds to X, in 512ths. The bandwidth of both sensors
    is 0.44 of the rate in normal mode, which fits the few that the datasheet's front page gives.
    """

    cross_axis = 0
    accel_data, gyro_data = 0x0C, 0x12
    status, temperature, fifo_length, fifo_config = 0x03, 0x22, 0x24, 0x49
    fifo_bytes = _FIFO_BYTES[_PROGRAM_BYTES]
    reset_values = {
        0x00: 0x24, 0x03: 0x10, 0x22: 0x00, 0x23: 0x80, ACC_CONF: 0xA8, ACC_RANGE: 0x02,
        GYR_CONF: 0xA9, 0x45: 0x88, 0x47: 0x02, _FIFO_CONFIG_0: 0x02, 0x49: 0x10, _PWR_CONF: 0x03,
    }  # fmt: skip
    read_only = {*range(0x2F), *range(0x30, 0x40)}
    reset_ns = 2_000_000

    def _power_on(self, at_ns: int) -> None:
        self._program: dict[int, int] = {}
        self._upload_at: int | None = None
        self._ready_ns = at_ns
        self.fifo_bytes = _FIFO_BYTES[_PROGRAM_BYTES]
        super()._power_on(at_ns)

    def _saves_power(self) -> bool:
        return bool(self._registers[_PWR_CONF] & 0x01)

    def _stops_when_full(self) -> bool:
        return bool(self._registers[_FIFO_CONFIG_0] & 0x01)

    def _tells_time(self) -> bool:
        return bool(self._registers[_FIFO_CONFIG_0] & 0x02)

    def _is_fifo(self, register: int) -> bool:
        return register == _INIT_DATA if self._upload_at is not None else super()._is_fifo(register)

    def write(self, register: int, data: bytes, at_ns: int) -> None:
        if register == _INIT_DATA:
            low, high = self._registers[_INIT_ADDR_0], self._registers[_INIT_ADDR_1]
            self._upload_at = 2 * (high << 4 | low & 15)
        super().write(register, data, at_ns)
        self._upload_at = None

    def _set(self, register: int, value: int, at_ns: int) -> None:
        if self._upload_at is not None:
            self._program[self._upload_at] = value
            self._upload_at += 1
            return
        was = self._registers[register]
        super()._set(register, value, at_ns)
        if register == _INIT_CTRL and value & 1:
            self._initialise(at_ns)
        elif register == _INIT_CTRL:
            self._program.clear()
        elif register == _PWR_CTRL:
            if value & ~was & _GYR_EN:
                self._settled_ns = at_ns + _START_NS
            self._restart(at_ns)

    def _initialise(self, at_ns: int) -> None:
        length = len(self._program)
        complete = length in _FIFO_BYTES and set(self._program) == set(range(length))
        if complete and not self._saves_power():
            self.fifo_bytes = _FIFO_BYTES[length]
            self._registers[_INTERNAL_STATUS] = _INIT_OK
            register = _GYR_CAS if length == _PROGRAM_BYTES else _SHORT_GYR_CAS
            self._registers[register] = self.cross_axis & 0x7F
        else:
            self._registers[_INTERNAL_STATUS] = _INIT_ERROR
        self._ready_ns = at_ns + _INITIALISE_NS

    def _read_byte(self, register: int) -> int:
        if register == _INTERNAL_STATUS and self._looked_ns < self._ready_ns:
            return 0
        if register == _GYR_CAS and self._registers[_FEAT_PAGE] & 7:
            return 0
        return super()._read_byte(register)

    def _pin(self) -> Pin | None:
        registers = self._registers
        mark = registers[_FIFO_WTM_0] | (registers[_FIFO_WTM_1] & 0x1F) << 8
        if not registers[_INT_MAP_DATA] & 0x02 or registers[_INT1_IO_CTRL] & 0x0A != 0x0A:
            return None
        return Pin(mark, self._frame_bytes(), latched=False)

    def _restart(self, at_ns: int) -> None:
        registers = self._registers
        gyro, accel, power = registers[GYR_CONF], registers[ACC_CONF], registers[_PWR_CTRL]
        gyro_code, accel_code = gyro & 15, accel & 15
        runs = registers[_INTERNAL_STATUS] == _INIT_OK
        gyro_on = runs and bool(power & _GYR_EN) and 6 <= gyro_code <= 13
        accel_on = runs and bool(power & _ACC_EN) and 5 <= accel_code <= 12
        if not (gyro_on or accel_on):
            self._stop()
            return
        dps = 2000 >> min(registers[GYR_RANGE] & 7, 4)
        self._begin(
            sensor(gyro_on, gyro_code, 32768 / dps, _bandwidth_hz(gyro_code, gyro >> 4 & 3)),
            sensor(
                accel_on,
                accel_code,
                16384 >> (registers[ACC_RANGE] & 3),
                _bandwidth_hz(accel_code, accel >> 4 & 7),
            ),
            at_ns,
        )

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        if self.cross_axis:
            x = raw[:, 3] + self.cross_axis * raw[:, 5].astype(int) / 512
            raw = raw.copy()
            raw[:, 3] = x.round().clip(-32768, 32767)
        return super()._store(chip_s, raw)


def _bandwidth_hz(rate_code: int, bandwidth_code: int) -> float:
    part = {0: 0.25, 1: 0.5}.get(bandwidth_code, 1.0)
    return 0.44 * part * 100 * 2.0 ** (rate_code - 8)
