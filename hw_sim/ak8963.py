"""The AK8963 behind its registers: the magnetometer in the package of MPU-9250 and MPU-9255.

Written from the AK8963 datasheet (MS1356-E-02, sections 6 to 8) and RM-MPU-9250A-00, section 5. Not
modelled: the self-test, the external trigger, disabling I2C.
"""

from __future__ import annotations

import numpy as np

from hw_sim.akm import AkmChip
from hw_sim.rotation import Floats

_CNTL1, _CNTL2, _ASAX = 0x0A, 0x0B, 0x10
_FUSE_ROM = 0x0F
_SENSITIVITY = (176, 178, 169)
"""What the fuse ROM says of X, Y and Z: how the maker has found this specimen."""


class Ak8963(AkmChip):
    """One chip, in power-down from the start. `on_bus` tells whether its bus leads to the host.

    From a mode that measures it goes to power-down and to no other mode (section 6.3).
    """

    status, end = 0x02, 0x09
    continuous_hz = {0x02: 8, 0x06: 100}
    after = {0x0C: 0x00, 0x12: 0x10}

    def _reset(self) -> None:
        super()._reset()
        self._wide = False

    def _to_counts(self, field: Floats) -> Floats:
        # Its X and Y are the IMU's Y and X, its Z points the other way (PS-MPU-9250A-01,
        # section 9).
        own = field[:, [1, 0, 2]] * (1.0, 1.0, -1.0)
        adjusted = own / ((np.array(_SENSITIVITY) - 128) * 0.5 / 128 + 1)
        return adjusted / (0.15 if self._wide else 0.6)

    def _write_byte(self, register: int, value: int) -> None:
        if register == _CNTL2 and value & 1:
            self._reset()
        elif register == _CNTL1:
            mode = value & 0x0F
            if mode and self._mode and mode != self._mode:
                return
            self._wide = bool(value & 0x10)
            self._set_mode(mode)

    def _read_other(self, register: int) -> int:
        if register == self.end:
            return self._wide << 4
        if _ASAX <= register < _ASAX + 3:
            return _SENSITIVITY[register - _ASAX] if self._mode == _FUSE_ROM else 0
        return {0x00: 0x48, 0x01: 0x9A, _CNTL1: self._wide << 4 | self._mode}.get(register, 0)
