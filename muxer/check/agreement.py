"""Rules for what sensors and orientations say together: axes, signs, mounts, times.

Each of them is right by itself in such a clip, and only both together tell that one is wrong. What
is said of the cause is the likeliest of the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from camm import PacketType
from camm.frames import conjugate, rotate
from muxer.check.axes import IDENTITY, TURNS, Floats, told
from muxer.check.cells import Cells
from muxer.check.evidence import Evidence
from muxer.check.finding import Severity
from muxer.check.rule import Fault, rule

_FEWEST = 150
"""Cells in which both speak, three seconds at the least, to judge by."""
_LIVELY = 0.05
"""rad/s (rms): with less motion than this, noise and bias would be compared."""
_LIVELIEST = 1 << 15
"""Cells that motion is compared in: the liveliest stretch of a long clip."""
_LONGEST_LAG_NS = 1_000_000_000
_ALIKE, _MARGIN = 0.8, 0.1
"""A correlation that is good enough, and by how much better another explanation has to be."""
_VERY_MUCH_ALIKE = 0.95
_FEW_JUMPS = 0.01
_LATE_NS = 15_000_000
_TILTED_DEG = 15.0
_STEADY = 0.9
_UP = np.array([0.0, -1.0, 0.0])
_MOUNT = "give the mount as it is (`--mount`), or turn the records into camera axes"


@dataclass(frozen=True, slots=True)
class _Match:
    """How alike two turnings are at best: `turn` the first and move it by `lag` cells."""

    alike: float
    turn: Floats
    lag: float
    scale: float


@rule("specification", "warning", _MOUNT)
def gyro_agrees_with_orientation(evidence: Evidence) -> Iterator[Fault]:
    """Angular rates, in camera axes, turn each orientation into the next."""
    cells = evidence.cells
    gyro, turning = cells.means(PacketType.GYRO), cells.means(PacketType.ANGLE_AXIS)
    stretch = _liveliest(gyro, turning)
    if stretch is None:
        return
    gyro = gyro[stretch]
    turning = _without_jumps(turning[stretch], gyro)
    most_lag = max(1, _LONGEST_LAG_NS // cells.cell_ns)
    found = _match(gyro, turning, most_lag)
    # World to camera is the inverse; its angular rate is the camera's in world axes, negated.
    inverse = -rotate(cells.orientation[stretch].astype(np.float64), turning)
    if _match(gyro, inverse, most_lag).alike > max(found.alike, _ALIKE - _MARGIN) + _MARGIN:
        yield Fault(
            "orientations turn the other way than angular rates say: type 0 looks like world to "
            "camera",
            remedy="invert type 0: the rotation is from camera to world",
        )
    elif found.alike < _ALIKE - _MARGIN:
        yield Fault(
            f"angular rates do not turn one orientation into the next (correlation "
            f"{found.alike:.2f}), in whatever order of axes",
            remedy="see whether both are of the same camera and the same time",
        )
    elif not np.array_equal(found.turn, IDENTITY):
        yield Fault(f"{told('gyro', found.turn)}, by the orientations", severity="error")
    else:
        yield from _lag_and_scale(found, cells)


@rule("specification", "warning", _MOUNT)
def gravity_agrees_with_orientation(evidence: Evidence) -> Iterator[Fault]:
    """Specific force, turned by the orientation, points up in the mean: to (0, -1, 0) of the world,
    whose Y axis points down.
    """
    cells = evidence.cells
    force, q = cells.means(PacketType.ACCELERATION), cells.orientation.astype(np.float64)
    known = np.isfinite(force).all(axis=1) & np.isfinite(q[:, 0])
    force, q = force[known], q[known]
    if len(force) < _FEWEST or not force.any():
        return
    way = _mean_way(rotate(q, force))
    tilt = _degrees_from(way, _UP)
    if tilt < _TILTED_DEG:
        return
    measured = (
        f"gravity is {tilt:.0f} degrees off: turned by the orientation, specific force points to "
        f"({way[0]:.2f}, {way[1]:.2f}, {way[2]:.2f}), expected (0, -1, 0)"
    )
    turns = [_mean_way(rotate(q, force @ turn.T)) for turn in TURNS]
    errors = np.array([_degrees_from(turned, _UP) for turned in turns])
    steady, steadiness = np.linalg.norm(turns, axis=1), float(np.linalg.norm(way))
    good = (errors < _TILTED_DEG) & (steady > max(_STEADY, steadiness - 0.01))
    backwards = _mean_way(rotate(conjugate(q), force))
    severity: Severity = "error" if tilt > 45 else "warning"
    if tilt > 180 - _TILTED_DEG and steadiness > _STEADY:
        yield Fault(
            f"{measured}: acceleration looks negated, or the world's Y axis points up",
            severity="error",
            remedy="write specific force, (0, -9.81, 0) for a level camera at rest, and a world "
            "whose Y axis points down",
        )
    elif _along_an_axis(way) and steadiness >= steady[good].max(initial=_STEADY) - 0.01:
        axis = int(np.abs(way).argmax())
        up = f"{'+' if way[axis] > 0 else '-'}{'XYZ'[axis]}"
        yield Fault(
            f"{measured}: the world of type 0 looks to have its {up} axis up",
            severity=severity,
            remedy="turn type 0 into a world of X east, Y down, Z north",
        )
    elif np.linalg.norm(backwards) > _STEADY and _degrees_from(backwards, _UP) < _TILTED_DEG:
        yield Fault(
            f"{measured}: type 0 looks like world to camera",
            severity=severity,
            remedy="invert type 0: the rotation is from camera to world",
        )
    elif good.any():
        turn = TURNS[int(np.argmax(good))]
        yield Fault(f"{measured}: {told('acceleration', turn)}", severity=severity)
    else:
        yield Fault(f"{measured}: is the mount right?", severity=severity)


@rule("readers", "warning", "calibrate the magnetometer in place, and give its mount")
def field_agrees_with_orientation(evidence: Evidence) -> Iterator[Fault]:
    """The magnetic field, turned by the orientation, keeps its direction in the world."""
    cells = evidence.cells
    field, q = cells.means(PacketType.MAGNETIC_FIELD), cells.orientation.astype(np.float64)
    known = np.isfinite(field).all(axis=1) & np.isfinite(q[:, 0]) & field.any(axis=1)
    field, q = field[known], q[known]
    if len(field) < _FEWEST:
        return
    way = float(np.linalg.norm(_mean_way(rotate(q, field))))
    turns = [float(np.linalg.norm(_mean_way(rotate(q, field @ turn.T)))) for turn in TURNS]
    best = int(np.argmax(turns))
    if way < _STEADY and turns[best] > max(_STEADY, way + 0.05):
        # A field negated as a whole keeps its direction too; a mount is a rotation, no mirror.
        turn = TURNS[best] if np.linalg.det(TURNS[best]) > 0 else -TURNS[best]
        yield Fault(f"the field turns with the camera: {told('magnetic_field', turn)}")
    elif way < 0.5:
        yield Fault("the field turns with the camera: its axes or its calibration are wrong")


def _lag_and_scale(found: _Match, cells: Cells) -> Iterator[Fault]:
    late_ns = found.lag * cells.cell_ns
    late_ns += cells.place_ns(PacketType.GYRO) - cells.place_ns(PacketType.ANGLE_AXIS)
    if abs(late_ns) > max(_LATE_NS, cells.cell_ns / 2):
        side = "later" if late_ns > 0 else "earlier"
        yield Fault(
            f"angular rates come {abs(late_ns) / 1e6:.0f} ms {side} than the orientations say",
            remedy="stamp both with the moment of measurement; a filter's delay must be taken off",
        )
    # Where a filter was set right after a gap, orientations turn by more than there was to turn.
    if found.alike > _VERY_MUCH_ALIKE and not 0.8 < found.scale < 1.25:
        degrees = " they look like degrees" if 45 < found.scale < 70 else ""
        yield Fault(
            f"angular rates are {found.scale:.2f} times what the orientations turn by"
            f"{':' if degrees else ''}{degrees}",
            severity="error" if degrees else None,
            remedy="write rad/s, and the scale of the range that the sensor was set to",
        )


def _liveliest(gyro: Floats, turning: Floats) -> slice | None:
    """Where there is enough of both to compare: all, or of a long clip its liveliest stretch."""
    known = np.isfinite(gyro[:, 0]) & np.isfinite(turning[:, 0])
    power = np.where(known, np.nan_to_num(np.square(turning)).sum(axis=1), 0.0)
    starts = range(0, max(len(power) - _LIVELIEST, 0) + 1, _LIVELIEST)
    stretches = [slice(start, start + _LIVELIEST) for start in starts]
    stretch = max(stretches, key=lambda each: float(power[each].sum()))
    count = int(known[stretch].sum())
    if count < _FEWEST or power[stretch].sum() < _LIVELY**2 * count:
        return None
    return stretch


def _without_jumps(turning: Floats, gyro: Floats) -> Floats:
    """The same, unknown in the few cells where it is far beyond any angular rate.

    Orientations jump when a filter learns where north is, and say nothing of axes then.
    """
    size = np.linalg.norm(turning, axis=1)
    jumps = size > 2 * np.nanmax(np.linalg.norm(gyro, axis=1))
    if jumps.sum() > _FEW_JUMPS * np.isfinite(size).sum():
        return turning
    return np.where(jumps[:, None], np.nan, turning)


def _match(mine: Floats, other: Floats, most_lag: int) -> _Match:
    """The turn of axes and the lag by which two (N, 3) series are most alike.

    No turn and no lag win unless something else is clearly better.
    """
    known = np.isfinite(mine[:, :1]) & np.isfinite(other[:, :1])
    mine, other = (
        np.where(known, series - series[known[:, 0]].mean(axis=0), 0.0) for series in (mine, other)
    )
    size = float(np.sqrt((mine**2).sum() * (other**2).sum()))
    if not size:
        return _Match(0.0, IDENTITY, 0.0, 1.0)
    length = 1 << int(2 * len(mine) - 1).bit_length()
    spectra = [np.fft.rfft(series, length, axis=0) for series in (mine, other)]
    crossed = spectra[0][:, :, None] * np.conj(spectra[1])[:, None, :]
    lags = np.arange(-most_lag, most_lag + 1)
    # covariance[k, i, j]: axis i of mine, `lags[k]` cells later, beside axis j of the other.
    covariance = np.stack(
        [np.fft.irfft(crossed[:, i, j], length)[lags] for i in range(3) for j in range(3)], axis=1
    ).reshape(len(lags), 3, 3)
    scores = np.einsum("tji,kij->tk", TURNS, covariance) / size
    best = int(np.argmax(scores.max(axis=1)))
    if scores[best].max() < scores[0].max() + _MARGIN:
        best = 0
    near = scores[:, scores[best].argmax()]
    # Of turns that are as good as the best, the one that changes least.
    best = int(np.argmax(near > near[best] - 1e-3))
    at = int(scores[best].argmax())
    scale = float(np.sqrt((mine**2).sum() / (other**2).sum()))
    return _Match(float(scores[best, at]), TURNS[best], lags[at] + _peak(scores[best], at), scale)


def _peak(score: Floats, at: int) -> float:
    """Where a parabola through a peak and its neighbours has its top, beside that peak."""
    if not 0 < at < len(score) - 1:
        return 0.0
    before, top, after = score[at - 1 : at + 2]
    bend = before - 2 * top + after
    return float((before - after) / 2 / bend) if bend else 0.0


def _mean_way(vectors: Floats) -> Floats:
    """The mean of directions: a unit vector where all are the same, shorter where they are not."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray((vectors / np.where(lengths > 0, lengths, 1.0)).mean(axis=0))


def _along_an_axis(way: Floats) -> bool:
    """Whether a direction is that of some axis, but for what a tilt may be."""
    return bool(np.abs(way).max() > np.cos(np.radians(_TILTED_DEG)) * np.linalg.norm(way))


def _degrees_from(way: Floats, other: Floats) -> float:
    length = float(np.linalg.norm(way))
    cosine = float(way @ other) / length if length else 0.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


RULES = (
    gyro_agrees_with_orientation,
    gravity_agrees_with_orientation,
    field_agrees_with_orientation,
)
