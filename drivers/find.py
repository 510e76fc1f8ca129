"""Which motion sensor is on a bus: the chips we know, asked one after the other."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.errors import BusError, WrongChip
from drivers.fifo import FifoImu
from drivers.icm20948 import Icm20948
from drivers.icm42688p import Icm42688P
from drivers.lsm6dsox import Lsm6dsox
from drivers.mpu import Mpu

AUTO = "auto"

DRIVERS: Mapping[str, type[FifoImu]] = {
    "MPU-6050": Mpu,
    "MPU-6500": Mpu,
    "MPU-9250": Mpu,
    "MPU-9255": Mpu,
    "ICM-42688-P": Icm42688P,
    "LSM6DSOX": Lsm6dsox,
    "ICM-20948": Icm20948,  # the last at its addresses: asking it writes to a register
}
"""Drivers by the names of their chips, in the order in which they are asked."""


def find_imu(bus: I2CBus, chip: str = AUTO) -> FifoImu:
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


def _named(bus: I2CBus, chip: str) -> FifoImu:
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
