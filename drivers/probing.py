"""Looking for a chip at each of the addresses that it can have."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TypeVar

from drivers.bus import I2CBus
from drivers.errors import BusError, WrongChip

_Chip = TypeVar("_Chip")


def first_found(
    bus: I2CBus,
    name: str,
    addresses: Sequence[int],
    identify: Callable[[int], _Chip],
    advice: str = "check power and wiring",
) -> _Chip:
    """What `identify` makes of the first address where it finds its chip.

    BusError where nothing answers or the kernel holds what is there, WrongChip where something else
    answers. `advice` is for where nothing does.
    """
    obstacle: BusError | WrongChip | None = None
    for address in addresses:
        try:
            return identify(address)
        except WrongChip as error:
            obstacle = obstacle or error
        except BusError as error:
            if error.errno == errno.EBUSY:
                obstacle = error
            elif error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                raise
    places = " or ".join(f"0x{a:02x}" for a in addresses)
    raise obstacle or BusError(
        errno.ENXIO,
        f"no {name} on {bus.name}: nothing answers at {places}; {advice}",
    )
