"""Rules of Street View: why a clip would be refused, as far as the file shows it.

Sources: `ProcessingFailureReason` of the Street View Publish API, whose names the rules have, with
the numbers that it gives (5 s, 0.1 s); "Street View ready" and "ready pro" specifications. Where
neither has a number the bound is ours, and a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from camm import PacketType, Samples
from camm.gps_time import gps_from_utc
from muxer.check.evidence import Evidence
from muxer.check.finding import number
from muxer.check.gps import jumpy, places_m, tells_a_place
from muxer.check.rule import Fault, rule
from muxer.gps_epoch import gps_seconds, recognise

UNPREDICTABLE = (
    *("DUPLICATE", "UNSUPPORTED_CAMERA", "NOT_OUTDOORS", "FAILED_TO_REFINE_POSITIONS", "MAST_DOWN"),
    *("CAMERA_COVERED", "TAKEDOWN", "INTERNAL"),
)
"""Reasons that rest on the service's own judgement: no file shows them."""

_GPS_GAP_NS = 5_000_000_000
_IMU_GAP_NS = 100_000_000
_LEAST_GPS_HZ = 0.9
_LEAST_IMU_HZ = 200.0
_TOLERANCE = 0.97
"""A clock may be some percent slow, and its nominal rate what is asked."""
_MOST_JITTER = 0.01
_LEAST_OVERLAP = 0.9
_LEAST_FRAMES_HZ = 5.0
_LEAST_WIDTH = 3840
_ASPECT, _ASPECT_SLACK = 2.0, 0.02
_CODECS = {"avc1", "avc3", "hvc1", "hev1", "mp4v"}
_LEAST_WAY_M = 5.0
_IMU = (PacketType.GYRO, PacketType.ACCELERATION)


@rule("street-view", "error", "record under open sky, with a receiver of 1 Hz or more")
def insufficient_gps(evidence: Evidence) -> Iterator[Fault]:
    """INSUFFICIENT_GPS: there are enough fixes, one a second or more."""
    fixes = _fixes(evidence)
    if len(fixes) < 2:
        yield Fault(f"fixes that tell a place: {len(fixes)}, expected one a second")
        return
    rate = (len(fixes) - 1) * 1e9 / max(int(fixes.t_ns[-1] - fixes.t_ns[0]), 1)
    if rate < _LEAST_GPS_HZ:
        yield Fault(f"there are {rate:.2f} fixes a second, asked is one", severity="warning")


@rule("street-view", "error", "stamp fixes and frames by one clock, from the first frame on")
def no_overlap_gps(evidence: Evidence) -> Iterator[Fault]:
    """NO_OVERLAP_GPS: fixes and frames are of the same time."""
    fixes, frames = _fixes(evidence).t_ns, evidence.frames_ns
    if len(fixes) and len(frames) and (fixes[0] > frames[-1] or fixes[-1] < frames[0]):
        yield Fault(
            f"fixes are from {fixes[0] / 1e9:.1f} to {fixes[-1] / 1e9:.1f} s, frames from "
            f"{frames[0] / 1e9:.1f} to {frames[-1] / 1e9:.1f} s"
        )


@rule("street-view", "error", "leave out records without a fix")
def invalid_gps(evidence: Evidence) -> Iterator[Fault]:
    """INVALID_GPS: fixes tell places on Earth, not (0, 0)."""
    for samples in (evidence.min_gps, evidence.gps):
        valid = tells_a_place(samples)
        if not valid.all():
            yield Fault(
                f"{np.count_nonzero(~valid):,} of {len(samples):,} records of {samples.kind.label} "
                "tell no place",
                int(samples.t_ns[np.argmin(valid)]),
                None if not valid.any() else "warning",
            )


@rule("street-view", "error", "cut the clip there: tunnels, garages and high houses take the sky")
def gps_data_gap(evidence: Evidence) -> Iterator[Fault]:
    """GPS_DATA_GAP: from fix to fix it is no longer than 5 s, from the first frame to the last."""
    fixes, frames = _fixes(evidence).t_ns, evidence.frames_ns
    if not len(fixes):
        return
    if len(frames):
        fixes = fixes[(fixes > frames[0]) & (fixes < frames[-1])]
    steps = np.diff(times := np.concatenate([frames[:1], fixes, frames[-1:]]))
    gaps = steps > _GPS_GAP_NS
    if gaps.any():
        yield Fault(
            f"there are {number(int(gaps.sum()), 'gap')} of more than 5 s between fixes, the "
            f"longest of {steps.max() / 1e9:.1f} s",
            int(times[steps.argmax()]),
        )


