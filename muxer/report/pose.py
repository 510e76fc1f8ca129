"""Which way the camera pointed: for the lines of the page, and for what follows the video."""

from __future__ import annotations

from typing import Any

import numpy as np

from camm import Samples
from camm.frames import heading_pitch_roll
from muxer.motion import Extent
from muxer.report.arrays import Arrays
from muxer.report.series import Floats, Series

_CELLS = 100_000
"""Moments at which the dials know it: each frame of an hour at 30 frames a second."""
_PER_DEGREE = 100
_UNKNOWN = -32768


class Pose:
    """Heading, pitch and roll, filled block by block.

    `series` is for lines: heading and roll go on where they come around, 350, 360, 370. What
    follows the video needs the orientation of one moment, which lowest and highest do not tell:
    for it there are cells, in each the last sample of a short time in hundredths of degrees.
    """

    def __init__(self, extent: Extent) -> None:
        self.series = Series(extent, 3)
        self._extent = extent
        # Two samples to a cell where they are even, so that none is empty by chance.
        self._cells = np.full((min(extent.count // 2 + 1, _CELLS), 3), _UNKNOWN, np.int16)
        self._step_ns = max((extent.last_ns - extent.first_ns) / len(self._cells), 1.0)
        self._last = np.zeros(2)

    def add(self, samples: Samples) -> None:
        """Take more records of type 0."""
        heading, pitch, roll = heading_pitch_roll(samples.data)
        there = np.isfinite(heading)
        t_ns = samples.t_ns[there]
        if not len(t_ns):
            return
        degrees = np.stack([heading[there], pitch[there], roll[there]], axis=1)
        cell = ((t_ns - self._extent.first_ns) / self._step_ns).astype(np.int64)
        signed = (degrees + 180) % 360 - 180
        self._cells[np.clip(cell, 0, len(self._cells) - 1)] = np.round(signed * _PER_DEGREE)
        self.series.add(t_ns, self._unwound(degrees))

    def _unwound(self, degrees: Floats) -> Floats:
        around = np.unwrap(np.vstack([self._last, degrees[:, ::2]]), period=360, axis=0)[1:]
        self._last = around[-1]
        return np.stack([around[:, 0], degrees[:, 1], around[:, 1]], axis=1)

    def document(self, arrays: Arrays) -> dict[str, Any]:
        """The samples, where the page has them all; else the cells, -32768 where one is empty."""
        if self.series.whole:
            lines = [self.series.document(line, arrays, None) for line in range(3)]
            return {"t": lines[0]["t"], "values": [line["values"] for line in lines]}
        return {
            "first": self._extent.first_ns / 1e9,
            "step": self._step_ns / 1e9,
            "values": [arrays.add(column) for column in self._cells.T],
        }
