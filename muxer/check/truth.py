"""How far a simulated clip is from what really happened: errors of times, places, orientations.

The truth is the simulator's file (docs/SIMULATOR.md), whose times are CLOCK_MONOTONIC; the clip
says when that was its time zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, UsageError
from camm.frames import conjugate, from_angle_axis, interpolate, multiply, rotate
from muxer.check.gps import METRES_A_DEGREE
from muxer.clip import Clip
from muxer.sample_table import Ints

Floats = npt.NDArray[np.float64]
Truth = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One quantity of a clip beside the truth, over `count` records.

    `mean`, `rms` and `worst` (the greatest without its sign) are in `unit`; `worst_s` is where.
    """

    what: str
    unit: str
    count: int
    mean: float
    rms: float
    worst: float
    worst_s: float


def measure(clip: Clip, truth: Truth) -> tuple[Measured, ...]:
    """All errors that both have something to say of.

    UsageError where the clip does not tell its time zero, where the truth is of another simulation,
    and where it lacks an array.
    """
    movie = clip.metadata.get("movie")
    zero_ns = movie.get("zero_monotonic_ns") if isinstance(movie, Mapping) else None
    if not isinstance(zero_ns, int):
        raise UsageError(
            f"{clip.path} does not tell when its time zero was: expected a clip that cammcorder "
            "recorded of its simulator"
        )
    made = clip.metadata.get("simulation")
    true = {name: truth[name].item() for name in ("scenario", "seed") if name in truth}
    if true and made != true:
        raise UsageError(f"the truth is of the simulation {true}, and {clip.path} of {made}")
    try:
        return tuple(found for part in _PARTS for found in part(clip, truth, zero_ns))
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"the truth lacks {error}: expected the simulator's file, as CLIP.truth.npz"
        ) from None


def _orientation(clip: Clip, truth: Truth, zero_ns: int) -> Iterator[Measured]:
    true_ns = truth["imu_t_ns"]
    samples, t_ns = _within(clip.angle_axis, true_ns, zero_ns)
    if not len(samples):
        return
    true = interpolate(true_ns, from_angle_axis(truth["imu_angle_axis"]), t_ns + zero_ns)
    error = multiply(from_angle_axis(samples.data), conjugate(true))
    fusion, aligned = clip.metadata.get("fusion"), ""
    if isinstance(fusion, Mapping) and fusion.get("heading") == "arbitrary":
        # Without a magnetometer north is anywhere: what it is on average is nobody's error.
        mean = np.angle(np.exp(1j * _heading(error)).mean())
        error, aligned = multiply(from_angle_axis([0.0, -mean, 0.0]), error), ", heading aligned"
    total = 2 * np.arctan2(np.linalg.norm(error[:, 1:], axis=1), np.abs(error[:, 0]))
    down = rotate(error, np.array([0.0, 1.0, 0.0]))
    inclination = np.arctan2(np.hypot(down[:, 0], down[:, 2]), down[:, 1])
    parts = {
        f"total{aligned}": total,
        f"heading{' aligned' if aligned else ''}": _heading(error),
        "inclination": inclination,
    }
    for what, angle in parts.items():
        yield _measured(f"orientation, {what}", "deg", np.degrees(angle), t_ns)


def _sensor_times(clip: Clip, truth: Truth, zero_ns: int) -> Iterator[Measured]:
    for kind, name in (
        (PacketType.GYRO, "imu_t_ns"),
        (PacketType.ACCELERATION, "imu_accel_t_ns"),
        (PacketType.MAGNETIC_FIELD, "mag_t_ns"),
    ):
        samples, t_ns = _within(clip.samples(kind), truth[name], zero_ns)
        if len(samples):
            off = t_ns + zero_ns - _nearest(truth[name], t_ns + zero_ns)
            yield _measured(f"time of {kind.label}", "ms", off / 1e6, t_ns)


