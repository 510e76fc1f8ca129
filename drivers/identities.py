"""Who answers at an address: the identities of chips that people solder where we look.

Each maker keeps the identity in another register, and the same number means different chips in
different registers (0x68: an MPU-6050 in 0x75, an LSM9DS1 in 0x0F). From the makers' datasheets and
the Linux IIO drivers.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from drivers.bus import I2CBus
from drivers.errors import WrongChip

_NAMES: Mapping[int, Mapping[int, str]] = {
    0x75: {
        0x11: "an ICM-20600",
        0x12: "an ICM-20602",
        0x47: "an ICM-42688-P",
        0x68: "an MPU-6050",
        0x70: "an MPU-6500",
        0x71: "an MPU-9250",
        0x73: "an MPU-9255",
        0x74: "an MPU-6515",
        0x98: "an ICM-20689",
        0xAF: "an ICM-20608",
    },
    0x00: {0x24: "a BMI270", 0xA0: "a BNO055", 0xD1: "a BMI160", 0xEA: "an ICM-20948"},
    0x0F: {
        0x68: "an LSM9DS1",
        0x69: "an LSM6DS3",
        0x6A: "an LSM6DS3TR-C",
        0x6C: "an LSM6DSOX",
        0x70: "an LSM6DSV16X",
    },
}
"""By the register that holds the identity: InvenSense's; Bosch's and the ICM-20948's; ST's."""


def wrong_chip(
    bus: I2CBus, address: int, found: int, name: str, wanted: Sequence[int]
) -> WrongChip:
    """The error that says who answers in the place of `name`; `wanted` are its identities."""
    stranger = "another chip"
    for register, names in _NAMES.items():
        if identity := names.get(bus.read(address, register)[0]):
            stranger = identity
            break
    article = "a" if name.startswith("B") else "an"
    return WrongChip(
        errno.ENODEV,
        f"WHO_AM_I at 0x{address:02x} is 0x{found:02x}, that of {article} {name} is "
        f"{' or '.join(f'0x{n:02x}' for n in wanted)}; this is {stranger}: "
        "fit another chip or name the one that is fitted",
    )
