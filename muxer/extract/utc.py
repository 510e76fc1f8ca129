"""UTC of a clip's times."""

from __future__ import annotations

from datetime import UTC
from typing import Literal

import numpy as np
import numpy.typing as npt

from camm import Samples
from muxer.clip import Clip
from muxer.gps_epoch import recognise, utc_dates
from muxer.sample_table import Ints

Dates = npt.NDArray[np.datetime64]

_OFF_NS = 1_000_000_000
"""How far a fix's date may be off the others': clocks drift less in a day, false leap seconds do
not."""


class UtcClock:
    """Tells UTC by the dated fixes of a clip, between which it goes evenly; else by its own date.

    `source`  what it goes by: "fixes", "creation" (the clip's date, in whole seconds, taken for
              that of its first frame) or None, where nothing tells
    """

    def __init__(self, gps: Samples, clip: Clip) -> None:
        times = gps.data["time_gps_epoch"]
        dates = utc_dates(times, recognise(times, clip.created))
        dated = ~np.isnat(dates)
        t_ns = gps.t_ns[dated]
        ahead_ns = dates[dated].astype(np.int64) - t_ns
        self.source: Literal["fixes", "creation"] | None = "fixes"
        if not len(t_ns):
            self.source = "creation" if clip.created is not None else None
            created = clip.created.astimezone(UTC).timestamp() if clip.created else 0.0
            t_ns, ahead_ns = np.zeros(1, np.int64), np.array([round(created * 1e9)])
        # Not np.median, which loads all of numpy.ma.
        self._middle_ns = int(np.sort(ahead_ns)[len(ahead_ns) // 2])
        off_ns = ahead_ns - self._middle_ns
        near = np.abs(off_ns) <= _OFF_NS
        near |= ~near.any()
        self._t_ns, first = np.unique(t_ns[near], return_index=True)
        self._off_ns = off_ns[near][first]

    def at(self, t_ns: Ints) -> Dates:
        """UTC of these times, datetime64[ns]; NaT where nothing tells."""
        if self.source is None:
            return np.full(len(t_ns), np.datetime64("NaT"), "datetime64[ns]")
        # Counted from the first, times have no more digits than a float.
        off = np.interp(t_ns - self._t_ns[0], self._t_ns - self._t_ns[0], self._off_ns)
        ns: Ints = t_ns + self._middle_ns + np.rint(off).astype(np.int64)
        return ns.astype("datetime64[ns]")


def date_texts(dates: Dates, unit: Literal["ms", "us"]) -> list[str]:
    """Dates as "2026-06-01T12:00:00.000Z", rounded; empty where there is none."""
    half = np.timedelta64(500_000 if unit == "ms" else 500, "ns")
    texts: list[str] = np.datetime_as_string(dates + half, unit, timezone="UTC").tolist()
    return ["" if text == "NaT" else text for text in texts]
