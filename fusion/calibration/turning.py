"""How far a gyroscope has turned: its rates summed up to orientations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array, from_angle_axis, multiply


def integrate(t_ns: npt.NDArray[np.int64], gyro: Array) -> Array:
    """Orientations (N, 4), from sensor axes to those at the first sample, of rates (N, 3) in rad/s.

    Between samples the rate is the mean of both. Bias and noise add up: only differences over some
    seconds are worth anything.
    """
    step_s = np.diff(t_ns)[:, None] / 1e9
    turns = from_angle_axis((gyro[1:] + gyro[:-1]) / 2 * step_s)
    q = np.concatenate([[[1.0, 0.0, 0.0, 0.0]], turns])
    # Products of all that came before, by doubling: log N rounds over arrays, no loop over samples.
    reach = 1
    while reach < len(q):
        q[reach:] = multiply(q[:-reach], q[reach:])
        reach *= 2
    return np.asarray(q / np.linalg.norm(q, axis=1, keepdims=True))
