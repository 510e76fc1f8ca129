"""How right the orientation is: `python -m benchmarks.orientation FOLDER`.

FOLDER holds trials against an optical system, NAME.npz as those of BROAD (Laidig, Caruso, Cereatti,
Seel, Data 6(7):72, 2021): `gyr` rad/s, `acc` m/s^2, `mag` uT, `quat` the truth from sensor axes to
east-north-up, scalar first, `movement` where it counts, `rate` Hz. Each goes through the fuser of a
recording, a tenth of a second at a time, and through that of `cammcorder fuse`. A JSON object a
trial and mode, then one with the means: degrees, rms while it moves; the processor's microseconds a
sample.

Stamps say when something was measured. BROAD's say when it was told: the gyroscope lags the optical
system by 4.2 ms (correlation of angular rates; 4.0 to 4.3 in six trials), as much as the group
delays that our drivers take off the stamps. `--late-ms 0` leaves that in.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from camm.frames import (
    CAMM_FROM_ENU,
    Array,
    conjugate,
    from_angle_axis,
    interpolate,
    multiply,
)
from camm.samples import Samples
from drivers.clock_fit import ClockFit
from fusion.acausal_fuser import AcausalFuser
from fusion.fuser import OrientationFuser
from fusion.orientation import OFFLINE, filters

MODES = ("online", "offline")
FIGURES = ("total", "heading", "inclination", "us_per_sample")

_BEGIN_NS = 1_000_000_000_000
_BLOCK_NS = 100_000_000
_LOOK_NS, _WAKE_NS = 20_700_000, 100_000  # at a FIFO, in step with no rate; how late as a rule
_COLD_S = 5.0  # after the motion began
_SEED = 1

Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A trial: rows of the sensor, where they truly were, and when; int64 ns."""

    name: str
    rate_hz: float
    t_ns: Times
    gyro: Array
    accel: Array
    mag: Array
    truth: Array
    moves: npt.NDArray[np.bool_]

    @classmethod
    def load(cls, path: Path) -> Self:
        """The trial of a file."""
        with np.load(path) as data:
            rate_hz = float(data["rate"])
            columns = (np.asarray(data[key], np.float64) for key in ("gyr", "acc", "mag", "quat"))
            gyro, accel, mag, truth = map(np.ascontiguousarray, columns)
            moves = data["movement"].astype(np.bool_) & np.isfinite(truth).all(axis=1)
        t_ns = _BEGIN_NS + np.round(np.arange(len(gyro)) * 1e9 / rate_hz).astype(np.int64)
        return cls(path.stem, rate_hz, t_ns, gyro, accel, mag, truth, moves)

    def from_the_midst(self) -> Trial:
        """What is left for one who comes when it moves already."""
        first = int(np.argmax(self.moves)) + round(_COLD_S * self.rate_hz)
        rows = slice(first, None)
        columns = ("t_ns", "gyro", "accel", "mag", "truth", "moves")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})


def stamps(trial: Trial, clock: float, random: np.random.Generator) -> tuple[Times, int]:
    """What a clock fit makes of looks at a chip whose clock is so much too fast, and its period.

    The period is that of the first tenth of a second, as in a recording.
    """
    fit = ClockFit(1e9 * clock / trial.rate_hz)
    made: list[Times] = []
    told, period_ns, hand_over_ns = 0, 0, int(trial.t_ns[0]) + _BLOCK_NS
    due_ns = float(trial.t_ns[0]) + _LOOK_NS
    while told < len(trial.t_ns):
        look_ns = round(due_ns + abs(random.normal(0, _WAKE_NS)))
        seen = int(trial.t_ns.searchsorted(look_ns, side="right"))
        fit.observe(seen - 1, look_ns - round(fit.longest_period_ns), look_ns, 0.0)
        if look_ns >= hand_over_ns or seen == len(trial.t_ns):
            made.append(fit.times(np.arange(told, seen)))
            told, hand_over_ns = seen, look_ns + _BLOCK_NS
            period_ns = period_ns or round(fit.period_ns)
        due_ns += _LOOK_NS
    return np.concatenate(made), period_ns


