"""Allan deviation: how a sensor at rest wanders, over times from one sample to minutes.

    noise = allan_deviation(gyro, period_s)     # gyro (N, 3) in rad/s, at rest, evenly spaced
    noise.tau_s, noise.deviation                # (M,), (M, 3): log against log is the picture
    noise.random_walk, noise.bias_instability   # (3,), (3,)

Arrays in, arrays out; calibration and the report of a clip draw the same picture by it.

Source: IEEE Std 952-1997, annex C; the overlapping estimate is of NIST SP 1065, 5.2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError

Array = npt.NDArray[np.float64]

_FEWEST = 64
_CLUSTERS = 9
"""The longest time fits so often into the measurement: fewer say it to worse than a quarter."""
_FLAT = np.sqrt(2 * np.log(2) / np.pi)  # of flicker noise, what its Allan deviation settles at
_NEAR = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Allan:
    """Allan deviations (M, ...) in the unit of the values, over averaging times (M,) in seconds."""

    tau_s: Array
    deviation: Array

    @property
    def random_walk(self) -> Array:
        """Of white noise: rad/s/sqrt(Hz), say. NaN where nowhere does the slope tell of it.

        The line of slope -1/2 at one second; a low-pass filter bends the shortest times off it. The
        density in datasheets counts positive frequencies alone, and is larger by sqrt(2).
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # what never moves has no logarithm
            deviation = np.log(self.deviation)
            slope = np.gradient(deviation, np.log(self.tau_s), axis=0)
        white = np.abs(slope + 0.5) < _NEAR
        at_one_second = deviation + np.log(self.tau_s[:, None]) / 2
        count = white.sum(axis=0)
        mean = np.where(white, at_one_second, 0.0).sum(axis=0) / np.maximum(count, 1)
        return np.where(count > 0, np.exp(mean), np.nan)

    @property
    def bias_instability(self) -> Array:
        """The floor of the curve by its theory: at most this, where it still falls at its end."""
        return np.asarray(self.deviation.min(axis=0) / _FLAT)


def allan_deviation(values: npt.ArrayLike, period_s: float, *, per_octave: int = 4) -> Allan:
    """The overlapping Allan deviation of values (N,) or (N, k), taken every `period_s` at rest.

    One-dimensional values give one column. UsageError for fewer than 64 samples.
    """
    rows = np.asarray(values, np.float64)
    rows = rows.reshape(len(rows), -1)
    if len(rows) < _FEWEST:
        raise UsageError(f"an Allan deviation needs {_FEWEST} samples or more, found {len(rows)}")
    longest = len(rows) // _CLUSTERS
    octaves = np.arange(0, np.log2(longest), 1 / per_octave)
    sizes = np.unique(np.round(2**octaves).astype(np.intp))
    # The mean goes first: the sum of an hour keeps its last digits so.
    angle = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows - rows.mean(0), axis=0)])
    deviation = [
        np.sqrt(np.mean((angle[2 * m :] - 2 * angle[m:-m] + angle[: -2 * m]) ** 2, axis=0) / 2) / m
        for m in sizes
    ]
    return Allan(np.asarray(sizes * period_s, np.float64), np.array(deviation))