def _fixes(clip: Clip, truth: Truth, zero_ns: int) -> Iterator[Measured]:
    gps = clip.gps if len(clip.gps) else clip.min_gps
    if not len(gps) or not len(truth["gps_t_ns"]):
        return
    if gps.kind is PacketType.GPS:
        own = _row(truth["gps_time"], clip.gps_time_s)
    else:
        own = _row(truth["gps_t_ns"], gps.t_ns + zero_ns)
    off = gps.t_ns + zero_ns - truth["gps_t_ns"][own]
    yield _measured(f"time of {gps.kind.label}", "ms", off / 1e6, gps.t_ns)
    north = (gps.data["latitude"] - truth["latitude"][own]) * METRES_A_DEGREE
    narrower = np.cos(np.radians(truth["latitude"][own]))
    east = (gps.data["longitude"] - truth["longitude"][own]) * METRES_A_DEGREE * narrower
    up = gps.data["altitude"] - truth["height"][own]
    yield _measured("position, horizontal", "m", np.hypot(east, north), gps.t_ns)
    yield _measured("position, vertical", "m", up, gps.t_ns)


def _frames(clip: Clip, truth: Truth, zero_ns: int) -> Iterator[Measured]:
    centres = truth["frame_centre_ns"]
    video = clip.video
    if video is not None and len(video.table) and len(centres):
        frames = np.sort(video.pts_ns)
        off = frames + zero_ns - _nearest(centres, frames + zero_ns)
        yield _measured("time of frames", "ms", off / 1e6, frames)
    # The first frame's exposure began before time zero, and its record was moved there.
    exposure = clip.exposure[clip.exposure.t_ns > 0]
    if not len(exposure) or not len(centres):
        return
    own = _row(truth["frame_start_ns"], exposure.t_ns + zero_ns)
    off = exposure.t_ns + zero_ns - truth["frame_start_ns"][own]
    yield _measured("time of exposure", "ms", off / 1e6, exposure.t_ns)
    for field, name, what in (
        ("pixel_exposure_time", "exposure_ns", "exposure"),
        ("rolling_shutter_skew_time", "skew_ns", "rolling shutter skew"),
    ):
        off = exposure.data[field] - truth[name][own]
        yield _measured(what, "ms", off / 1e6, exposure.t_ns)


_PARTS: tuple[Callable[[Clip, Truth, int], Iterator[Measured]], ...] = (
    _orientation,
    _sensor_times,
    _fixes,
    _frames,
)


def _heading(error: Floats) -> Floats:
    """By how much rotations turn about the vertical, radians: their twist."""
    twist = 2 * np.arctan2(error[:, 2], error[:, 0])
    return np.asarray((twist + np.pi) % (2 * np.pi) - np.pi)


def _within(samples: Samples, true_ns: Ints, zero_ns: int) -> tuple[Samples, Ints]:
    """The records that are measurements of the truth's time: at time zero there is none."""
    if not len(true_ns):
        return samples[:0], samples.t_ns[:0]
    at_ns = samples.t_ns + zero_ns
    kept = samples[(samples.t_ns > 0) & (at_ns >= true_ns[0]) & (at_ns <= true_ns[-1])]
    return kept, kept.t_ns


def _row(true: npt.NDArray[Any], values: npt.NDArray[Any]) -> Ints:
    """The row of the sorted truth that is nearest to each value."""
    after = np.clip(np.searchsorted(true, values), min(1, len(true) - 1), len(true) - 1)
    before = np.maximum(after - 1, 0)
    return np.asarray(np.where(values - true[before] < true[after] - values, before, after))


def _nearest(true: Ints, values: Ints) -> Ints:
    return np.asarray(true[_row(true, values)])


def _measured(what: str, unit: str, errors: npt.NDArray[Any], t_ns: Ints) -> Measured:
    worst = int(np.argmax(np.abs(errors)))
    return Measured(
        what,
        unit,
        len(errors),
        float(np.mean(errors)),
        float(np.sqrt(np.mean(np.square(errors, dtype=np.float64)))),
        float(np.abs(errors[worst])),
        float(t_ns[worst]) / 1e9,
    )
