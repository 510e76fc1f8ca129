"""The places of a clip as a plan around the first of them, in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from camm import PacketType, Samples
from muxer.extract.track import Track, with_fix
from muxer.report.arrays import Arrays
from muxer.report.series import ROWS, Floats

_EARTH_RADIUS = 6_371_008.8
"""Metres, the mean (IUGG)."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Fixes as metres east and north of the first, with what they tell besides (NaN: nothing).

    `kind` is the type they are of; `speed` is the receiver's, or `by_places` what comes of two
    places and their times.
    """

    kind: PacketType
    track: Track
    east: Floats
    north: Floats
    speed: Floats
    by_places: bool

    @classmethod
    def of(cls, blocks: Sequence[Samples]) -> Self | None:
        """Of the fixes of type 6, or where there are none of type 5; None without any."""
        for kind in (PacketType.GPS, PacketType.MIN_GPS):
            fixes = with_fix(Samples.concatenate(kind, (b for b in blocks if b.kind is kind)))
            if len(fixes):
                break
        else:
            return None
        fixes = fixes[np.argsort(fixes.t_ns, kind="stable")]
        track = Track.of(fixes, np.full(len(fixes), "NaT", "datetime64[ns]"))
        east, north = east_north(track.latitude, track.longitude)
        speed = track.speed
        by_places = not np.isfinite(speed).any()
        if by_places:
            seconds = np.diff(track.t_ns) / 1e9
            forward = np.where(seconds > 0, seconds, np.nan)
            speed = np.full(len(fixes), np.nan)
            speed[1:] = np.hypot(np.diff(east), np.diff(north)) / forward
        return cls(kind, track, east, north, speed, by_places)

    @property
    def length_m(self) -> float:
        """Of the whole path."""
        return float(np.hypot(np.diff(self.east), np.diff(self.north)).sum())

    def document(self, arrays: Arrays, gap_s: float | None) -> dict[str, Any]:
        """What the page draws of them: every fix, or of very many every second, third ..."""
        each = -(-len(self.track) // ROWS)
        columns = {
            "t": self.track.t_ns / 1e9,
            "east": self.east,
            "north": self.north,
            "speed": self.speed,
            "accuracy": self.track.horizontal_accuracy,
        }
        numbers = {
            name: arrays.add(column[::each].astype("f8" if name == "t" else "f4"))
            for name, column in columns.items()
        }
        return numbers | {"gap": None if gap_s is None else gap_s * each}


def east_north(latitude: Floats, longitude: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the first place, as on a map of a few kilometres."""
    turn = (longitude - longitude[0] + 180) % 360 - 180  # the short way over the date line
    east = np.radians(turn) * _EARTH_RADIUS * np.cos(np.radians(latitude[0]))
    north = np.radians(latitude - latitude[0]) * _EARTH_RADIUS
    return east, north
