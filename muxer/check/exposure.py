"""Rules for the exposure of frames: whether the lines of a picture can be given their motion."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from muxer.check.evidence import Evidence
from muxer.check.rule import Fault, rule
from muxer.check.stream import Flags
from muxer.sample_table import Ints

_ROUNDING_NS = 1_000
"""A record's time is in microseconds where a frame's is in finer ticks."""
_MISSING = 0.1
_OFF_CENTRE = 0.25
"""The share of an exposure by which frames may stand beside its centre."""


@rule("specification", "error", "stamp type 1 with the first line's start of exposure")
def exposure_holds_frame(evidence: Evidence) -> Iterator[Fault]:
    """A frame's time lies within the exposure of its lines, if that is known."""
    records, frames = evidence.exposures, evidence.frames_ns
    if not len(records) or not len(frames):
        return
    start, length = records.t_ns, _lengths(evidence)
    slack = _slack_ns(evidence)
    own = np.searchsorted(start, frames + slack, side="right") - 1
    interval = np.median(np.diff(frames)) if len(frames) > 1 else np.inf
    # A record from more than a frame ago is that of a frame before, and this one has none.
    known = (own < 0) | ((length[own] != 0) & (frames - start[own] <= interval + slack))
    outside = known & ((own < 0) | (frames > start[own] + length[own] + slack))
    if outside.any():
        yield Fault(
            f"{np.count_nonzero(outside):,} of {len(frames):,} frames lie outside the exposure "
            "that was recorded for them",
            int(frames[np.argmax(outside)]),
        )


@rule(
    "specification", "warning", "write frames at the centre of their exposure, type 1 at its start"
)
def frame_at_centre(evidence: Evidence) -> Iterator[Fault]:
    """A frame's time is the centre of its exposure, half of exposure and skew after type 1."""
    records, frames = evidence.exposures, evidence.frames_ns
    if not len(records) or not len(frames):
        return
    length = _lengths(evidence)
    own = np.searchsorted(records.t_ns, frames + _slack_ns(evidence), side="right") - 1
    # The record of a first frame may stand at time zero, where its exposure had begun before.
    known = (own >= 0) & (length[own] > 0) & (records.t_ns[own] > 0)
    if not known.any():
        return
    off = (frames - records.t_ns[own] - length[own] / 2)[known]
    median, usual = float(np.median(off)), float(np.median(length[own][known]))
    if abs(median) > max(_OFF_CENTRE * usual, _slack_ns(evidence)):
        side = "after" if median > 0 else "before"
        yield Fault(
            f"frames stand {abs(median) / 1e6:.3f} ms {side} the centre of their exposure, of "
            f"{usual / 1e6:.3f} ms",
            int(frames[known][0]),
        )


@rule("specification", "error", "write nanoseconds of the exposure and of the read-out")
def exposure_plausible(evidence: Evidence) -> Iterator[Fault]:
    """Exposure and skew are nanoseconds: not negative, nor longer than from frame to frame."""
    records, frames = evidence.exposures, evidence.frames_ns
    exposed, skew = (_field(evidence, name) for name in _FIELDS)
    negative = (exposed < 0) | (skew < 0)
    if negative.any():
        yield Fault(
            f"{_share(negative)} of exposure are negative", _first_ns(records.t_ns, negative)
        )
    if len(frames) < 2:
        return
    # Where frames are lost the others stand further apart, so the median is that of the camera.
    interval = float(np.median(np.diff(frames)))
    over = (exposed > 1.1 * interval) | (skew > 1.1 * interval)
    if over.any():
        yield Fault(
            f"{_share(over)} of exposure are longer than the {interval / 1e6:.1f} ms from frame to "
            "frame",
            _first_ns(records.t_ns, over),
            "warning",
        )


@rule("specification", "warning", "write a record of type 1 for every frame")
def exposure_of_every_frame(evidence: Evidence) -> Iterator[Fault]:
    """Type 1 is per video frame, where exposures are known at all."""
    frames, known = evidence.frames_ns, np.count_nonzero(_lengths(evidence))
    if 0 < known < (1 - _MISSING) * len(frames):
        yield Fault(f"there are {known:,} records of exposure for {len(frames):,} frames")


_FIELDS = ("pixel_exposure_time", "rolling_shutter_skew_time")


def _field(evidence: Evidence, name: str) -> Ints:
    return evidence.exposures.data[name].astype(np.int64)


def _lengths(evidence: Evidence) -> Ints:
    """From the first line's start of exposure to the last line's end; 0 where not known."""
    first, second = (_field(evidence, name) for name in _FIELDS)
    return first + second


def _slack_ns(evidence: Evidence) -> int:
    """What rounding to ticks may move a frame against its record."""
    tracks = (evidence.clip.video, *evidence.clip.camm_tracks)
    ticks = [1_000_000_000 // max(track.timescale, 1) for track in tracks if track is not None]
    return _ROUNDING_NS + max(ticks, default=0)


def _share(which: Flags) -> str:
    return f"{np.count_nonzero(which):,} of {len(which):,} records"


def _first_ns(t_ns: Ints, which: npt.NDArray[np.bool_]) -> int:
    return int(t_ns[np.argmax(which)])


RULES = (
    exposure_holds_frame,
    frame_at_centre,
    exposure_plausible,
    exposure_of_every_frame,
)
