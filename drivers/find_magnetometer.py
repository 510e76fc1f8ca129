"""Which magnetometer is on a bus: those of a package of their own, asked one after the other.

The ones inside of InvenSense's IMUs are on the bus only when their IMU lets them: an IMU's driver
finds its own (`drivers.fifo.FifoImu.magnetometer`).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.errors import BusError, WrongChip
from drivers.find import AUTO
from drivers.hmc5883l import Hmc5883L
from drivers.lis3mdl import Lis3mdl
from drivers.lsm9ds1_mag import Lsm9ds1Mag
from drivers.mmc5983ma import Mmc5983ma
from drivers.polled import PolledMagnetometer
from drivers.qmc5883l import Qmc5883L
from drivers.qmc5883p import Qmc5883P

DRIVERS: Mapping[str, type[PolledMagnetometer]] = {
    kind.name: kind for kind in (Lis3mdl, Lsm9ds1Mag, Hmc5883L, Qmc5883L, Qmc5883P, Mmc5983ma)
}
"""Drivers by the names of their chips, in the order in which they are asked; none writes to ask."""

_GY_271 = ("HMC5883L", "QMC5883L", "QMC5883P")
"""What a board of that name may carry, whatever it was sold with."""


def find_magnetometer(bus: I2CBus, chip: str = AUTO) -> PolledMagnetometer:
    """The magnetometer of that name, or whichever we know.

    UsageError for a name that we do not know, BusError where nothing answers or the bus does not
    work, WrongChip where something else answers.
    """
    if chip == AUTO:
        return _whichever(bus)
    if chip not in DRIVERS:
        raise UsageError(f"no driver for {chip!r}; there are: {AUTO}, {', '.join(DRIVERS)}")
    try:
        return DRIVERS[chip].probe(bus)
    except (WrongChip, BusError) as error:
        if not isinstance(error, WrongChip) and error.errno != errno.ENXIO:
            raise
        refused = error
    try:
        other = _whichever(bus)
    except (WrongChip, BusError):
        raise refused from None
    sold = ": boards sold as GY-271 or HMC5883L carry any of these"
    raise WrongChip(
        errno.ENODEV,
        f"the magnetometer at {other.description['address']} on {bus.name} is {other.name}, no "
        f"{chip}{sold if chip in _GY_271 and other.name in _GY_271 else ''}; ask for {other.name}",
    )


def _whichever(bus: I2CBus) -> PolledMagnetometer:
    strangers: list[WrongChip] = []
    held: BusError | None = None
    for kind in DRIVERS.values():
        try:
            return kind.probe(bus)
        except WrongChip as error:
            strangers.append(error)
        except BusError as error:
            if error.errno == errno.EBUSY:
                held = error
            elif error.errno != errno.ENXIO:
                raise
    if held is not None:
        raise held
    if strangers:
        raise WrongChip(
            errno.ENODEV, f"no magnetometer that we know on {bus.name}: {strangers[0].message}"
        )
    tried = sorted({address for kind in DRIVERS.values() for address in kind.addresses})
    raise BusError(
        errno.ENXIO,
        f"no magnetometer on {bus.name}: nothing answers at "
        f"{', '.join(f'0x{address:02x}' for address in tried)}; check power and wiring",
    )
