"""How well stamps are made: `python -m benchmarks.clocks [--minutes N] [--seed N] [--json-lines]`.

A simulated sensor whose oscillator is 1.2 % fast and warms up by 300 ppm more fills a FIFO, which a
host drains every 20 ms: up to 0.1 ms late as a rule (one sigma), one time in twenty by up to 15 ms.
Stamps are compared with the truth, online and worked out afterwards, the first three seconds left
out. The scatter is after the constant part, the jitter that of the steps from sample to sample.
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

COLUMNS = {
    "stamps": "stamps",
    "rate_hz": "Hz",
    "sd_ms": "sd ms",
    "p99_ms": "99 % ms",
    "mean_ms": "constant ms",
    "jitter_percent": "jitter %",
}
RATES_HZ = (1000.0, 225.0)

_ERROR, _WARM_UP, _WARM_UP_S = 0.012, 300e-6, 60.0
_DRAIN_NS, _WAKE_NS, _STALLS, _STALL_NS = 20e6, 100e3, 0.05, 15e6
_READ_NS = 200e3  # of the bus; the count is latched somewhere within
_CONVERSION_NOISE_NS = 20e3
_SETTLING_S = 3.0

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def sample_times(rate_hz: float, seconds: float) -> Floats:
    """When the sensor takes its samples, ns."""
    nominal_s = np.arange(int(seconds * rate_hz * (1 + _ERROR))) / rate_hz
    warm = _WARM_UP * (1 - np.exp(-nominal_s / _WARM_UP_S))
    periods_ns = 1e9 / (rate_hz * (1 + _ERROR) * (1 + warm))
    return 1e12 + np.cumsum(periods_ns)


def drains(times: Floats, seed: int) -> Iterator[tuple[int, int, float]]:
    """The host's looks at the FIFO: newest sample in it, when it was read, and how sure that is."""
    random = np.random.default_rng(seed)
    due_ns = float(times[0]) + _DRAIN_NS
    while due_ns < times[-1]:
        stall_ns = random.uniform(0, _STALL_NS) if random.random() < _STALLS else 0.0
        begin_ns = due_ns + abs(random.normal(0, _WAKE_NS)) + stall_ns
        latched_ns = begin_ns + random.uniform(0.1, 0.9) * _READ_NS
        newest = int(np.searchsorted(times, latched_ns, side="right")) - 1
        noise_ns = _CONVERSION_NOISE_NS + _READ_NS / 12**0.5
        yield newest, round(begin_ns + _READ_NS / 2), noise_ns
        due_ns = max(due_ns + _DRAIN_NS, begin_ns + _READ_NS)


def measure(rate_hz: float, seconds: float, seed: int) -> Iterator[dict[str, Any]]:
    """A row for the stamps made online and one for those made afterwards."""
    times = sample_times(rate_hz, seconds)
    fit = ClockFit(1e9 / rate_hz)
    online, accepted, following = [], [], 0
    for newest, read_ns, noise_ns in drains(times, seed):
        if newest < following:
            continue
        earliest_ns = read_ns - round(fit.longest_period_ns)
        if fit.observe(newest, earliest_ns, read_ns, noise_ns):
            accepted.append((newest, earliest_ns, read_ns, noise_ns))
        online.append(fit.times(np.arange(following, newest + 1)))
        following = newest + 1
    counts, earliest, latest, noise = (np.array(column) for column in zip(*accepted, strict=True))
    afterwards = fit_windows(counts, earliest, latest, noise)
    for name, stamps in (
        ("online", np.concatenate(online)),
        ("afterwards", afterwards.times(np.arange(following))),
    ):
        yield {"stamps": name, "rate_hz": rate_hz, **_figures(stamps, times, rate_hz)}


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
    rows = (row for rate in RATES_HZ for row in measure(rate, options.minutes * 60, options.seed))
    present("stamps", rows, COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
