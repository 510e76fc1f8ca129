"""Points of a clip's pictures, followed from frame to frame: what `calibrate sync` works on.

Needs OpenCV (extra `calibrate`): corners by Shi and Tomasi, followed by Lucas and Kanade's method
in a pyramid, forth and back; those that do not come back to where they began are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType

import av
import numpy as np
import numpy.typing as npt

from camm import UsageError
from daemon.measurement import MeasurementError
from fusion.calibration.following import Tracks
from muxer.clip import Clip

_WIDEST = 960  # pixels: more cost time and tell no more
_POINTS, _QUALITY = 200, 0.01
_APART = 1 / 40  # of the width
_WINDOW, _LEVELS = (21, 21), 3
_THERE_AND_BACK_PX = 0.3

_Picture = npt.NDArray[np.uint8]


def follow_points(clip: Clip, seconds: float, watch: Callable[[float], object]) -> Tracks:
    """Points of the first `seconds` of a clip; `watch` is told how far it is.

    Where the clip tells its rolling shutter (CAMM type 1), each point has the time of its line.
    UsageError without OpenCV, MeasurementError for a clip without pictures.
    """
    cv2 = _opencv()
    if clip.video is None or not len(clip.video.pts_ns):
        raise MeasurementError(f"{clip.path} has no pictures: record one with a camera")
    shown_ns = np.sort(clip.video.pts_ns)
    last_ns = min(int(shown_ns[-1]), round(seconds * 1e9))
    skew_ns = clip.exposure.data["rolling_shutter_skew_time"]
    skew_ns = float(np.median(skew_ns)) if len(skew_ns) else 0.0

    frame_ns: list[tuple[int, int]] = []
    before: list[npt.NDArray[np.float64]] = []
    after: list[npt.NDArray[np.float64]] = []
    shape = (0, 0)
    for (first_ns, first), (second_ns, second) in pairwise(_pictures(clip.path, shown_ns)):
        if second_ns > last_ns:
            break
        watch(second_ns / max(last_ns, 1))
        shape = first.shape
        here, there = _follow(cv2, first, second)
        frame_ns.append((first_ns, second_ns))
        before.append(here)
        after.append(there)
    if not frame_ns:
        raise MeasurementError(f"{clip.path} has fewer than two pictures: record some seconds")
    height, width = shape
    pair = np.repeat(np.arange(len(before)), [len(points) for points in before])
    times = np.array(frame_ns, np.int64)
    centre = ((width - 1) / 2, (height - 1) / 2)
    points = [np.concatenate(rows) for rows in (before, after)]
    line_ns = [skew_ns * (rows[:, 1] - centre[1]) / max(height - 1, 1) for rows in points]
    return Tracks(
        pair,
        times,
        (points[0] - centre) / width,
        (points[1] - centre) / width,
        times[pair, 0] + np.rint(line_ns[0]).astype(np.int64),
        times[pair, 1] + np.rint(line_ns[1]).astype(np.int64),
        width,
    )


def _pictures(path: str, shown_ns: npt.NDArray[np.int64]) -> Iterator[tuple[int, _Picture]]:
    """Each picture as brightness (H, W), with the time that the clip's table has for it."""
    half_ns = float(np.median(np.diff(shown_ns))) / 2 if len(shown_ns) > 1 else 0.0
    try:
        with av.open(path) as container:
            for frame in container.decode(video=0):
                if frame.time is None:
                    continue
                t_ns = round(frame.time * 1e9)
                nearest = shown_ns[np.abs(shown_ns - t_ns).argmin()]
                if abs(int(nearest) - t_ns) > half_ns:
                    continue
                width = min(frame.width, _WIDEST)
                height = round(frame.height * width / frame.width)
                grey = frame.reformat(width, height, "gray").to_ndarray()
                yield int(nearest), grey.astype(np.uint8, copy=False)
    except av.FFmpegError as error:
        raise MeasurementError(f"{path} cannot be decoded: {error}") from None


def _follow(
    cv2: ModuleType, first: _Picture, second: _Picture
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where points are in both pictures, (K, 2) each: pixels from the middle of the first one."""
    none = np.empty((0, 2))
    corners = cv2.goodFeaturesToTrack(first, _POINTS, _QUALITY, first.shape[1] * _APART)
    if corners is None or not len(corners):
        return none, none
    how = {"winSize": _WINDOW, "maxLevel": _LEVELS}
    there, forth, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, None, **how)
    back, back_too, _ = cv2.calcOpticalFlowPyrLK(second, first, there, None, **how)
    here, there, back = (points.reshape(-1, 2) for points in (corners, there, back))
    good = (forth.ravel() == 1) & (back_too.ravel() == 1)
    good &= np.linalg.norm(here - back, axis=1) < _THERE_AND_BACK_PX
    good &= ((there >= 0) & (there < first.shape[::-1])).all(axis=1)
    return here[good].astype(np.float64), there[good].astype(np.float64)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ModuleNotFoundError:
        raise UsageError(
            "following points in pictures needs OpenCV: pip install 'cammcorder[calibrate]'"
        ) from None
    return cv2
