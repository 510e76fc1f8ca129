"""Rules for the GPS records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from camm import Samples
from muxer.check.finding import Finding
from muxer.clip import Clip
from muxer.gps_epoch import GpsEpoch, recognise


def gps_with_fix(clip: Clip) -> Iterator[Finding]:
    """Not every reader looks at the fix type: a record without a fix becomes a place."""
    without = clip.gps.data["gps_fix_type"] == 0
    yield from _of_records(
        "gps_with_fix", clip.gps, without, "have no fix (gps_fix_type 0): readers take the place"
    )


def gps_on_earth(clip: Clip) -> Iterator[Finding]:
    """Latitude, longitude and altitude are finite and in range."""
    for samples in (clip.min_gps, clip.gps):
        latitude, longitude = samples.data["latitude"], samples.data["longitude"]
        # NaN fails every comparison, and so counts as outside.
        on_earth = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
        on_earth &= np.isfinite(samples.data["altitude"])
        yield from _of_records("gps_on_earth", samples, ~on_earth, "tell no place on Earth")


def gps_not_null_island(clip: Clip) -> Iterator[Finding]:
    """Zeros for both coordinates are a receiver that does not know where it is."""
    for samples in (clip.min_gps, clip.gps):
        null = (samples.data["latitude"] == 0) & (samples.data["longitude"] == 0)
        yield from _of_records("gps_not_null_island", samples, null, "lie at (0, 0)")


def gps_of_one_type(clip: Clip) -> Iterator[Finding]:
    """Mapillary_tools returns the fixes of types 5 and 6 both, one on top of the other."""
    if len(clip.gps) and len(clip.min_gps):
        yield Finding(
            "gps_of_one_type",
            "error",
            f"there are {len(clip.min_gps):,} records of min_gps beside {len(clip.gps):,} of gps: "
            "readers that take both have every place twice",
        )


def gps_not_repeated(clip: Clip) -> Iterator[Finding]:
    """The specification wants fixes as they come: not interpolated, and each of them once."""
    time = clip.gps.data["time_gps_epoch"]
    again = np.zeros(len(time), np.bool_)
    again[1:] = time[1:] == time[:-1]
    yield from _of_records(
        "gps_not_repeated", clip.gps, again, "repeat the time_gps_epoch of the one before"
    )


def gps_time_is_gps(clip: Clip) -> Iterator[Finding]:
    """Time_gps_epoch counts seconds of GPS time: not Unix time, and with leap seconds."""
    time = clip.gps.data["time_gps_epoch"]
    if not len(time):
        return
    epoch = recognise(time, clip.created)
    if epoch is not GpsEpoch.GPS:
        yield Finding(
            "gps_time_is_gps",
            "error",
            f"time_gps_epoch looks like {epoch.value} (the first is {time[0]:.3f}), expected GPS "
            "seconds: the clip's dates will be wrong",
        )


def _of_records(
    rule: str, samples: Samples, broken: npt.NDArray[np.bool_], what: str
) -> Iterator[Finding]:
    if broken.any():
        yield Finding(
            rule,
            "error",
            f"{np.count_nonzero(broken):,} of {len(samples):,} records of {samples.kind.label} "
            f"{what}",
            samples.t_ns[np.argmax(broken)] / 1e9,
        )


RULES: tuple[Callable[[Clip], Iterator[Finding]], ...] = (
    gps_with_fix,
    gps_on_earth,
    gps_not_null_island,
    gps_of_one_type,
    gps_not_repeated,
    gps_time_is_gps,
)
