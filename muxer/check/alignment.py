"""Where the records of a log are in a clip: the shift between their times, and which are which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm import FIELD_NAMES, VALUE_DTYPES, Samples, is_vector
from muxer.sample_table import Ints

Floats = npt.NDArray[np.float64]

FURTHEST_NS = 2_000_000_000
"""What times may drift away from a steady shift in a piece that is compared."""

_FEWEST_PAIRS = 8
_BEGIN = 200
"""Records that are the same in both from which the first shift is taken."""
_DRIFT = 0.2
"""By which share of a time two clocks may differ."""
_NEIGHBOURS = 9
_ALIKE = 0.5


def columns(samples: Samples) -> dict[str, Floats]:
    """The numbers of records, by the names of their columns."""
    names = FIELD_NAMES[samples.kind]
    if is_vector(samples.kind):
        rows = samples.data.astype(np.float64)
        return {f"{names[0]}_{axis}": rows[:, n] for n, axis in enumerate("xyz")}
    return {name: samples.data[name].astype(np.float64) for name in names}


def find_shift(clip: Samples, log: Samples) -> tuple[float, str]:
    """What to add to the log's times, by the begin of both, and how it was found."""
    here, there = _equal(clip, log)
    if len(here) >= min(_FEWEST_PAIRS, len(log), len(clip)):
        # Where the clocks differ it is another shift later.
        begin = np.argsort(log.t_ns[there])[:_BEGIN]
        times_ns = log.t_ns[there[begin]]
        low, median, high = np.percentile(clip.t_ns[here[begin]] - times_ns, (25, 50, 75))
        # Coarse sensors say the same thing twice by chance, and then at any time.
        if high - low <= _DRIFT * np.ptp(times_ns) + half_period_ns(log):
            return float(median), "values"
    by_motion = _by_motion(clip, log)
    return (0.0, "times") if by_motion is None else (by_motion, "motion")


def local_shift(clip: Samples, log: Samples, shift_ns: float, tolerance_ns: float) -> Floats:
    """The shift at each time of the log: between records that are the same, or else as before."""
    here, there = _equal(clip, log)
    if len(here) < _FEWEST_PAIRS:
        return np.full(len(log), shift_ns)
    order = np.argsort(log.t_ns[there], kind="stable")
    here, there = here[order], there[order]
    shifts = (clip.t_ns[here] - log.t_ns[there]).astype(np.float64)
    half = _NEIGHBOURS // 2
    padded = np.pad(shifts, half, mode="edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=1)
    good = np.abs(shifts - usual) <= tolerance_ns
    good &= np.abs(usual - np.median(usual)) <= FURTHEST_NS
    if np.count_nonzero(good) < _FEWEST_PAIRS:
        return np.full(len(log), shift_ns)
    at = log.t_ns[there][good].astype(np.float64)
    return np.asarray(np.interp(log.t_ns.astype(np.float64), at, usual[good]))


def _equal(clip: Samples, log: Samples) -> tuple[Ints, Ints]:
    """Rows of both that have the same values, where no other row of either has them."""
    keys = []
    for samples in (clip, log):
        row = VALUE_DTYPES[samples.kind]
        size = row.itemsize * (3 if is_vector(samples.kind) else 1)
        keys.append(np.ascontiguousarray(samples.data.astype(row)).view(f"V{size}").reshape(-1))
    found = []
    for key in keys:
        values, first, counts = np.unique(key, return_index=True, return_counts=True)
        found.append((values[counts == 1], first[counts == 1]))
    (mine, here), (theirs, there) = found
    _, i, j = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
    return here[i], there[j]


def _by_motion(clip: Samples, log: Samples) -> float | None:
    """The shift at which two series are most alike; None where they are not."""
    step_ns = 2 * min(half_period_ns(clip), half_period_ns(log))
    span_ns = float(np.ptp(clip.t_ns)) + float(np.ptp(log.t_ns))
    if step_ns <= 0 or span_ns <= 0:
        return None
    step_ns = max(step_ns, span_ns / (1 << 17))
    series = []
    for samples in (clip, log):
        at = np.arange(float(samples.t_ns[0]), float(samples.t_ns[-1]) + 1, step_ns)
        t_ns = samples.t_ns.astype(np.float64)
        rows = [np.interp(at, t_ns, np.nan_to_num(each)) for each in columns(samples).values()]
        rows = [row - row.mean() for row in rows]
        series.append([row / (float(row.std()) or 1.0) for row in rows])
    length = 1 << int(len(series[0][0]) + len(series[1][0])).bit_length()
    crossed = np.zeros(length)
    for ours, theirs in zip(*series, strict=True):
        spectrum = np.fft.rfft(ours, length) * np.conj(np.fft.rfft(theirs, length))
        crossed += np.fft.irfft(spectrum, length)
    best = int(np.argmax(crossed))
    lag = best if best < length // 2 else best - length
    size = len(series[0]) * min(len(series[0][0]), len(series[1][0]))
    if crossed[best] / max(size, 1) < _ALIKE:
        return None
    before, after = crossed[best - 1], crossed[(best + 1) % length]
    bend = before - 2 * crossed[best] + after
    lag_cells = lag + (float((before - after) / 2 / bend) if bend else 0.0)
    return float(clip.t_ns[0] - log.t_ns[0]) + lag_cells * step_ns


def nearest(mine: Ints, theirs: Ints, tolerance_ns: float) -> tuple[Ints, Ints]:
    """Rows of both whose times are each other's nearest, no further apart than that."""
    if not len(mine) or not len(theirs):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    here = _closest(mine, theirs)
    there = np.arange(len(theirs))
    mutual = _closest(theirs, mine)[here] == there
    mutual &= np.abs(mine[here] - theirs) <= tolerance_ns
    return here[mutual], there[mutual]


def _closest(times: Ints, to: Ints) -> Ints:
    """The row of the sorted `times` nearest to each of `to`."""
    after = np.clip(np.searchsorted(times, to), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(to), np.int64)
    return np.asarray(after - (to - times[after - 1] < times[after] - to))


def half_period_ns(samples: Samples) -> float:
    """Half of the usual step from record to record; a second where there is none."""
    steps = np.diff(samples.t_ns)
    steps = steps[steps > 0]
    return float(np.median(steps)) / 2 if len(steps) else 1e9
