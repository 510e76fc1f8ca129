"""The frames of the video against the records of their exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from camm import Samples
from muxer.report.series import Floats
from muxer.sample_table import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Sync:
    """Exposure records (type 1) and the frames nearest to the centre of their exposure.

    A record stands at the start of the exposure of the first line; the middle of the picture is
    exposed half the exposure and half the skew later, and that is the time of a frame of ours.

    `t_ns`      int64[N], the frame's time
    `offset_ms` float64[N], the frame's time minus that centre
    """

    t_ns: Ints
    offset_ms: Floats
    exposure_ms: Floats
    skew_ms: Floats
    frames: int
    unknown: int

    @classmethod
    def of(cls, exposures: Samples, frames_ns: Ints) -> Self | None:
        """None where there are no frames or no record that tells an exposure."""
        exposure = exposures.data["pixel_exposure_time"].astype(np.int64)
        skew = exposures.data["rolling_shutter_skew_time"].astype(np.int64)
        known = exposure > 0
        if not len(frames_ns) or not known.any():
            return None
        # At time zero stands the record of the first frame, whose exposure began before.
        known &= exposures.t_ns > 0
        exposure, skew = exposure[known], skew[known]
        centre = exposures.t_ns[known] + (exposure + skew) // 2
        after = np.clip(np.searchsorted(frames_ns, centre), 1, max(len(frames_ns) - 1, 1))
        after = np.minimum(after, len(frames_ns) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(frames_ns[before] - centre) < np.abs(frames_ns[after] - centre)
        frame = frames_ns[np.where(nearer, before, after)]
        return cls(
            frame,
            (frame - centre) / 1e6,
            exposure / 1e6,
            skew / 1e6,
            len(frames_ns),
            len(exposures) - int(known.sum()),
        )
