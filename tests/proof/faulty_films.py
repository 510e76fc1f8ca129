"""Films of simulated rigs in which things break, and what of each sensor's samples came through."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from camm import PacketType
from daemon.rig import simulated_rig
from daemon.session import RecordingSession
from muxer import reader
from muxer.check import check

SECOND = 1_000_000_000
SCENARIOS = Path(__file__).parents[2] / "hw_sim" / "scenarios"
KINDS = {"imu": ("gyro", "acceleration"), "mag": ("magnetic_field",)}


def scenario(folder: Path, name: str, *faults: dict[str, object], **changes: object) -> Path:
    """A built-in scenario with a small picture, other values of some keys, and faults behind."""
    text = (SCENARIOS / f"{name}.toml").read_text().split("[[fault]]")[0]
    for key, value in {"width": 64, "height": 36, **changes}.items():
        text, found = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value!r}".replace("'", '"'), text)
        assert found == 1, key
    for fault in faults:
        rows = (f"{key} = {value!r}".replace("'", '"') for key, value in fault.items())
        text += "\n".join(["[[fault]]", *rows, ""])
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


@dataclass(frozen=True)
class Case:
    """Faults, as tables of a scenario, and the parts of the rig that may notice."""

    tables: tuple[dict[str, Any], ...]
    hurts: frozenset[str]

    @property
    def seconds(self) -> float:
        """How long a film must be to see the end of them."""
        return max(5.5, *(table["at_s"] + table.get("for_s", 0) - 0.5 for table in self.tables))

    def __str__(self) -> str:
        return " ".join(
            "-".join(str(value) for key, value in table.items() if key != "at_s")
            for table in self.tables
        )


def case(hurts: str, kind: str, for_s: float | None, **more: object) -> Case:
    """One fault, some two seconds after the film has begun."""
    lasts = {} if for_s is None else {"for_s": for_s}
    return Case(({"kind": kind, **more, "at_s": 6.0, **lasts},), frozenset(hurts.split()))


FAULTS = (
    # A FIFO that has filled meanwhile keeps the bus busy for longer than a magnetometer waits.
    case("imu mag", "nack", 0.2, part="imu"),
    case("imu mag", "nack", 2.0, part="imu", chance=0.2),
    # A motion sensor that is opened again takes its magnetometer off the bus for a moment.
    case("imu mag", "nack", 1.5, part="imu"),
    case("mag", "nack", 0.2, part="mag"),
    case("mag", "nack", 1.5, part="mag"),
    case("imu mag", "short_read", 0.1, part="imu"),
    case("mag", "short_read", 0.1, part="mag"),
    case("imu mag", "unplug", 0.01, part="imu"),
    case("imu mag", "unplug", 1.3, part="imu"),
    case("imu mag", "unplug", None, part="imu"),
    case("mag", "unplug", 1.3, part="mag"),
    case("gps", "unplug", 1.3, part="gps"),
    case("gps", "unplug", None, part="gps"),
    case("camera", "unplug", None, part="camera"),
    case("imu mag", "bus_stuck", 0.5),
    case("imu mag", "bus_stuck", 2.5),
    case("", "stall", 0.08, part="imu"),
    case("imu mag", "stall", 1.2, part="imu"),
    case("mag", "stall", 0.7, part="mag"),
    case("", "stall", 0.7, part="gps"),
    case("gps", "stall", 3.0, part="gps"),
    case("", "stall", 0.7, part="camera"),
    case("", "drop_frames", 0.7),
    case("gps", "baud_garbage", 0.7),
    case("gps", "gps_silent", 0.7),
    case("gps", "partial_message", 0.7),
    case("", "fix_lost", 0.7),
    case("", "fix_2d", 0.7),
    Case(
        (
            {"kind": "stall", "part": "imu", "at_s": 5.0, "for_s": 0.5},
            {"kind": "bus_stuck", "at_s": 6.0, "for_s": 0.2},
            {"kind": "unplug", "part": "gps", "at_s": 6.1, "for_s": 0.9},
            {"kind": "drop_frames", "at_s": 6.2, "for_s": 0.3},
            {"kind": "nack", "part": "mag", "at_s": 8.0, "for_s": 1.0, "chance": 0.5},
        ),
        frozenset({"imu", "mag", "gps"}),
    ),
)
"""Each kind at least once; those with a time in which a source holds out, and longer."""


@dataclass(frozen=True)
class Series:
    """What a sensor measured from its first record in the clip to its last, and what came.

    `made`     samples of the simulated chip in that time
    `came`     records in the clip, each of them one of those samples
    `missing`  samples of which there is no record
    `absent`   periods in that time of which there is no record, whether or not there was a sample
    `lost`     what the clip says is missing
    """

    made: int
    came: int
    missing: int
    absent: float
    lost: int
    failures: int


@dataclass(frozen=True)
class Film:
    """A clip, what it says of its sources, and what was true."""

    path: Path
    sources: dict[str, dict[str, Any]]
    truth: dict[str, np.ndarray]
    zero_ns: int
    end_ns: int
    late: dict[str, int]

    def times(self, kind: str) -> np.ndarray:
        """CLOCK_MONOTONIC of the records of a kind, ns."""
        with reader.open(self.path) as clip:
            return np.asarray(getattr(clip, kind).t_ns) + self.zero_ns

    def series(self, part: str) -> Series:
        """How the samples of a motion sensor or magnetometer fared."""
        kind, truth = KINDS[part][0], self.truth
        made_ns = truth[f"{part}_t_ns"]
        if part == "imu" and self.sources[part]["failures"]:
            made_ns = made_ns[truth["imu_in_fifo"]]  # not what it measured before it was set up
        came_ns = self.times(kind)[1:]  # the first stands at time zero for what was before
        period_ns = np.median(np.diff(made_ns))
        right = np.clip(np.searchsorted(made_ns, came_ns), 1, len(made_ns) - 1)
        nearest = right - (came_ns - made_ns[right - 1] < made_ns[right] - came_ns)
        # Each record is a sample, and no sample comes twice.
        assert np.abs(came_ns - made_ns[nearest]).max() < 0.45 * period_ns
        assert (np.diff(nearest) > 0).all()
        made = int(nearest[-1] - nearest[0]) + 1
        gaps = np.diff(came_ns) / period_ns
        about = self.sources[part]
        return Series(
            made,
            len(came_ns),
            made - len(came_ns),
            float((gaps[gaps > 1.5] - 1).sum()),
            about["lost"],
            about["failures"],
        )

    def fixes(self) -> tuple[np.ndarray, np.ndarray]:
        """GPS times of the clip's fixes, and of all that were sent whole from first to last."""
        with reader.open(self.path) as clip:
            came_s = np.asarray(clip.gps.data["time_gps_epoch"])
        truth = self.truth
        good = truth["gps_whole"] & (truth["gps_fix"] > 0)
        sent_s = truth["gps_time"][good]
        return came_s, sent_s[(sent_s > came_s[0] - 0.01) & (sent_s < came_s[-1] + 0.01)]

    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Times of the clip's pictures, and of those the camera took until the end, ns."""
        with reader.open(self.path) as clip:
            came_ns = np.asarray(clip.video.pts_ns) + self.zero_ns
        taken_ns = self.truth["frame_centre_ns"]
        return came_ns, taken_ns[taken_ns < self.end_ns]

    def assert_sound(self, hurt: Collection[str]) -> None:
        """Nothing is missing that is not counted, and of what was not hurt nothing at all."""
        with reader.open(self.path) as clip:
            for kind in clip.counts:
                t_ns = getattr(clip, kind.label).t_ns
                assert (np.diff(t_ns) > 0).all(), kind
            assert clip.counts[PacketType.EXPOSURE] == len(clip.video.table)
            assert [f for f in check(clip).findings if f.severity == "error"] == []
        for part in KINDS:
            if part in self.sources:
                self._assert_counted(part, hurt)
        self._assert_no_fix_missing(hurt)
        came_ns, taken_ns = self.frames()
        assert len(came_ns) == len(taken_ns)
        assert np.abs(came_ns - taken_ns).max() < 1000
        assert (self.sources["camera"]["failures"] > 0) == ("camera" in hurt)

    def _assert_counted(self, part: str, hurt: Collection[str]) -> None:
        series = self.series(part)
        counted = series.lost + self.late.get(KINDS[part][0], 0)
        if not series.failures:
            assert series.missing == counted, (part, series, self.late)
        else:  # a chip that counts anew does so at another phase
            assert abs(series.absent - counted) < 0.6 * series.failures, (part, series, self.late)
        if part not in hurt:
            assert (series.missing, counted, series.failures) == (0, 0, 0), part

    def _assert_no_fix_missing(self, hurt: Collection[str]) -> None:
        """None that was sent whole, but while nobody had the port open."""
        came_s, sent_s = self.fixes()
        missing = np.array([at for at in sent_s if not np.any(np.abs(came_s - at) < 0.01)])
        assert len(came_s) == len(sent_s) - len(missing)
        failures, late = self.sources["gps"]["failures"], self.late.get("gps", 0)
        if "gps" not in hurt:
            assert (failures, late) == (0, 0)
            assert np.ptp(came_s) > (self.end_ns - self.zero_ns) / SECOND - 0.5
        if not failures:
            assert len(missing) == late, (missing, late, came_s)
        elif len(missing):
            assert not np.any((came_s > missing.min()) & (came_s < missing.max()))


def film(folder: Path, name: Path, seconds: float) -> Film:
    """Record a scenario as fast as it goes. Nobody need read its warnings."""
    path = folder / f"{name.stem}.mp4"
    logging.disable(logging.WARNING)
    try:
        with simulated_rig(str(name), None) as rig:
            session = RecordingSession(rig, path, version="test")
            result = session.record(round(seconds * SECOND))
            rig.save_truth(path.with_suffix(".npz"))
    finally:
        logging.disable(logging.NOTSET)
    with np.load(path.with_suffix(".npz")) as truth:
        zero_ns = result.metadata["movie"]["zero_monotonic_ns"]
        return Film(
            path,
            result.metadata["sources"],
            dict(truth),
            zero_ns,
            zero_ns + result.duration_ns,
            result.metadata["late"],
        )
