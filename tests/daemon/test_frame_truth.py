"""When a frame was exposed: the clip, other people's readers and the picture itself agree.

The simulated camera prints it into each picture, and the truth file has it.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from faulty_films import scenario
from flow import Picture, disagreement
from stamps import lumas, stamps

from daemon.camcorder import Camcorder
from daemon.configuration import StorageSettings
from daemon.rig import simulated_rig
from daemon.session import RecordingSession
from daemon.shelf import Shelf
from muxer import reader

SECOND = 1_000_000_000
MICROSECOND = 1_000
DROPPED = {"kind": "drop_frames", "at_s": 6.0, "for_s": 0.3}
LATE = {"kind": "stall", "part": "camera", "at_s": 7.0, "for_s": 0.7}
LOOSE = {"kind": "unplug", "part": "camera", "at_s": 8.0, "for_s": 1.0}
HANGING = {"kind": "drop_frames", "at_s": 7.0, "for_s": 3.5}


def varying(folder: Path, *faults, **changes) -> Path:
    """The walk, with a small picture whose exposure goes from 4 ms to 12 and back."""
    path = scenario(folder, "walk", *faults, **{"width": 256, "height": 144, **changes})
    text = path.read_text()
    path.write_text(text.replace("[camera]", "[camera]\nlongest_exposure_ns = 12_000_000"))
    return path


@dataclass(frozen=True)
class Shutters:
    """Of F frames in the order of showing, CLOCK_MONOTONIC nanoseconds."""

    centre_ns: np.ndarray
    start_ns: np.ndarray
    exposure_ns: np.ndarray
    skew_ns: np.ndarray

    def assert_near(self, other: "Shutters") -> None:
        for ours, theirs in zip(self.columns, other.columns, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=MICROSECOND, rtol=0)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        return self.centre_ns, self.start_ns, self.exposure_ns, self.skew_ns


def written(path: Path) -> Shutters:
    """As the clip says it."""
    with reader.open(path) as clip:
        zero_ns = clip.metadata["movie"]["zero_monotonic_ns"]
        exposure = clip.exposure.data
        return Shutters(
            clip.video.pts_ns + zero_ns,
            clip.exposure.t_ns + zero_ns,
            exposure["pixel_exposure_time"],
            exposure["rolling_shutter_skew_time"],
        )


def printed(path: Path) -> Shutters:
    """As the decoded pictures say it."""
    found = stamps(path)
    centre, exposure, skew = np.array(
        [(stamp.centre_ns, stamp.exposure_ns, stamp.skew_ns) for stamp in found]
    ).T
    return Shutters(centre, centre - (exposure + skew) // 2, exposure, skew)


def true(path: Path) -> Shutters:
    with np.load(path) as truth:
        names = ("frame_centre_ns", "frame_start_ns", "exposure_ns", "skew_ns")
        return Shutters(*(truth[name] for name in names))


def shown(path: Path) -> np.ndarray:
    """What ffprobe says of the presentation times, ns from the movie's beginning."""
    asked = ["-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]
    done = subprocess.run(
        ["ffprobe", "-v", "error", *asked, path], capture_output=True, text=True, check=True
    )
    times = [float(line.strip(",")) for line in done.stdout.split()]
    return np.rint(np.sort(times) * SECOND).astype(np.int64)


def films(path: Path) -> bool:
    """Whether there are pictures in it: the sensors go on while the camera is away."""
    with reader.open(path) as clip:
        return clip.video is not None


def assert_true(clips: list[Path], truth: Shutters) -> np.ndarray:
    """All clips say of their frames what was true; which of the camera's frames they have."""
    numbers = []
    for path in clips:
        frames = written(path)
        which = np.searchsorted(truth.centre_ns, frames.centre_ns - MICROSECOND)
        was = Shutters(*(column[which] for column in truth.columns))
        printed(path).assert_near(was)
        np.testing.assert_allclose(shown(path), was.centre_ns - was.centre_ns[0], atol=MICROSECOND)
        # The first frame's exposure began before the movie, where no record can be.
        begun = was.start_ns.copy()
        begun[0] = was.centre_ns[0]
        frames.assert_near(Shutters(was.centre_ns, begun, was.exposure_ns, was.skew_ns))
        numbers.append(which)
    return np.concatenate(numbers)


def recorded(folder: Path, path: Path, seconds: float) -> tuple[Path, Shutters]:
    with simulated_rig(str(path), None) as rig:
        clip = folder / "clip.mp4"
        RecordingSession(rig, clip, version="test").record(round(seconds * SECOND))
        rig.save_truth(folder / "truth.npz")
    return clip, true(folder / "truth.npz")


def test_the_times_of_frames_are_true_though_the_exposure_varies_and_frames_are_missing(tmp_path):
    path = varying(tmp_path, DROPPED, LATE, fps=25)
    clip, truth = recorded(tmp_path, path, 5)
    frames = assert_true([clip], truth)
    np.testing.assert_array_equal(frames, np.arange(len(frames)))
    steps = np.rint(np.diff(truth.centre_ns[frames]) * 25 / SECOND)
    assert sorted(set(steps)) in ([1, 8], [1, 9])
    exposure = truth.exposure_ns[: len(frames)]
    assert exposure.min() < 4.2e6
    assert exposure.max() > 11.8e6


def served(folder: Path, path: Path, seconds: float) -> tuple[list[Path], Shutters]:
    """What the service records from its beginning on, for so long in the rig's own time."""
    shelf = Shelf(folder, "1f3a9c02")

    def make():
        rig = simulated_rig(str(path), None)

        def end():
            rig.clock.sleep_until(rig.clock.now_ns() + round(seconds * SECOND))
            camcorder.close()

        rig.begin = lambda: rig.clock.thread(end, "end")
        rig.holds.callback(rig.save_truth, folder / "truth.npz")
        return rig

    storage = StorageSettings(folder=str(folder), keep_free_mb=1, segment_s=2.0)
    camcorder = Camcorder(make, shelf, storage, version="test")
    camcorder.start()
    camcorder.run()
    return [clip.path for clip in shelf.clips()], true(folder / "truth.npz")


def test_they_are_so_in_every_segment_of_the_service_and_none_is_missing_between(tmp_path):
    clips, truth = served(tmp_path, varying(tmp_path, DROPPED), 8)
    assert len(clips) > 3
    frames = assert_true(clips, truth)
    np.testing.assert_array_equal(np.diff(frames), 1)


@pytest.mark.parametrize("fault", [LOOSE, HANGING], ids=lambda fault: fault["kind"])
def test_they_are_so_when_the_camera_has_been_away(tmp_path, fault):
    clips, truth = served(tmp_path, varying(tmp_path, fault), 12)
    frames = assert_true([path for path in clips if films(path)], truth)
    np.testing.assert_array_equal(np.diff(frames), 1)
    assert np.diff(truth.centre_ns[frames]).max() > SECOND
    assert truth.centre_ns[frames[-1]] - truth.centre_ns[frames[0]] > 5 * SECOND


def test_the_decoded_pictures_turn_as_the_clips_gyroscope_says(tmp_path):
    """By the clip alone: its type 1 dates every line, its type 2 says how it turns meanwhile."""
    clip, _ = recorded(tmp_path, varying(tmp_path, width=640, height=480), 1.5)
    pictures = lumas(clip)
    frames = written(clip)
    with reader.open(clip) as opened:
        zero_ns, gyro = opened.metadata["movie"]["zero_monotonic_ns"], opened.gyro
    gyro_s = gyro.t_ns / SECOND

    def rate(t_s):
        return np.stack([np.interp(t_s, gyro_s, axis) for axis in gyro.data.T], axis=-1)

    def picture(number):
        first_line_ns = frames.start_ns[number] + frames.exposure_ns[number] / 2 - zero_ns
        line_ns = frames.skew_ns[number] / (480 - 1)
        return Picture(pictures[number], first_line_ns / SECOND, line_ns / SECOND)

    for number in range(2, 40, 9):
        found = disagreement(picture(number), picture(number + 1), 70.0, rate)
        assert found.features > 100
        assert found.turn_deg < 0.04
        assert found.scatter_px < 0.5
