"""Rules for the GPS records."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from muxer.check.evidence import Evidence
from muxer.check.rule import Fault, rule
from muxer.check.stream import Flags
from muxer.gps_epoch import GpsEpoch, gps_seconds, recognise

Floats = npt.NDArray[np.float64]

METRES_A_DEGREE = 111_320.0
"""Along a meridian, to half a percent."""
_FEWEST = 10
_SHORT_PLATEAU_NS = 2_500_000_000
_JUMP_M = 0.5
_ON_LINE = 1e-11
"""Degrees, a micrometre: no receiver measures a straight line as straight as that."""
_GRIDS = (1e-7, 1e-6, 1e-5, 1e-7 / 0.6, 1e-6 / 0.6, 1e-5 / 0.6, 1e-4 / 0.6)
"""Degrees that receivers round to: UBX has 1e-7, NMEA some digits of a minute."""
_STEPS_OF_GRID = 50
_PACE_S = 0.5
_SPEED_MARGIN_M_S = 10.0
_FASTEST_M_S = 90.0


@rule("readers", "error", "leave out records without a fix")
def gps_with_fix(evidence: Evidence) -> Iterator[Fault]:
    """Not every reader looks at the fix type: a record without a fix becomes a place."""
    without = evidence.gps.data["gps_fix_type"] == 0
    yield from _of_records(
        evidence.gps, without, "have no fix (gps_fix_type 0): readers take the place"
    )


@rule("specification", "warning", "write 2 or 3 for a fix of two or three dimensions")
def gps_fix_type_known(evidence: Evidence) -> Iterator[Fault]:
    """The fix type is 0, 2 or 3."""
    strange = ~np.isin(evidence.gps.data["gps_fix_type"], (0, 2, 3))
    yield from _of_records(evidence.gps, strange, "have a gps_fix_type that is not 0, 2 or 3")


@rule("specification", "error", "write degrees and metres: latitude first, then longitude")
def gps_on_earth(evidence: Evidence) -> Iterator[Fault]:
    """Latitude and longitude are degrees in range, and they and altitude are finite."""
    for samples in (evidence.min_gps, evidence.gps):
        yield from _of_records(samples, ~on_earth(samples), "tell no place on Earth")


@rule("specification", "error", "leave out records without a fix")
def gps_not_null_island(evidence: Evidence) -> Iterator[Fault]:
    """Zeros for both coordinates are a receiver that does not know where it is."""
    for samples in (evidence.min_gps, evidence.gps):
        yield from _of_records(samples, _at_null(samples), "lie at (0, 0)")


@rule("readers", "error", "keep type 6 where it is, and leave type 5 out")
def gps_of_one_type(evidence: Evidence) -> Iterator[Fault]:
    """Mapillary_tools returns the fixes of types 5 and 6 both, one on top of the other."""
    if len(evidence.gps) and len(evidence.min_gps):
        yield Fault(
            f"there are {len(evidence.min_gps):,} records of min_gps beside {len(evidence.gps):,} "
            "of gps: readers that take both have every place twice"
        )


@rule("specification", "error", "write each fix once, when the receiver has measured it")
def gps_not_repeated(evidence: Evidence) -> Iterator[Fault]:
    """Fixes are as the receiver gave them, and each is there once."""
    time = evidence.gps.data["time_gps_epoch"]
    again = np.zeros(len(time), np.bool_)
    again[1:] = time[1:] == time[:-1]
    yield from _of_records(evidence.gps, again, "repeat the time_gps_epoch of the one before")
    for samples in (evidence.min_gps, evidence.gps):
        held = _held(samples) & (~again if samples is evidence.gps else True)
        if np.count_nonzero(held) > len(samples) / 4:
            yield from _of_records(
                samples,
                held,
                "repeat the place of the one before, and then it jumps: fixes look filled up",
                warning=True,
            )


@rule("specification", "warning", "write the fixes of the receiver, and let readers interpolate")
def gps_not_interpolated(evidence: Evidence) -> Iterator[Fault]:
    """Fixes are raw: between two of them there is none that somebody has drawn in."""
    for samples in (evidence.min_gps, evidence.gps):
        drawn = _on_lines(samples)
        if np.count_nonzero(drawn) > len(samples) / 4:
            yield from _of_records(
                samples, drawn, "lie on the line between their neighbours, to a micrometre"
            )


@rule("specification", "error", "count seconds since 1980-01-06, leap seconds included")
def gps_time_is_gps(evidence: Evidence) -> Iterator[Fault]:
    """Time_gps_epoch counts seconds of GPS time: not Unix time, and with leap seconds."""
    time = evidence.gps.data["time_gps_epoch"]
    if not len(time):
        return
    epoch = recognise(time, evidence.clip.created)
    if epoch is not GpsEpoch.GPS:
        yield Fault(
            f"time_gps_epoch looks like {epoch.value} (the first is {time[0]:.3f}), expected GPS "
            "seconds: the clip's dates will be wrong"
        )


@rule("readers", "warning", "stamp a fix with its epoch, not with its message's arrival")
def gps_keeps_pace(evidence: Evidence) -> Iterator[Fault]:
    """From fix to fix as much time goes by in the clip as for the receiver."""
    gps = evidence.gps
    time = gps_seconds(
        gps.data["time_gps_epoch"], recognise(gps.data["time_gps_epoch"], evidence.clip.created)
    )
    dated = np.isfinite(time)
    if np.count_nonzero(dated) < 2:
        return
    t_ns, time = gps.t_ns[dated], time[dated]
    ahead = (time - time[0]) - (t_ns - t_ns[0]) / 1e9
    ahead -= float(np.median(ahead))
    off = np.abs(ahead) > _PACE_S
    if off.any():
        yield Fault(
            f"GPS time and the clip's time are up to {np.abs(ahead).max():.1f} s apart, over "
            f"{(t_ns[-1] - t_ns[0]) / 1e9:.1f} s",
            int(t_ns[np.argmax(off)]),
        )


@rule("specification", "warning", "write what the receiver says of them, or records of type 5")
def gps_accuracies_present(evidence: Evidence) -> Iterator[Fault]:
    """Type 6 tells how good a place is; an accuracy of 0 tells nothing."""
    gps = evidence.gps
    names = ("horizontal_accuracy", "vertical_accuracy")
    missing = [name for name in names if len(gps) and not (np.nan_to_num(gps.data[name]) > 0).any()]
    if missing:
        yield Fault(f"no record of gps tells {', '.join(missing)}", int(gps.t_ns[0]))


@rule("readers", "warning", "leave out fixes that the receiver itself calls bad")
def gps_moves_smoothly(evidence: Evidence) -> Iterator[Fault]:
    """From fix to fix the camera moves no faster than it says, and not faster than cars do."""
    for samples in (evidence.min_gps, evidence.gps):
        jumps, fastest = jumpy(samples)
        yield from _of_records(
            samples, jumps, f"are a jump away from the one before, at {fastest:.0f} m/s"
        )


def on_earth(samples: Samples) -> Flags:
    """Which records of type 5 or 6 tell a place."""
    latitude, longitude = samples.data["latitude"], samples.data["longitude"]
    # NaN fails every comparison, and so counts as outside.
    there: Flags = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    there &= np.isfinite(samples.data["altitude"])
    return there


def tells_a_place(samples: Samples) -> Flags:
    """Which records are a fix: on Earth, not at (0, 0), and not said to be none."""
    told: Flags = on_earth(samples) & ~_at_null(samples)
    if samples.kind is PacketType.GPS:
        told &= samples.data["gps_fix_type"] != 0
    return told


def places_m(samples: Samples) -> Floats:
    """East and north of the first place, metres, (N, 2); for records that are on Earth."""
    latitude, longitude = samples.data["latitude"], samples.data["longitude"]
    narrower = np.cos(np.radians(latitude))
    turns = np.diff(longitude, prepend=longitude[:1])
    turns = (turns + 180) % 360 - 180  # the short way over the date line
    east = np.cumsum(turns * narrower)
    return np.column_stack([east, latitude - latitude[:1]]) * METRES_A_DEGREE


def jumpy(samples: Samples) -> tuple[Flags, float]:
    """Which records are a jump away from the one before, and the speed of the fastest jump.

    It is one if it is faster than anything that films, or than the receiver says by far, beyond
    what its accuracies allow.
    """
    jumps = np.zeros(len(samples), np.bool_)
    there = np.flatnonzero(on_earth(samples) & ~_at_null(samples))
    if len(there) < 2:
        return jumps, 0.0
    fixes = samples[there]
    step_s = np.diff(fixes.t_ns) / 1e9
    with np.errstate(invalid="ignore"):
        step_m = np.linalg.norm(np.diff(places_m(fixes), axis=0), axis=1)
    allowed = _FASTEST_M_S * step_s + 1
    if samples.kind is PacketType.GPS:
        data = fixes.data
        said = np.hypot(data["velocity_east"], data["velocity_north"]).astype(np.float64)
        accuracy = np.nan_to_num(data["horizontal_accuracy"].astype(np.float64), posinf=0.0)
        # A receiver that moves while it says nothing of its speed is not held to it.
        told = np.isfinite(said) & (said > 0).any()
        fastest = np.maximum(said[1:], said[:-1]) + _SPEED_MARGIN_M_S
        doubt = 3 * (accuracy[1:] + accuracy[:-1])
        of_speed = fastest * step_s + doubt
        allowed = np.where(told[1:] & told[:-1], np.minimum(of_speed, allowed + doubt), allowed)
    off = (step_m > allowed) & (step_s > 0)
    jumps[there[1:]] = off
    return jumps, float((step_m[off] / step_s[off]).max(initial=0.0))


def _at_null(samples: Samples) -> Flags:
    null: Flags = (samples.data["latitude"] == 0) & (samples.data["longitude"] == 0)
    return null


def _held(samples: Samples) -> Flags:
    """Records that repeat the place before them for a short while, whereupon it jumps."""
    held = np.zeros(len(samples), np.bool_)
    if len(samples) < _FEWEST or not on_earth(samples).all():
        return held
    t_ns, places = samples.t_ns, places_m(samples)
    moved = np.linalg.norm(np.diff(places, axis=0), axis=1)
    news = np.concatenate([[0], np.flatnonzero(moved) + 1])
    for_ns = np.diff(t_ns[news])
    jumps = moved[news[1:] - 1] > _JUMP_M
    plateaus = (np.diff(news) > 1) & (for_ns < _SHORT_PLATEAU_NS) & jumps
    edges = np.zeros(len(samples) + 1, np.int64)
    edges[news[:-1][plateaus] + 1] += 1
    edges[news[1:][plateaus]] -= 1
    held[:] = np.cumsum(edges[:-1]) > 0
    return held


def _on_lines(samples: Samples) -> Flags:
    """Records in the middle between their neighbours, more exactly than any receiver measures."""
    drawn = np.zeros(len(samples), np.bool_)
    if len(samples) < _FEWEST or not on_earth(samples).all():
        return drawn
    places = np.column_stack([samples.data["latitude"], samples.data["longitude"]])
    steps = np.diff(places, axis=0)
    bends = np.abs(np.diff(steps, axis=0)).max(axis=1)
    # What is rounded lies on lines by chance, where steps are few of the grid's.
    shortest = _STEPS_OF_GRID * _grid(places)
    on_line = (bends < _ON_LINE) & (np.abs(steps[1:]).max(axis=1) > max(shortest, 1e-9))
    drawn[1:-1] = on_line
    return drawn


def _grid(places: Floats) -> float:
    """The coarsest grid that all coordinates lie on, degrees; 0 where there is none."""
    for grid in sorted(_GRIDS, reverse=True):
        rest = np.abs(places / grid - np.rint(places / grid))
        if (rest < 1e-4).mean() > 0.99:
            return grid
    return 0.0


def _of_records(
    samples: Samples, broken: Flags, what: str, *, warning: bool = False
) -> Iterator[Fault]:
    if broken.any():
        yield Fault(
            f"{np.count_nonzero(broken):,} of {len(samples):,} records of {samples.kind.label} "
            f"{what}",
            int(samples.t_ns[np.argmax(broken)]),
            "warning" if warning else None,
        )


RULES = (
    gps_with_fix,
    gps_fix_type_known,
    gps_on_earth,
    gps_not_null_island,
    gps_of_one_type,
    gps_not_repeated,
    gps_not_interpolated,
    gps_time_is_gps,
    gps_keeps_pace,
    gps_accuracies_present,
    gps_moves_smoothly,
)
