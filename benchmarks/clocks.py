"""How well stamps are made: `python -m benchmarks.clocks [--minutes N] [--seed N] [--json-lines]`.

A simulated sensor whose oscillator is 1.2 % fast and warms up by 300 ppm more fills a FIFO, which a
host drains every 20 ms: up to 0.1 ms late as a rule (one sigma), one time in twenty by up to 15 ms.
Samples are dated by those looks alone, by the chip's time stamps, or by an interrupt line that
rises when the FIFO holds what comes in 20 ms. Stamps are compared with the truth, online and worked
out afterwards, the first three seconds left out. The scatter is after the constant part, the jitter
that of the steps from sample to sample.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.table import present
from drivers.clock_fit import ClockFit
from drivers.clock_windows import fit_windows
from drivers.dating import Counter, Dating, InterruptEdges, Reading, StampedSamples

COLUMNS = {
    "stamps": "stamps",
    "dated_by": "dated by",
    "rate_hz": "Hz",
    "sd_ms": "sd ms",
    "p99_ms": "99 % ms",
    "mean_ms": "constant ms",
    "jitter_percent": "jitter %",
}
RATES_HZ = (1000.0, 225.0, 200.0)
WAYS = ("looks", "time stamps", "interrupts")

_ERROR, _WARM_UP, _WARM_UP_S = 0.012, 300e-6, 60.0
_DRAIN_NS, _WAKE_NS, _STALLS, _STALL_NS = 20e6, 100e3, 0.05, 15e6
_READ_NS = 200e3  # of the bus; what was asked for is latched somewhere within
_LATCHED = (0.1, 0.9)
_CONVERSION_NOISE_NS = 20e3
_TICKS_A_SECOND, _PHASE = 40_000, 0.37  # of the counter that stamps
_LATE_NS, _SERVED_LATE, _SERVED_LATE_NS = (
    (2e3, 9e3),
    0.01,
    200e3,
)  # an interrupt; one that had to wait
_SETTLING_S = 3.0

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Line:
    """An interrupt line on which the benchmark puts edges."""

    name = "benchmark"

    def __init__(self) -> None:
        self.coming: list[int] = []

    def edges(self) -> list[int]:
        """Those that have come."""
        edges, self.coming = self.coming, []
        return edges

    def close(self) -> None:
        """Nothing is held."""


def sample_times(rate_hz: float, seconds: float) -> Floats:
    """When the sensor takes its samples, ns."""
    nominal_s = np.arange(int(seconds * rate_hz * (1 + _ERROR))) / rate_hz
    warm = _WARM_UP * (1 - np.exp(-nominal_s / _WARM_UP_S))
    periods_ns = 1e9 / (rate_hz * (1 + _ERROR) * (1 + warm))
    return 1e12 + np.cumsum(periods_ns)


def drains(times: Floats, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """The host's looks at the FIFO: newest sample in it, and when the look began, ns."""
    due_ns = float(times[0]) + _DRAIN_NS
    while due_ns < times[-1]:
        stall_ns = random.uniform(0, _STALL_NS) if random.random() < _STALLS else 0.0
        begin_ns = due_ns + abs(random.normal(0, _WAKE_NS)) + stall_ns
        latched_ns = begin_ns + random.uniform(*_LATCHED) * _READ_NS
        yield int(np.searchsorted(times, latched_ns, side="right")) - 1, round(begin_ns)
        due_ns = max(due_ns + _DRAIN_NS, begin_ns + _READ_NS)


def measure(rate_hz: float, way: str, seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    """A row for the stamps made online and one for those made afterwards."""
    times, random = sample_times(rate_hz, seconds), np.random.default_rng(seed)
    chance = np.random.default_rng(seed + 1)  # the looks are the same for all ways
    fit, sample_ticks = ClockFit(1e9 / rate_hz), _TICKS_A_SECOND / rate_hz
    stamped, line = StampedSamples(Counter(sample_ticks, 1 << 32)), Line()
    watermark = int(0.96 * _DRAIN_NS * rate_hz / 1e9)
    edges = InterruptEdges(line, "sensor", watermark)
    online, accepted, following, emptied_ns = [], [], 0, 0
    for newest, begin_ns in drains(times, random):
        if newest < following:
            continue
        read_ns, end_ns = begin_ns + round(_READ_NS / 2), begin_ns + round(_READ_NS)
        noise_ns = _CONVERSION_NOISE_NS + _READ_NS / 12**0.5
        dating = Dating(read_ns - round(fit.longest_period_ns), read_ns, noise_ns)
        if way == "time stamps":
            # The counter shows samples in ticks, and a bit; after the level it is read in a
            # transaction of its own.
            shown_ns = end_ns + chance.uniform(*_LATCHED) * _READ_NS
            near = times[newest : newest + 9]
            shown = newest + np.interp(shown_ns, near, np.arange(len(near)))
            reading = Reading(int(shown * sample_ticks + _PHASE), end_ns, end_ns + round(_READ_NS))
            dating = stamped.date(int(newest * sample_ticks + _PHASE), reading, newest, fit, dating)
        if way == "interrupts":
            if (marked := following + watermark - 1) <= newest:
                wait_ns = chance.uniform(0, _SERVED_LATE_NS) * (chance.random() < _SERVED_LATE)
                line.coming = [round(times[marked] + chance.uniform(*_LATE_NS) + wait_ns)]
            count = newest - following + 1
            dating = edges.date((begin_ns, end_ns), emptied_ns, count, fit, dating)
        if fit.observe(newest, dating.earliest_ns, dating.latest_ns, dating.noise_ns):
            accepted.append((newest, dating.earliest_ns, dating.latest_ns, dating.noise_ns))
        online.append(fit.times(np.arange(following, newest + 1)))
        following, emptied_ns = newest + 1, end_ns
    counts, earliest, latest, noise = (np.array(column) for column in zip(*accepted, strict=True))
    afterwards = fit_windows(counts, earliest, latest, noise)
    for name, stamps in (
        ("online", np.concatenate(online)),
        ("afterwards", afterwards.times(np.arange(following))),
    ):
        figures = _figures(stamps, times, rate_hz)
        yield {"stamps": name, "dated_by": way, "rate_hz": rate_hz, **figures}


def _figures(stamps: Integers, times: Floats, rate_hz: float) -> dict[str, float]:
    errors = (stamps - times[: len(stamps)])[int(_SETTLING_S * rate_hz) :] / 1e6
    mean = float(errors.mean())
    return {
        "sd_ms": round(float(errors.std()), 5),
        "p99_ms": round(float(np.percentile(np.abs(errors - mean), 99)), 5),
        "mean_ms": round(mean, 5),
        "jitter_percent": round(float(np.diff(errors).std()) * rate_hz / 10, 5),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How well stamps are made.")
    parser.add_argument("--minutes", type=float, default=10.0, help="of simulated time")
    parser.add_argument("--seed", type=int, default=1, help="of the disturbances")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    rows = (
        row
        for rate in RATES_HZ
        for way in WAYS
        for row in measure(rate, way, options.minutes * 60, options.seed)
    )
    present("stamps", rows, COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
