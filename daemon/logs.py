"""Recorded logs, told by what is in them: clips, tables, GPX, .gcsv, a receiver's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from camm import PacketType, Samples, UsageError
from hw_sim.replay.gcsv import FIRST_LINES, read_gcsv
from hw_sim.replay.gpx import read_gpx
from hw_sim.replay.log import Log, Stream
from hw_sim.replay.parquet import read_parquet
from hw_sim.replay.tables import read_csv, read_jsonl
from muxer import reader
from muxer.clip import Clip

MOTION = (PacketType.GYRO, PacketType.ACCELERATION)
"""What a motion sensor measures."""

_HEAD_BYTES = 4096
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp")
_PIECE_NS = 10_000_000_000
_EVEN = 0.25
"""By how much of a period a step may differ from one and still be one."""
_FEWEST = 20
_UNKNOWN_NS = 10_000_000.0


@dataclass(slots=True)
class Recorded:
    """What some logs hold between them.

    `logs`      by packet type
    `receiver`  the bytes of a GPS receiver
    `film`      the file of these that has a film
    """

    logs: dict[PacketType, Log] = field(default_factory=dict)
    receiver: Path | None = None
    film: Path | None = None


def open_logs(paths: Sequence[Path], holds: ExitStack) -> Recorded:
    """Open logs, and find out what is in them. `holds` gets what must be closed after use.

    UsageError where there is no such file, where one holds nothing, and where two hold the same.
    """
    found = Recorded()
    for path in paths:
        try:
            _add(path, found, holds)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    gps = [kind for kind in (PacketType.GPS, PacketType.MIN_GPS) if kind in found.logs]
    if found.receiver is not None and gps:
        raise UsageError(
            f"{found.receiver} and {found.logs[gps[0]].name} both say where it was: give one"
        )
    return found


def _add(path: Path, found: Recorded, holds: ExitStack) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path} is a device or a pipe, and logs are read twice: name a file")
    log = _table_set(path) if path.is_dir() or not path.exists() else _file(path, found, holds)
    if log is None:
        if found.receiver is not None:
            raise UsageError(f"{found.receiver} and {path} are both of a receiver: give one")
        found.receiver = path
        return
    if not log.kinds:
        raise UsageError(f"{path} holds no records: there is nothing to replay")
    for kind in log.kinds:
        if kind in found.logs:
            raise UsageError(f"{found.logs[kind].name} and {path} both hold {kind.label}: give one")
        found.logs[kind] = log


def _file(path: Path, found: Recorded, holds: ExitStack) -> Log | None:
    """The log in a file; None where it has what a receiver has sent, or what only one could."""
    head = _head(path)
    if head[4:8] in _MP4_BOXES:
        clip = holds.enter_context(reader.open(path))
        if clip.video is not None and found.film is None:
            found.film = path
        return _clip(clip)
    if head.startswith(b"PAR1"):
        return read_parquet([path], str(path))
    return _text(path, head.decode("utf-8", "replace").lstrip("\ufeff"))


def _text(path: Path, text: str) -> Log | None:
    """The same of a file that begins with this text."""
    if text.startswith("<") and "<gpx" in text:
        return read_gpx(path)
    if text.startswith(FIRST_LINES):
        return read_gcsv(path)
    if text.startswith("t_s,"):
        return read_csv([path], str(path))
    if text.startswith("{") and '"t_s"' in text:
        return read_jsonl(path)
    return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _clip(clip: Clip) -> Log:
    """A clip's metadata, times from its first video frame."""
    reader.require_motion(clip)
    video = clip.video
    shown_ns = int(video.pts_ns.min()) if video is not None and video.count else 0

    def blocks(kind: PacketType) -> Iterator[Samples]:
        for samples in clip.blocks(kind):
            yield Samples(kind, samples.t_ns - shown_ns, samples.data)

    return Log(clip.path, frozenset(clip.counts), blocks, clip.created)


def _table_set(path: Path) -> Log:
    """The tables in a folder, or those whose names begin with a stem."""
    if path.is_dir():
        files, missing = sorted(path.iterdir()), f"{path} has no tables of `extract --to csv`"
    else:
        begin = f"{path.name}."
        files = [file for file in sorted(path.parent.glob("*")) if file.name.startswith(begin)]
        missing = f"there is no log {path}: neither a file nor {path}.*.csv"
    files = [file for file in files if not Path(file.stem).match("*.frames")]  # another table
    for suffix, start, read in ((".csv", b"t_s,", read_csv), (".parquet", b"PAR1", read_parquet)):
        tables = [file for file in files if file.suffix == suffix and _head(file).startswith(start)]
        if tables:
            return read(tables, str(path))
    raise UsageError(missing)


