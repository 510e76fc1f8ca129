"""The magnetometer of ST's LSM9DS1, which is on the Raspberry Pi's Sense HAT.

Registers, ranges and rates are those of the LIS3MDL, by the datasheet (DocID025715), sections 6 and
8. It has the LIS3MDL's identity too: what tells them apart is the LSM9DS1 beside it.

The traps: its X points the other way than that of accelerometer and gyroscope (figure 1), whose Z
is turned in their driver, the two frames being of different hands; its thermometer is on their
side.
"""

from __future__ import annotations

from drivers.lis3mdl import Lis3mdl


class Lsm9ds1Mag(Lis3mdl):
    """The chip."""

    name = "LSM9DS1"
    _axes = (-1.0, 1.0, -1.0)
    _inside_lsm9ds1 = True

    def _read_temperature(self) -> float | None:
        return None
