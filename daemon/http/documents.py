"""What the API says and is told, declared once: the OpenAPI document and the checks come from it.

SI units, degrees; times are ISO 8601 in UTC unless a name says otherwise. `daemon.control` makes
the documents.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Len, MaxLen

from camm.declared import declared

Count = Annotated[int, Ge(0)]


@declared
class Problem:
    """Why something was not done, in words."""

    error: str


@declared
class ClipInTheMaking:
    """`records` are samples of all kinds; `late` those that came too late for their fragment."""

    name: str
    seconds: float
    bytes: Count
    frames: Count
    records: Count
    late: Count


@declared
class Source:
    """How a sensor, the receiver or the camera fares; `rate_hz` is over the last two seconds."""

    name: str
    required: bool
    delivering: bool
    rate_hz: float
    delivered: Count
    lost: Count
    failures: Count
    error: str


@declared
class Orientation:
    """Of the camera, in the world: yaw from north by east, pitch up, roll to the right."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@declared
class Fix:
    """Where the receiver is; metres, metres a second, degrees from north by east."""

    latitude: float | None
    longitude: float | None
    altitude: float | None
    speed_m_s: float | None
    course_deg: float | None
    accuracy_m: float | None


@declared
class Status:
    """How the camcorder is, as of the last tenth of a second."""

    state: str
    clip: ClipInTheMaking | None
    last_clip: str | None
    sources: tuple[Source, ...]
    flowing: bool
    growing: bool
    free_bytes: Count
    seconds_left: float | None
    missed: Count
    slowest_write_s: float
    queued: Count
    warnings: tuple[str, ...]
    utc: str | None
    version: str
    orientation: Orientation | None
    fix: Fix | None


@declared
class Clip:
    """A clip on the shelf; `seconds` is null of one that cannot be read."""

    name: str
    bytes: Count
    written: str
    protected: bool
    unfinished: bool
    seconds: float | None


@declared
class Mark:
    """What to note in the clip at this moment."""

    text: Annotated[str, MaxLen(500)]


@declared
class Marked:
    """The mark, the clip's name as of now, and the seconds into it."""

    name: str
    t_s: float
    utc: str
    text: str


@declared
class Protection:
    """Whether a clip is to be kept whatever happens."""

    protected: bool


Position = Annotated[tuple[float, ...], Len(3, 3)]
"""Seconds since 1970, latitude, longitude."""
