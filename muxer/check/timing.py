"""Rules for the records and their times: whether all readers see the same moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from camm import PacketType
from muxer.check.finding import Finding, number
from muxer.clip import Clip
from muxer.sample_table import Ints

_IMU_GAP_NS = 100_000_000
_GPS_GAP_NS = 5_000_000_000
_ROUNDING_NS = 1_000
"""A record's time is in microseconds where a frame's is in finer ticks."""


def some_records(clip: Clip) -> Iterator[Finding]:
    """A track without a record is none."""
    if not len(clip.records.kind):
        yield Finding("some_records", "error", "the metadata track holds no record")


def well_formed_records(clip: Clip) -> Iterator[Finding]:
    """One record a sample, of its type's exact size, reserved field zero, type known.

    Most readers take only the first record of a sample; mapillary_tools rejects the whole file for
    one that is cut short.
    """
    for reason, count in clip.records.faults.items():
        yield Finding("well_formed_records", "error", f"{reason}: {count:,}")


def starts_at_zero(clip: Clip) -> Iterator[Finding]:
    """Readers without edit lists take the first record for the movie's time zero."""
    t_ns = clip.records.t_ns
    if len(t_ns) and t_ns[0] != 0:
        yield Finding(
            "starts_at_zero",
            "error",
            f"the first record is at {t_ns[0] / 1e9:.6f} s, not at 0: readers that know no edit "
            "list shift everything by that",
            t_ns[0] / 1e9,
        )


def ordered_in_time(clip: Clip) -> Iterator[Finding]:
    """Presentation times never run backwards."""
    t_ns = clip.records.t_ns
    back = np.flatnonzero(np.diff(t_ns) < 0)
    if len(back):
        yield Finding(
            "ordered_in_time",
            "error",
            f"times run backwards at {number(len(back), 'record')}",
            t_ns[back[0] + 1] / 1e9,
        )


def paired_imu(clip: Clip) -> Iterator[Finding]:
    """Gyroflow pairs the nth angular rate with the nth acceleration, whatever their times."""
    gyro, acceleration = clip.gyro.t_ns, clip.acceleration.t_ns
    if not len(gyro) or not len(acceleration):
        return
    if len(gyro) != len(acceleration):
        yield Finding(
            "paired_imu",
            "error",
            f"there are {len(gyro):,} records of gyro and {len(acceleration):,} of acceleration: "
            "readers that pair them by number mix up their times",
        )
        return
    apart = np.flatnonzero(gyro != acceleration)
    if len(apart):
        largest = int(np.abs(gyro - acceleration).max())
        yield Finding(
            "paired_imu",
            "error",
            f"gyro and acceleration have different times in {len(apart):,} of {len(gyro):,} pairs, "
            f"by up to {largest / 1e6:.3f} ms",
            gyro[apart[0]] / 1e9,
        )


def exposure_holds_frame(clip: Clip) -> Iterator[Finding]:
    """A frame's time lies within the exposure of its lines, if that is known."""
    records, video = clip.exposure, clip.video
    if not len(records) or video is None or not len(video.table):
        return
    frames = np.sort(video.pts_ns)
    order = np.argsort(records.t_ns, kind="stable")
    start = records.t_ns[order]
    length = sum(
        records.data[name][order].astype(np.int64)
        for name in ("pixel_exposure_time", "rolling_shutter_skew_time")
    )
    slack = _ROUNDING_NS + 1_000_000_000 // video.timescale
    own = np.searchsorted(start, frames + slack, side="right") - 1
    known = (own < 0) | (length[own] != 0)
    outside = known & ((own < 0) | (frames > start[own] + length[own] + slack))
    if outside.any():
        yield Finding(
            "exposure_holds_frame",
            "error",
            f"{np.count_nonzero(outside):,} of {len(frames):,} frames lie outside the exposure "
            "that was recorded for them",
            frames[np.argmax(outside)] / 1e9,
        )


def imu_without_gaps(clip: Clip) -> Iterator[Finding]:
    """Street View refuses a clip for a gap of more than 0.1 s."""
    for kind in (PacketType.GYRO, PacketType.ACCELERATION):
        yield from _gaps("imu_without_gaps", clip, kind, _IMU_GAP_NS)


def gps_without_gaps(clip: Clip) -> Iterator[Finding]:
    """Street View refuses a clip for a gap of more than 5 s."""
    for kind in (PacketType.MIN_GPS, PacketType.GPS):
        yield from _gaps("gps_without_gaps", clip, kind, _GPS_GAP_NS)


def _gaps(rule: str, clip: Clip, kind: PacketType, limit_ns: int) -> Iterator[Finding]:
    t_ns: Ints = np.sort(clip.samples(kind).t_ns)
    steps = np.diff(t_ns)
    gaps = np.flatnonzero(steps > limit_ns)
    if len(gaps):
        yield Finding(
            rule,
            "warning",
            f"{kind.label} has {number(len(gaps), 'gap')} of more than {limit_ns / 1e9:g} s, the "
            f"longest of {steps.max() / 1e9:.3f} s",
            t_ns[gaps[0]] / 1e9,
        )


RULES: tuple[Callable[[Clip], Iterator[Finding]], ...] = (
    some_records,
    well_formed_records,
    starts_at_zero,
    ordered_in_time,
    paired_imu,
    exposure_holds_frame,
    imu_without_gaps,
    gps_without_gaps,
)