@dataclass(frozen=True, slots=True)
class MotionSurvey:
    """What has to be known of recorded angular rates and forces before they are replayed.

    `paired`      whether each angular rate has a specific force of the same moment
    `unfit`       why no chip can have measured just this; "" where one can have
    `start_ns`, `end_ns`  times of the first and last sample that a chip can have measured
    `period_ns`   time between two: on average, or usually where they are not even
    `most_rad_s`, `most_m_s2`  the largest values on any axis
    """

    paired: bool
    unfit: str
    start_ns: int
    end_ns: int
    period_ns: float
    most_rad_s: float
    most_m_s2: float


def survey_motion(recorded: Recorded) -> MotionSurvey | None:
    """Read through what there is of angular rate and specific force; None without the two."""
    if not set(MOTION) <= recorded.logs.keys():
        return None
    streams = motion_streams(recorded, 0)
    paired = finite = True
    most_rad_s = most_m_s2 = 0.0
    count = 0
    first, last = np.empty(0, np.int64), np.empty(0, np.int64)
    shortest_ns, longest_ns, longest_at_ns, usual_ns = 1 << 62, 0, 0, 0.0
    for gyro, accel in motion_pieces(streams):
        paired = paired and np.array_equal(gyro.t_ns, accel.t_ns)
        finite = finite and bool(np.isfinite(gyro.data).all() and np.isfinite(accel.data).all())
        most_rad_s = max(most_rad_s, float(np.abs(gyro.data).max(initial=0.0)))
        most_m_s2 = max(most_m_s2, float(np.abs(accel.data).max(initial=0.0)))
        first = np.concatenate([first, gyro.t_ns[:2]])[:2]
        times = np.concatenate([last, gyro.t_ns])[0 if count else 1 :]
        if len(steps := np.diff(times)):
            usual_ns = usual_ns or float(np.median(steps[steps > 0] if steps.any() else steps))
            shortest_ns = min(shortest_ns, int(steps.min()))
            if steps.max() > longest_ns:
                longest_ns, longest_at_ns = int(steps.max()), int(times[steps.argmax()])
        count += len(gyro)
        last = np.concatenate([last, gyro.t_ns])[-1:]
    usual_ns = usual_ns or _UNKNOWN_NS
    if count < _FEWEST:
        unfit = f"only {count} samples"
        return MotionSurvey(paired, unfit, 0, 0, usual_ns, most_rad_s, most_m_s2)
    # The record at time zero of many a clip is interpolated: a step of its own length follows.
    period_ns = (int(last[0]) - int(first[1])) / (count - 2)
    odd = abs(int(first[1] - first[0]) - period_ns) > _EVEN * period_ns
    unfit = ""
    if not paired:
        unfit = "angular rate and force are of different moments"
    elif not finite:
        unfit = "values that are no numbers"
    elif any(stream.out_of_order for stream in streams):
        unfit = "not in order of time"
    elif longest_ns > (1 + _EVEN) * period_ns or shortest_ns <= (1 - _EVEN) * period_ns:
        unfit = (
            f"not evenly sampled: {longest_ns / 1e6:.3f} ms without a sample at "
            f"{longest_at_ns / 1e9:.3f} s, usually {usual_ns / 1e6:.3f} ms"
        )
    if unfit:
        period_ns = usual_ns
    start_ns = int(first[1] if odd else first[0])
    return MotionSurvey(paired, unfit, start_ns, int(last[0]), period_ns, most_rad_s, most_m_s2)


def motion_streams(recorded: Recorded, zero_ns: int) -> list[Stream]:
    """Angular rate and specific force, their times counted from `zero_ns`."""
    return [Stream(recorded.logs[kind], kind, zero_ns) for kind in MOTION]


def motion_pieces(streams: Sequence[Stream]) -> Iterator[tuple[Samples, Samples]]:
    """The two, some seconds of each at a time."""
    while starts := [t_ns for stream in streams if (t_ns := stream.next_ns()) is not None]:
        until_ns = min(starts) + _PIECE_NS
        gyro, accel = (stream.until(until_ns) for stream in streams)
        yield gyro, accel
