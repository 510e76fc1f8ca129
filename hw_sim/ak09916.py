"""The AK09916 behind its registers: the magnetometer in the package of the ICM-20948.

Written from the AK09916C datasheet (015007392-E-02, sections 9 and 11) and the ICM-20948's
(DS-000189, section 13). Not modelled: the self-test.
"""

from __future__ import annotations

from hw_sim.akm import AkmChip
from hw_sim.rotation import Floats

_CNTL2, _CNTL3 = 0x31, 0x32
_LSB_UT = 0.15
_PACKAGE_AXES = (1.0, -1.0, -1.0)
"""The magnetometer's X is the IMU's; Y and Z point the other way (DS-000189, figures 12, 13)."""


class Ak09916(AkmChip):
    """One chip, in power-down from the start. `on_bus` tells whether its bus leads to the host."""

    status, end = 0x10, 0x18  # between data and ST2 there is a dummy
    continuous_hz = {0x02: 10, 0x04: 20, 0x06: 50, 0x08: 100}
    after = {0x03: 0x10, 0x18: 0x00, 0x32: 0x30}

    def _to_counts(self, field: Floats) -> Floats:
        return field * _PACKAGE_AXES / _LSB_UT

    def _write_byte(self, register: int, value: int) -> None:
        if register == _CNTL3 and value & 1:
            self._reset()
        elif register == _CNTL2:
            self._set_mode(value & 0x1F)

    def _read_other(self, register: int) -> int:
        return {0x00: 0x48, 0x01: 0x09, _CNTL2: self._mode}.get(register, 0)
