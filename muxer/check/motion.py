"""Rules for the values of the motion sensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, is_vector
from muxer.check.finding import Finding, number
from muxer.clip import Clip

_STANDARD_GRAVITY = 9.81
_FAR_FROM_GRAVITY = 1.5
_SMALLEST_HALF_TURN = np.pi + 1e-5
"""Radians: a half turn and what a float32 may add to it."""


def finite_vectors(clip: Clip) -> Iterator[Finding]:
    """No NaN and no infinity: one of them spoils every filter that it goes through."""
    for kind in filter(is_vector, PacketType):
        samples = clip.samples(kind)
        broken = ~np.isfinite(samples.data).all(axis=1)
        if broken.any():
            yield Finding(
                "finite_vectors",
                "error",
                f"{number(int(broken.sum()), 'record')} of {kind.label} with NaN or infinity",
                samples.t_ns[np.argmax(broken)] / 1e9,
            )


def orientation_never_zero(clip: Clip) -> Iterator[Finding]:
    """Telemetry-parser divides by the length of the angle-axis and makes NaN of 0."""
    samples = clip.angle_axis
    null = ~samples.data.any(axis=1)
    if null.any():
        yield Finding(
            "orientation_never_zero",
            "error",
            f"{number(int(null.sum()), 'record')} of angle_axis exactly zero: readers that "
            "divide by the angle make NaN of them; 1e-9 is as good",
            samples.t_ns[np.argmax(null)] / 1e9,
        )


def orientation_within_half_turn(clip: Clip) -> Iterator[Finding]:
    """Every rotation has an angle of at most pi, and readers may expect that one."""
    samples = clip.angle_axis
    angle = _lengths(samples)
    over = np.isfinite(angle) & (angle > _SMALLEST_HALF_TURN)
    if over.any():
        yield Finding(
            "orientation_within_half_turn",
            "warning",
            f"{number(int(over.sum()), 'record')} of angle_axis beyond a half turn, up to "
            f"{angle[over].max():.3f} rad",
            samples.t_ns[np.argmax(over)] / 1e9,
        )


def gravity_in_si_units(clip: Clip) -> Iterator[Finding]:
    """Acceleration is specific force in m/s^2, gravity included."""
    size = _lengths(clip.acceleration)
    if not np.isfinite(size).any():
        return
    mean = float(size[np.isfinite(size)].mean())
    if abs(mean - _STANDARD_GRAVITY) > _FAR_FROM_GRAVITY:
        # Hard motion moves the mean a little; a factor of two is another unit or no gravity.
        strange = not 0.5 < mean / _STANDARD_GRAVITY < 2
        yield Finding(
            "gravity_in_si_units",
            "error" if strange else "warning",
            f"the acceleration is {mean:.2f} m/s^2 in the mean, expected about 9.81: is it in "
            "another unit, or gravity taken off?",
        )


def _lengths(samples: Samples) -> npt.NDArray[np.float64]:
    """Of every vector, NaN where it is not finite; in doubles, where no float32 overflows."""
    length = np.full(len(samples), np.nan)
    finite = np.isfinite(samples.data).all(axis=1)
    length[finite] = np.linalg.norm(samples.data[finite].astype(np.float64), axis=1)
    return length


RULES: tuple[Callable[[Clip], Iterator[Finding]], ...] = (
    finite_vectors,
    orientation_never_zero,
    orientation_within_half_turn,
    gravity_in_si_units,
)
