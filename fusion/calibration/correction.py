"""What a fit of a triad of axes comes to: an offset and a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm.frames import Array


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """true = matrix @ (said - bias); `bias` (3,) or a row for each sample, `matrix` (3, 3)."""

    bias: Array
    matrix: Array

    def apply(self, said: npt.ArrayLike) -> Array:
        """What was true, of what the sensor said, (N, 3)."""
        return (np.asarray(said, np.float64) - self.bias) @ self.matrix.T

    def undo(self, true: npt.ArrayLike) -> Array:
        """What the sensor said, of what `apply` made of it, (N, 3)."""
        return np.linalg.solve(self.matrix, np.asarray(true, np.float64).T).T + self.bias

    def least_of(self, full_scale: float) -> float:
        """What an axis comes out as, at the least, that stood at its full scale."""
        if np.isinf(full_scale):  # a log's sensor, of which nothing is known
            return full_scale
        offset = np.abs(self.bias)
        gain = np.abs(self.matrix)
        own = gain.diagonal() * (full_scale - offset)
        others = gain @ (full_scale + offset) - gain.diagonal() * (full_scale + offset)
        return float((own - others).min())
