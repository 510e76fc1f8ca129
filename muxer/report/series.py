"""Values over time in a page that stays small: as they are, or of very many the extremes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.motion import Extent
from muxer.report.arrays import Arrays
from muxer.sample_table import Ints

Floats: TypeAlias = npt.NDArray[np.float64]

ROWS = 16_000
"""Rows of a series: sixteen to a pixel column of the page; three lines are half a megabyte."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one line comes to; NaN where it has no finite value."""

    lowest: float
    mean: float
    highest: float
    deviation: float


class Series:
    """Lines that share their times, filled block by block in memory that does not grow.

    Up to ROWS samples are kept as they are. Of more, time is cut into ROWS equal stretches, and of
    each are kept the lowest and the highest value: no peak is lost, and where nothing was measured
    there is nothing. What is not finite is not drawn. `whole` says that nothing was cut.
    """

    def __init__(self, extent: Extent, lines: int) -> None:
        self._extent = extent
        self.whole = extent.count <= ROWS
        self._blocks: list[tuple[Ints, npt.NDArray[np.float32]]] = []
        self._low = np.full((lines, 0 if self.whole else ROWS), np.nan, np.float32)
        self._high = self._low.copy()
        self._step_ns = max((extent.last_ns - extent.first_ns) / ROWS, 1.0)
        self._count, self._sum, self._squares = (np.zeros(lines) for _ in range(3))
        self._about = np.full(lines, np.nan)  # sums are taken from here: squares keep their digits
        self._lowest, self._highest = np.full(lines, np.nan), np.full(lines, np.nan)

    def add(self, t_ns: Ints, values: npt.NDArray[Any]) -> None:
        """Take N more rows, (N, lines)."""
        if not len(t_ns):
            return
        columns = np.array(values.T, np.float64, order="C")
        columns[~np.isfinite(columns)] = np.nan
        self._count_in(columns)
        with np.errstate(over="ignore"):
            single = columns.astype(np.float32)
        if self.whole:
            self._blocks.append((t_ns, single))
            return
        stretch = ((t_ns - self._extent.first_ns) / self._step_ns).astype(np.int64)
        stretch = np.clip(stretch, 0, ROWS - 1)
        firsts = np.flatnonzero(np.diff(stretch, prepend=-1))
        # Times may step back, so a stretch may come up more than once.
        for line, column in enumerate(single):
            np.fmin.at(self._low[line], stretch[firsts], np.fmin.reduceat(column, firsts))
            np.fmax.at(self._high[line], stretch[firsts], np.fmax.reduceat(column, firsts))

    def _count_in(self, columns: Floats) -> None:
        there = np.isfinite(columns)
        first = columns[np.arange(len(columns)), there.argmax(axis=1)]
        self._about = np.where(np.isnan(self._about), first, self._about)
        off = np.where(there, columns - self._about[:, None], 0.0)
        self._count += there.sum(axis=1)
        self._sum += off.sum(axis=1)
        self._squares += np.einsum("ij,ij->i", off, off)
        self._lowest = np.fmin(self._lowest, np.fmin.reduce(columns, axis=1))
        self._highest = np.fmax(self._highest, np.fmax.reduce(columns, axis=1))

    @property
    def figures(self) -> list[Figures]:
        """Of each line, of all samples."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sum / self._count
            spread = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0.0))
        columns = (self._lowest, mean + self._about, self._highest, spread)
        return [Figures(*row) for row in np.transpose(columns).tolist()]

    def document(self, line: int, arrays: Arrays, gap_s: float | None) -> dict[str, Any]:
        """What the page draws of a line, which is open over more than `gap_s`, None for never."""
        if not self.whole:
            return {
                "first": self._extent.first_ns / 1e9,
                "step": self._step_ns / 1e9,
                "each": self._extent.count / ROWS,
                "low": arrays.add(self._low[line]),
                "high": arrays.add(self._high[line]),
            }
        t_ns = np.concatenate([t_ns for t_ns, _ in self._blocks] or [np.empty(0, np.int64)])
        values = np.concatenate([columns[line] for _, columns in self._blocks] or [self._low[line]])
        order = np.argsort(t_ns, kind="stable")
        return {
            "gap": gap_s,
            "t": arrays.add(t_ns[order] / 1e9),
            "values": arrays.add(values[order]),
        }