@rule("street-view", "error", "leave out fixes that the receiver itself calls bad")
def jumpy_gps(evidence: Evidence) -> Iterator[Fault]:
    """JUMPY_GPS: from fix to fix the camera moves no faster than it says, and no faster than cars.

    The service has no number for it: 10 m/s beyond the speed that was told, 90 m/s at most.
    """
    fixes = _fixes(evidence)
    jumps, fastest = jumpy(fixes)
    if jumps.any():
        yield Fault(
            f"{int(jumps.sum()):,} of {len(fixes):,} fixes jump, at up to {fastest:.0f} m/s",
            int(fixes.t_ns[np.argmax(jumps)]),
            "error" if jumps.mean() > 0.01 else "warning",
        )


@rule("street-view", "error", "see `cammcorder doctor` for what the sensor measures")
def invalid_imu(evidence: Evidence) -> Iterator[Fault]:
    """INVALID_IMU: angular rate and acceleration are numbers, and not all of them zero."""
    for stream in evidence.of(*_IMU):
        if stream.broken.count:
            yield Fault(
                f"{number(stream.broken.count, 'record')} of {stream.kind.label} with NaN or "
                "infinity",
                stream.broken.first_ns,
            )
        if stream.zero.count == stream.count:
            yield Fault(f"every record of {stream.kind.label} is zero", stream.first_ns)


@rule("street-view", "error", "record angular rate and acceleration at 200 Hz (`--imu-rate 200`)")
def insufficient_imu(evidence: Evidence) -> Iterator[Fault]:
    """INSUFFICIENT_IMU: there are angular rates and accelerations; ready cameras have 200 Hz."""
    for kind in _IMU:
        streams = evidence.of(kind)
        if not streams:
            yield Fault(f"there is no {kind.label}")
        elif streams[0].rate_hz < _TOLERANCE * _LEAST_IMU_HZ:
            yield Fault(
                f"{kind.label} has {streams[0].rate_hz:.1f} Hz, asked are 200", severity="warning"
            )


@rule("street-view", "warning", "stamp samples by the chip's own count or interrupt, not by polls")
def imu_jitter(evidence: Evidence) -> Iterator[Fault]:
    """Samples of the motion sensor come evenly, to 1 % of their period (ready pro)."""
    for stream in evidence.of(*_IMU):
        if stream.jitter > _MOST_JITTER:
            yield Fault(f"the steps of {stream.kind.label} differ by {stream.jitter:.1%}")


@rule("street-view", "error", "see what the recorder says of lost samples; cut the clip there")
def imu_data_gap(evidence: Evidence) -> Iterator[Fault]:
    """IMU_DATA_GAP: from sample to sample it is no longer than 0.1 s."""
    for stream in evidence.of(*_IMU):
        starts, lengths = stream.gaps(_IMU_GAP_NS)
        if len(starts):
            yield Fault(
                f"{stream.kind.label} has {number(len(starts), 'gap')} of more than 0.1 s, the "
                f"longest of {lengths.max() / 1e9:.3f} s",
                int(starts[lengths.argmax()]),
            )


@rule("street-view", "error", "start the sensors before the camera, and stop them after it")
def insufficient_overlap_time_series(evidence: Evidence) -> Iterator[Fault]:
    """INSUFFICIENT_OVERLAP_TIME_SERIES: film, fixes and motion are of the same time, nine tenths of
    the film at the least.
    """
    frames, fixes = evidence.frames_ns, _fixes(evidence)
    streams = evidence.of(*_IMU)
    if len(frames) < 2 or not len(fixes) or not streams:
        return
    first = max(frames[0], fixes.t_ns[0], *(stream.first_ns for stream in streams))
    last = min(frames[-1], fixes.t_ns[-1], *(stream.last_ns for stream in streams))
    # A fix a second may leave up to a second at each end.
    film_ns = int(frames[-1] - frames[0])
    missing_ns = film_ns - max(int(last - first), 0)
    if missing_ns > max((1 - _LEAST_OVERLAP) * film_ns, 2_000_000_000):
        yield Fault(
            f"film, fixes and motion overlap for {max(int(last - first), 0) / 1e9:.1f} of "
            f"{film_ns / 1e9:.1f} s",
            int(frames[0]),
            "error" if missing_ns > film_ns / 2 else "warning",
        )


@rule("street-view", "error", "film with five frames a second or more")
def insufficient_video_frames(evidence: Evidence) -> Iterator[Fault]:
    """INSUFFICIENT_VIDEO_FRAMES: there is a film; ready cameras have 5 frames a second."""
    frames = evidence.frames_ns
    if len(frames) < 2:
        yield Fault(f"frames: {len(frames)}, expected five a second")
        return
    rate = (len(frames) - 1) * 1e9 / max(int(frames[-1] - frames[0]), 1)
    if rate < _LEAST_FRAMES_HZ * _TOLERANCE:
        yield Fault(f"there are {rate:.2f} frames a second, asked are 5", severity="warning")


