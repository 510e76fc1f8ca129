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
        0x6A: "an LSM6DS3TR-C or LSM6DSL",
        0x6C: "an LSM6DSOX",
        0x70: "an LSM6DSV16X",
    },
}
"""By the register that holds the identity: InvenSense's; Bosch's and the ICM-20948's; ST's."""

_SHARED = {0x68: ", or two that answer at once (clocks such as the DS3231 are at 0x68 too)"}
"""What else people have at an address. Of two chips that answer, the bus shows the bits that both
have set, which make no sense."""


def motion_sensor_at(bus: I2CBus, address: int) -> str:
    """Which motion sensor answers at an address, by name; empty where we do not know it."""
    for register, names in _NAMES.items():
        if identity := names.get(bus.read(address, register)[0]):
            return identity
    return ""


def wrong_chip(
    bus: I2CBus, address: int, found: int, name: str, wanted: Sequence[int]
) -> WrongChip:
    """The error that says who answers in the place of `name`; `wanted` are its identities."""
    stranger = motion_sensor_at(bus, address) or f"another chip{_SHARED.get(address, '')}"
    article = "a" if name.startswith("B") else "an"
    return WrongChip(
        errno.ENODEV,
        f"WHO_AM_I at 0x{address:02x} is 0x{found:02x}, that of {article} {name} is "
        f"{' or '.join(f'0x{n:02x}' for n in wanted)}; this is {stranger}: "
        "fit another chip or name the one that is fitted",
    )


_MAGNETOMETERS: Mapping[int, Mapping[tuple[int, bytes], str]] = {
    0x0C: {(0x00, b"\x48\x09"): "an AK09916", (0x00, b"\x48"): "an AK8963"},
    0x0D: {(0x0D, b"\xff"): "a QMC5883L"},
    0x1C: {
        (0x0F, b"\x3d"): "an LIS3MDL, or the magnetometer of an LSM9DS1",
        (0x0D, b"\xc7"): "an FXOS8700",
    },
    0x1E: {
        (0x0F, b"\x3d"): "an LIS3MDL, or the magnetometer of an LSM9DS1",
        (0x0A, b"H43"): "an HMC5883L",
        (0x4F, b"\x40"): "an LIS2MDL",
        (0x0F, b"\x49"): "an LSM303D",
    },
    0x2C: {(0x00, b"\x80"): "a QMC5883P"},
    0x30: {(0x2F, b"\x30"): "an MMC5983MA", (0x39, b"\x10"): "an MMC5603"},
}
"""Magnetometers by address, then by the register that holds the identity and what it says."""


def magnetometer_at(bus: I2CBus, address: int) -> str:
    """Which magnetometer answers at an address, by name; empty where we do not know it."""
    for (register, identity), known in _MAGNETOMETERS.get(address, {}).items():
        if bus.read(address, register, len(identity)) == identity:
            return known
    return ""


def wrong_magnetometer(
    bus: I2CBus, address: int, found: bytes, name: str, wanted: str
) -> WrongChip:
    """The error that says which magnetometer answers in the place of `name`.

    `wanted` is what its identity does: "is 3d".
    """
    stranger = magnetometer_at(bus, address) or "another chip"
    article = "a" if name.startswith("Q") else "an"
    return WrongChip(
        errno.ENODEV,
        f"the identity at 0x{address:02x} is {found.hex(' ')}, that of {article} {name} "
        f"{wanted}; this is {stranger}: name the one that is fitted or fit another",
    )
