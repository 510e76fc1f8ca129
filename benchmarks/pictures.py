"""How right the orientation of a film's pictures is: `python -m benchmarks.pictures [--seconds N]`.

A walk is filmed by the simulator, whose sensors have noise, biases and clocks of their own, and
whose camera has a rolling shutter. For each frame, the orientation that a reader of the clip
interpolates for the middle of its exposure, and for the middle of its first and last line's, is
compared with the truth at that moment: as it was recorded, and after `cammcorder fuse`. Degrees;
the first ten seconds are left out of all but `worst`. The last row is what a reader does wrong who
takes the orientation of the middle for all lines.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import process
from benchmarks.table import present
from camm.frames import Array, conjugate, from_angle_axis, interpolate, multiply, to_angle_axis
from daemon.refinement import Rate, refine
from muxer import reader

COLUMNS = {
    "orientation": "orientation",
    "rms_deg": "rms",
    "worst_deg": "worst",
    "heading_deg": "heading rms",
    "tilt_deg": "tilt rms",
    "first_line_deg": "first line rms",
    "last_line_deg": "last line rms",
}
_SETTLED_NS = 10_000_000_000

Times = npt.NDArray[np.int64]


def film(folder: Path, seconds: float) -> Path:
    """A clip of the simulated walk, with its truth beside it."""
    clip = folder / "walk.mp4"
    arguments = ["record", "--sim", "walk", "--duration", str(seconds), "--speed", "max"]
    process.run(process.python("cammcorder", *arguments, "-o", str(clip)), answers=False)
    return clip


def measure(name: str, path: Path, truth: Mapping[str, Array]) -> dict[str, Any]:
    """The row of a clip."""
    with reader.open(path) as clip:
        zero_ns = int(clip.metadata["movie"]["zero_monotonic_ns"])
        t_ns, q = clip.angle_axis.t_ns + zero_ns, from_angle_axis(clip.angle_axis.data)
        centre = np.sort(clip.video.pts_ns) + zero_ns if clip.video else np.empty(0, np.int64)
        half_ns = clip.exposure.data["rolling_shutter_skew_time"][: len(centre)] // 2
    settled = centre - centre[0] >= _SETTLED_NS
    middle = errors(t_ns, q, centre, truth)
    length = np.linalg.norm(middle, axis=1)
    return {
        "orientation": name,
        "rms_deg": _rms(length[settled]),
        "worst_deg": round(float(length.max()), 4),
        "heading_deg": _rms(middle[settled, 1]),
        "tilt_deg": _rms(np.hypot(middle[:, 0], middle[:, 2])[settled]),
        "first_line_deg": _rms(
            np.linalg.norm(errors(t_ns, q, centre - half_ns, truth), axis=1)[settled]
        ),
        "last_line_deg": _rms(
            np.linalg.norm(errors(t_ns, q, centre + half_ns, truth), axis=1)[settled]
        ),
    }


def errors(t_ns: Times, q: Array, at_ns: Times, truth: Mapping[str, Array]) -> Array:
    """Between orientation and truth, turns about the world's axes in degrees: (N, 3)."""
    true = interpolate(
        truth["imu_t_ns"].astype(np.int64), from_angle_axis(truth["imu_angle_axis"]), at_ns
    )
    found = interpolate(t_ns, q, at_ns)
    return np.asarray(np.degrees(to_angle_axis(multiply(found, conjugate(true)))))


def frozen(path: Path, truth: Mapping[str, Array]) -> dict[str, Any]:
    """The row of one who knows the truth in the middle of the exposure, and takes it for all."""
    with reader.open(path) as clip:
        zero_ns = int(clip.metadata["movie"]["zero_monotonic_ns"])
        centre = np.sort(clip.video.pts_ns) + zero_ns if clip.video else np.empty(0, np.int64)
        half_ns = clip.exposure.data["rolling_shutter_skew_time"][: len(centre)] // 2
    true_ns, true = truth["imu_t_ns"].astype(np.int64), from_angle_axis(truth["imu_angle_axis"])
    held = interpolate(true_ns, true, centre)
    row: dict[str, Any] = {"orientation": "the middle's for all lines"}
    for key, at_ns in (("first_line_deg", centre - half_ns), ("last_line_deg", centre + half_ns)):
        turn = to_angle_axis(multiply(held, conjugate(interpolate(true_ns, true, at_ns))))
        row[key] = _rms(np.degrees(np.linalg.norm(turn, axis=1)))
    return row


def _rms(degrees: Array) -> float:
    return round(float(np.sqrt(np.mean(degrees * degrees))), 4)


def rows(seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each kind of orientation."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = film(folder, seconds)
        with np.load(clip.with_suffix(".truth.npz")) as loaded:
            truth = dict(loaded)
        yield measure("recorded, vqf", clip, truth)
        ways: tuple[tuple[str, str, Rate | None], ...] = (
            ("afterwards, at the samples", "vqf-offline", None),
            ("afterwards, at the frames", "vqf-offline", "frame"),
            ("afterwards, madgwick", "madgwick", None),
        )
        for made, filter_name, rate in ways:
            out = folder / "fused.mp4"
            refine(clip, out, filter_name, rate=rate)
            yield measure(made, out, truth)
        yield frozen(clip, truth)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How right the orientation of pictures is.")
    parser.add_argument("--seconds", type=float, default=60.0, help="to film")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    present("orientation of pictures", rows(options.seconds), COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