@rule("street-view", "error", "film with 3840 x 1920 or more")
def low_resolution(evidence: Evidence) -> Iterator[Fault]:
    """LOW_RESOLUTION: the film is 4K, 3840 pixels wide or more."""
    video = evidence.clip.video
    if video is not None and video.width < _LEAST_WIDTH:
        yield Fault(f"the film is {video.width} x {video.height}, asked is a width of 3840")


@rule("street-view", "error", "stitch to an equirectangular picture, twice as wide as high")
def invalid_video_dimensions(evidence: Evidence) -> Iterator[Fault]:
    """INVALID_VIDEO_DIMENSIONS: a panorama is twice as wide as it is high."""
    video = evidence.clip.video
    if video is None or not video.width or not video.height:
        return
    if abs(video.width / video.height - _ASPECT) > _ASPECT_SLACK:
        yield Fault(f"the film is {video.width} x {video.height}, asked is 2:1")


@rule("street-view", "warning", "encode as H.264 or H.265")
def invalid_video_format(evidence: Evidence) -> Iterator[Fault]:
    """INVALID_VIDEO_FORMAT: the film is of a codec that everybody decodes."""
    video = evidence.clip.video
    if video is not None and video.codec not in _CODECS:
        yield Fault(f"the film is of the codec {video.codec!r}")


@rule("street-view", "error", "repair it: `cammcorder repair`")
def corrupt_video(evidence: Evidence) -> Iterator[Fault]:
    """CORRUPT_VIDEO: all samples lie within the file. (Whether they decode is not tried.)"""
    video = evidence.clip.video
    if video is None or not len(video.table):
        return
    beyond = video.table.offset + video.table.size > evidence.clip.size
    if beyond.any():
        yield Fault(
            f"{np.count_nonzero(beyond):,} of {len(beyond):,} frames lie outside the file",
            int(video.pts_ns[np.argmax(beyond)]),
        )


@rule("street-view", "error", "set the camera's clock, or take the date from GPS")
def invalid_capture_time(evidence: Evidence) -> Iterator[Fault]:
    """INVALID_CAPTURE_TIME: the clip was not made in the future."""
    clip, latest = evidence.clip, evidence.now + timedelta(days=1)
    if clip.created is not None and clip.created > latest:
        yield Fault(f"the creation time is {clip.created:%Y-%m-%d %H:%M}, which is yet to come")
    time = evidence.gps.data["time_gps_epoch"]
    dated = gps_seconds(time, recognise(time, clip.created))
    late = dated > gps_from_utc(latest)
    if late.any():
        yield Fault(
            f"{int(late.sum()):,} of {len(late):,} fixes are of a time that is yet to come",
            int(evidence.gps.t_ns[np.argmax(late)]),
        )


@rule("street-view", "warning", "move on: the service makes a track of pictures, some metres apart")
def insufficient_movement(evidence: Evidence) -> Iterator[Fault]:
    """INSUFFICIENT_MOVEMENT: the camera moves on; the service has no number for it."""
    fixes = _fixes(evidence)
    if len(fixes) < 2:
        return
    width_m = float(np.linalg.norm(np.ptp(places_m(fixes), axis=0)))
    if width_m < _LEAST_WAY_M:
        yield Fault(f"all fixes lie within {width_m:.1f} m")


@rule("street-view", "error", "write maker and model to moov/udta/manu and modl")
def maker_and_model(evidence: Evidence) -> Iterator[Fault]:
    """Ready cameras fill in `moov/udta/manu` and `modl`."""
    for name, value in (("maker", evidence.clip.make), ("model", evidence.clip.model)):
        if not value:
            yield Fault(f"the {name} of the camera is not told")


def _fixes(evidence: Evidence) -> Samples:
    """The records of type 6, or else of type 5, that tell a place."""
    samples = evidence.gps if len(evidence.gps) else evidence.min_gps
    return samples[tells_a_place(samples)]


RULES = (
    insufficient_gps,
    no_overlap_gps,
    invalid_gps,
    gps_data_gap,
    jumpy_gps,
    invalid_imu,
    insufficient_imu,
    imu_jitter,
    imu_data_gap,
    insufficient_overlap_time_series,
    insufficient_video_frames,
    low_resolution,
    invalid_video_dimensions,
    invalid_video_format,
    corrupt_video,
    invalid_capture_time,
    insufficient_movement,
    maker_and_model,
)