def fused(trial: Trial, t_ns: Times, period_ns: int, name: str) -> Samples:
    """The orientations of a filter, given the rows in blocks as a recording has them."""
    fuser = AcausalFuser(np.eye(3)) if name == OFFLINE else OrientationFuser(name, np.eye(3))
    cuts = t_ns.searchsorted(np.arange(t_ns[0], t_ns[-1] + _BLOCK_NS, _BLOCK_NS))
    parts = []
    for first, last in zip(cuts, [*cuts[1:], len(t_ns)], strict=True):
        rows = slice(first, last)
        fuser.add_mag(t_ns[rows], trial.mag[rows])
        fuser.add_imu(t_ns[rows], trial.gyro[rows], trial.accel[rows], period_ns)
        parts.append(fuser.take())
    parts.append(fuser.flush())
    there = [part for part in parts if part is not None]
    return Samples.concatenate(there[0].kind, there)


def errors(trial: Trial, orientation: Samples, late_ns: int) -> dict[str, float]:
    """Degrees, rms while it moves, of orientations against the truth at its times."""
    world = multiply(conjugate(CAMM_FROM_ENU), from_angle_axis(orientation.data))
    at_ns, truth = trial.t_ns[trial.moves], trial.truth[trial.moves]
    found = interpolate(orientation.t_ns - late_ns, world, at_ns)
    w, x, y, z = np.abs(multiply(found, conjugate(truth))).T
    radians = {
        "total": 2 * np.arctan2(np.sqrt(x * x + y * y + z * z), w),
        "heading": 2 * np.arctan2(z, w),
        "inclination": 2 * np.arctan2(np.hypot(x, y), np.hypot(w, z)),
    }
    return {name: float(np.degrees(np.sqrt(np.mean(e * e)))) for name, e in radians.items()}


def measure(
    trial: Trial, name: str, *, lose: float = 0.0, clock: float | None = None, late_ms: float = 0.0
) -> dict[str, float]:
    """The figures of one filter on one trial."""
    random = np.random.default_rng(_SEED)
    kept = np.flatnonzero(random.random(len(trial.t_ns)) >= lose)
    t_ns, period_ns = trial.t_ns, round(1e9 / trial.rate_hz)
    if clock is not None:
        t_ns, period_ns = stamps(trial, clock, random)
    rest = replace(trial, gyro=trial.gyro[kept], accel=trial.accel[kept], mag=trial.mag[kept])
    begin = time.process_time()
    orientation = fused(rest, t_ns[kept], period_ns, name)
    seconds = time.process_time() - begin
    return {
        **errors(trial, orientation, round(late_ms * 1e6)),
        "us_per_sample": seconds / len(kept) * 1e6,
    }


def rows(
    folder: Path, names: Sequence[tuple[str, str]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """A row for each trial and mode, then the means of each mode."""
    of_mode: dict[str, list[dict[str, float]]] = {mode: [] for mode, _ in names}
    for path in sorted(folder.glob("*.npz")):
        trial = Trial.load(path)
        if options.cold:
            trial = trial.from_the_midst()
        for mode, name in names:
            figures = measure(
                trial, name, lose=options.lose, clock=options.clock, late_ms=options.late_ms
            )
            of_mode[mode].append(figures)
            yield {"trial": trial.name, "mode": mode, "filter": name, **_rounded(figures)}
    for mode, name in names:
        if found := of_mode[mode]:
            means = {key: float(np.mean([row[key] for row in found])) for key in FIGURES}
            row = {"trial": "mean", "mode": mode, "filter": name, "trials": len(found)}
            yield {**row, **_rounded(means)}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 3) for key, value in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How right the orientation is.")
    parser.add_argument("folder", type=Path, help="of trials, NAME.npz")
    parser.add_argument("--filter", choices=filters(), default="vqf", help="online")
    parser.add_argument("--lose", type=float, default=0.0, help="this part of the samples")
    parser.add_argument(
        "--clock", type=float, help="stamps are made by a clock fit, of a chip so much too fast"
    )
    parser.add_argument("--cold", action="store_true", help="begin 5 s after the motion has")
    parser.add_argument("--late-ms", type=float, default=4.2, help="of the trials' stamps")
    options = parser.parse_args()
    if not any(options.folder.glob("*.npz")):
        parser.error(f"{options.folder} holds no trials: expected NAME.npz")
    names = [(MODES[0], options.filter), (MODES[1], OFFLINE)]
    for row in rows(options.folder, names, options):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
