"""When a picture was exposed, of a stamp that says when something else happened.

Line r of a rolling shutter is exposed for E, and begins r * L after the first. The picture's time
is the middle of the interval in which any of its lines was exposed, of E and (H - 1) * L together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stamped(StrEnum):
    """What happened at a stamp."""

    START_OF_READOUT = "start of read-out"
    """The first line's exposure has ended."""
    START_OF_EXPOSURE = "start of exposure"
    """The first line's begins."""
    END_OF_FRAME = "end of frame"
    """The last line's exposure has ended."""


@dataclass(frozen=True, slots=True)
class Shutter:
    """Of one picture, CLOCK_MONOTONIC nanoseconds, as `camm.Packet` has it."""

    centre_ns: int
    start_ns: int | None = None
    exposure_ns: int | None = None
    skew_ns: int | None = None


def shutter(
    stamp_ns: int, stamped: Stamped, exposure_ns: int | None, skew_ns: int | None
) -> Shutter:
    """The shutter of the picture with that stamp.

    What is not known counts as nothing for the centre, and then nothing is told but the centre: it
    is wrong by half of what is missing.
    """
    open_ns = (exposure_ns or 0) + (skew_ns or 0)
    match stamped:
        case Stamped.START_OF_EXPOSURE:
            start_ns = stamp_ns
        case Stamped.START_OF_READOUT:
            start_ns = stamp_ns - (exposure_ns or 0)
        case Stamped.END_OF_FRAME:
            start_ns = stamp_ns - open_ns
    centre_ns = start_ns + open_ns // 2
    if exposure_ns is None or skew_ns is None:
        return Shutter(centre_ns)
    return Shutter(centre_ns, start_ns, exposure_ns, skew_ns)
