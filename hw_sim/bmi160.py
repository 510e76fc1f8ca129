"""The BMI160 behind its registers: gyroscope, accelerometer, thermometer, sensor time, FIFO.

Written from the datasheet BST-BMI160-DS000, for what a recorder needs. Not modelled: the auxiliary
bus, interrupts but that of the FIFO's watermark on INT1, step counter, low-power and fast-start
modes, offset registers, sensors at different rates, the FIFO's own downsampling and frames of
changed settings.
"""

from __future__ import annotations

from hw_sim.bosch import ACC_CONF, ACC_RANGE, GYR_CONF, GYR_RANGE, BoschChip, sensor
from hw_sim.inertial import Pin

_PMU_STATUS, _STATUS = 0x03, 0x1B
_FIFO_CONFIG_0, _INT_EN_1, _INT_OUT_CTRL, _INT_MAP_1 = 0x46, 0x51, 0x53, 0x56
_ACC_SUSPEND, _ACC_NORMAL, _GYR_SUSPEND, _GYR_NORMAL = 0x10, 0x11, 0x14, 0x15
_ACC_AWAKE, _GYR_AWAKE = 0x10, 0x04  # of PMU_STATUS

# By ODR code; half of it with OSR2, a quarter with OSR4 (sections 2.4.1 and 2.4.2).
_GYRO_HZ = {6: 10.7, 7: 20.8, 8: 39.9, 9: 74.6, 10: 136.6, 11: 254.6, 12: 523.9, 13: 890.0}
_ACCEL_HZ = {5: 5.06, 6: 10.12, 7: 20.25, 8: 40.5, 9: 80.0, 10: 162.0, 11: 324.0, 12: 684.0}
_ACCEL_G = {3: 2, 5: 4, 8: 8, 12: 16}

_ACC_START_NS, _GYR_START_NS = 3_800_000, 80_000_000


class Bmi160(BoschChip):
    """One chip, powered and with its sensors suspended from the start."""

    gyro_data, accel_data = 0x0C, 0x12
    status, temperature, fifo_length, fifo_config = _STATUS, 0x20, 0x22, 0x47
    fifo_bytes = 1024
    reset_values = {
        0x00: 0xD1, _STATUS: 0x10, 0x20: 0x00, 0x21: 0x80, ACC_CONF: 0x28, ACC_RANGE: 0x03,
        GYR_CONF: 0x28, 0x44: 0x0B, 0x45: 0x88, 0x46: 0x80, 0x47: 0x10,
    }  # fmt: skip
    read_only = set(range(0x25))
    reset_ns = 10_000_000

    def _saves_power(self) -> bool:
        return not self._registers[_PMU_STATUS]

    def _tells_time(self) -> bool:
        return bool(self._registers[self.fifo_config] & 0x02)

    def _command(self, value: int, at_ns: int) -> None:
        awake = self._registers[_PMU_STATUS]
        if value == _ACC_NORMAL and not awake & _ACC_AWAKE:
            self._settled_ns = max(self._settled_ns, at_ns + _ACC_START_NS)
        elif value == _GYR_NORMAL and not awake & _GYR_AWAKE:
            self._settled_ns = max(self._settled_ns, at_ns + _GYR_START_NS)
        switch = {
            _ACC_NORMAL: awake | _ACC_AWAKE,
            _GYR_NORMAL: awake | _GYR_AWAKE,
            _ACC_SUSPEND: awake & ~_ACC_AWAKE,
            _GYR_SUSPEND: awake & ~_GYR_AWAKE,
        }
        self._registers[_PMU_STATUS] = switch.get(value, awake)
        self._restart(at_ns)

    def _pin(self) -> Pin | None:
        registers = self._registers
        enabled = registers[_INT_EN_1] & registers[_INT_MAP_1] & 0x40
        if not enabled or registers[_INT_OUT_CTRL] & 0x0A != 0x0A:  # driven, active high
            return None
        return Pin(4 * registers[_FIFO_CONFIG_0], self._frame_bytes(), latched=False)

    def _restart(self, at_ns: int) -> None:
        registers = self._registers
        gyro, accel, awake = registers[GYR_CONF], registers[ACC_CONF], registers[_PMU_STATUS]
        gyro_code, accel_code = gyro & 15, accel & 15
        gyro_on = bool(awake & _GYR_AWAKE) and gyro_code in _GYRO_HZ
        accel_on = bool(awake & _ACC_AWAKE) and accel_code in _ACCEL_HZ
        if not (gyro_on or accel_on):
            self._stop()
            return
        gyro_hz = _GYRO_HZ.get(gyro_code, 1.0) * _part(gyro >> 4 & 3)
        accel_hz = _ACCEL_HZ.get(accel_code, 1.0) * _part(accel >> 4 & 7)
        dps = 2000 >> min(registers[GYR_RANGE] & 7, 4)
        g = _ACCEL_G.get(registers[ACC_RANGE] & 15, 2)
        self._begin(
            sensor(gyro_on, gyro_code, 32768 / dps, gyro_hz),
            sensor(accel_on, accel_code, 32768 / g, accel_hz),
            at_ns,
        )


def _part(bandwidth_code: int) -> float:
    """What is left of the normal bandwidth."""
    return {0: 0.25, 1: 0.5}.get(bandwidth_code, 1.0)
