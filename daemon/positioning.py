"""Where the rig was, by its own receiver and motion sensor: type 4 of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from camm import PacketType, Samples
from camm.frames import Array
from fusion.chosen_times import ChosenTimes
from fusion.fuser import Times
from fusion.position_estimate import BRIDGED_NS
from fusion.position_filter import PositionFilter

GPS = "gps"
"""The setting that wants it: `fusion.position`."""

_FOR_EVER_NS = 1 << 62


class Positioning:
    """Turns what the recorder sees of fixes and motion into positions. One thread.

    They are at the times that `output` wants, as those of the orientation; with "frame" at those
    told to `want`.
    """

    def __init__(self, output: str | float) -> None:
        self._filter = PositionFilter()
        self._chosen: ChosenTimes | None = None
        if output != "imu":
            rate_hz = None if isinstance(output, str) else output
            self._chosen = ChosenTimes(rate_hz, PacketType.POSITION, BRIDGED_NS)
        self._fixes_until_ns = 0

    def add_force(self, t_ns: Times, accel: Array) -> None:
        """Specific force in camera axes, m/s^2 (N, 3)."""
        self._filter.add_force(t_ns, accel)

    def add_orientation(self, samples: Samples) -> None:
        """Type 0 at those times."""
        self._filter.add_orientation(samples)

    def add_fixes(self, fixes: Samples) -> None:
        """Those that tell a place."""
        self._filter.add_fixes(fixes)

    def want(self, t_ns: Times) -> None:
        """Times of pictures."""
        if self._chosen is not None:
            self._chosen.want(t_ns)

    def fixes_are_told(self, until_ns: int | None) -> None:
        """No fix from before that will follow; None: none at all."""
        self._fixes_until_ns = _FOR_EVER_NS if until_ns is None else until_ns

    def take(self, wanted_until_ns: int) -> tuple[list[Samples], int]:
        """Positions that are ready, and up to when all have been told.

        No picture from before `wanted_until_ns` will follow.
        """
        found = self._filter.take()
        until_ns = min(self._filter.complete_until_ns(self._fixes_until_ns), wanted_until_ns)
        if self._chosen is not None:
            if found is not None:
                self._chosen.add(found)
            found = self._chosen.take(until_ns)
        return ([found] if found is not None and len(found) else []), until_ns

    def told(self) -> Mapping[str, Any]:
        """For the clip's metadata."""
        return {
            "filter": GPS,
            **asdict(self._filter.statistics),
            "frames": [asdict(frame) for frame in self._filter.frames],
        }
