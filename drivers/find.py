"""Which motion sensor is on a bus: the chips we know, asked one after the other."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import TypeAlias

from camm.errors import UsageError
from drivers.bmi160 import Bmi160
from drivers.bmi270 import Bmi270
from drivers.bno055 import Bno055
from drivers.bno085 import Bno085
from drivers.bus import I2CBus
from drivers.errors import BusError, WrongChip
from drivers.fifo import FifoImu
from drivers.icm20948 import Icm20948
from drivers.icm42688p import Icm42688P
from drivers.lsm6ds3trc import Lsm6ds3trC
from drivers.lsm6dsox import Lsm6dsox
from drivers.lsm9ds1 import Lsm9ds1
from drivers.mpu import Mpu

AUTO = "auto"

FoundImu: TypeAlias = FifoImu | Bno055 | Bno085
"""What `find_imu` finds: an `Imu` that may know of a magnetometer, by `magnetometer`."""

DRIVERS: Mapping[str, type[FoundImu]] = {
    "MPU-6050": Mpu,
    "MPU-6500": Mpu,
    "MPU-9250": Mpu,
    "MPU-9255": Mpu,
    "BMI160": Bmi160,  # before those that write to a register when they are asked
    "BMI270": Bmi270,
    "ICM-42688-P": Icm42688P,
    "LSM6DSOX": Lsm6dsox,
    "LSM6DS3TR-C": Lsm6ds3trC,
    "LSM9DS1": Lsm9ds1,
    "ICM-20948": Icm20948,  # the last at its addresses: asking it writes to a register
    "BNO055": Bno055,
    "BNO085": Bno085,
}
"""Drivers by the names of their chips, in the order in which they are asked."""


def find_imu(bus: I2CBus, chip: str = AUTO) -> FoundImu:
    """The motion sensor of that name, or whichever we know.

    UsageError for a name that we do not know, BusError where nothing answers or the bus does not
    work, WrongChip where something else answers.
    """
    if chip != AUTO:
        return _named(bus, chip)
    strangers: list[WrongChip] = []
    held: BusError | None = None
    for kind in dict.fromkeys(DRIVERS.values()):
        try:
            return kind.probe(bus)
        except WrongChip as error:
            strangers.append(error)
        except BusError as error:
            if error.errno == errno.EBUSY:
                held = error
            elif error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                raise
    if held is not None:
        raise held
    if strangers:
        raise WrongChip(
            errno.ENODEV, f"no motion sensor that we know on {bus.name}: {strangers[0].message}"
        )
    tried = sorted({address for kind in DRIVERS.values() for address in kind.addresses})
    raise BusError(
        errno.ENXIO,
        f"no motion sensor on {bus.name}: nothing answers at "
        f"{', '.join(f'0x{address:02x}' for address in tried)}; check power and wiring",
    )


def _named(bus: I2CBus, chip: str) -> FoundImu:
    if chip not in DRIVERS:
        raise UsageError(f"no driver for {chip!r}; there are: {AUTO}, {', '.join(DRIVERS)}")
    imu = DRIVERS[chip].probe(bus)
    if imu.name != chip:
        raise WrongChip(
            errno.ENODEV,
            f"the chip at {imu.description['address']} on {bus.name} is an {imu.name} and no "
            f"{chip}"
            + ("" if imu.magnetometer else ": it has no magnetometer")
            + f"; ask for {imu.name}",
        )
    return imu
