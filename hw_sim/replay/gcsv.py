"""Gyroflow's log of motion, .gcsv: a header of scales, then raw numbers.

Source: docs.gyroflow.xyz, "GCSV format", versions 1.0 to 1.3. Times are seconds by `tscale`,
angular rate rad/s by `gscale`, acceleration g by `ascale`, field gauss by `mscale`. `orientation`
says what the columns are: its three letters name the columns, negated where small, that point up,
left and back of the camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, UsageError
from hw_sim.replay.log import Log
from hw_sim.replay.tables import Floats, nanoseconds, numbers

FIRST_LINES = ("GYROFLOW IMU LOG", "CAMERA IMU LOG")

_COLUMNS = {4: "t,gx,gy,gz", 7: "t,gx,gy,gz,ax,ay,az", 10: "t,gx,gy,gz,ax,ay,az,mx,my,mz"}
_LONGEST_HEADER = 100
_STANDARD_GRAVITY = 9.80665
_UT_A_GAUSS = 100.0

# Camera axes are right, down and forward; the orientation's are up, left and back.
_CAMERA_FROM_UP_LEFT_BACK = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]], np.float64)

_QUANTITIES = {
    PacketType.GYRO: (1, "gscale", 1.0),
    PacketType.ACCELERATION: (4, "ascale", _STANDARD_GRAVITY),
    PacketType.MAGNETIC_FIELD: (7, "mscale", _UT_A_GAUSS),
}
"""Of each: its first column, its scale in the header, and our unit in the format's."""


@dataclass(frozen=True, slots=True)
class _Header:
    fields: Mapping[str, str]
    columns: int
    lines: int


def read_gcsv(path: Path) -> Log:
    """The log in camera axes, its times counted from its first row, as Gyroflow counts them.

    UsageError where the header lacks something or says what cannot be.
    """
    header = _read_header(path)
    begin = [rows[0, 0] for rows in islice(numbers(path, header.lines + 1, header.columns), 1)]
    kinds = frozenset(kind for kind, (column, *_) in _QUANTITIES.items() if column < header.columns)
    order, sign = _turn(path, header.fields)
    time = _scale(path, header.fields, "tscale", 0.001)

    def blocks(kind: PacketType) -> Iterator[Samples]:
        column, name, unit = _QUANTITIES[kind]
        scale = _scale(path, header.fields, name, 1.0) * unit
        for rows in numbers(path, header.lines + 1, header.columns):
            t_ns = nanoseconds(path, (rows[:, 0] - begin[0]) * time)
            yield Samples(kind, t_ns, rows[:, column + order] * (sign * scale))

    return Log(str(path), kinds if begin else frozenset(), blocks, _created(header.fields))


def _read_header(path: Path) -> _Header:
    fields: dict[str, str] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            cells = [cell.strip() for cell in line.split(",")]
            if cells[0] in ("t", "time"):
                if len(cells) not in _COLUMNS:
                    raise UsageError(
                        f"{path} has {len(cells)} columns, expected {', '.join(_COLUMNS.values())}"
                    )
                return _Header(fields, len(cells), number)
            if number > _LONGEST_HEADER:
                break
            fields[cells[0]] = ",".join(cells[1:])
    raise UsageError(f"{path} has no line of columns such as {_COLUMNS[7]}")


def _scale(path: Path, fields: Mapping[str, str], name: str, default: float) -> float:
    try:
        scale = float(fields.get(name, default))
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale):
        raise UsageError(f"{path}: {name} must be a number, found {fields[name]!r}")
    return scale


def _turn(path: Path, fields: Mapping[str, str]) -> tuple[npt.NDArray[np.int64], Floats]:
    """Which of the three columns each axis of the camera is, and with which sign."""
    letters = fields.get("orientation", "")
    if sorted(letters.lower()) != ["x", "y", "z"]:
        raise UsageError(
            f"{path}: orientation must name x, y and z, as YxZ does, found {letters!r}"
        )
    rows = np.zeros((3, 3))
    for row, letter in enumerate(letters):
        rows[row, "xyz".index(letter.lower())] = 1 if letter.isupper() else -1
    if np.linalg.det(rows) < 0:
        raise UsageError(f"{path}: orientation {letters} is a mirror: turn one of its axes round")
    turn: Floats = _CAMERA_FROM_UP_LEFT_BACK @ rows
    return np.abs(turn).argmax(axis=1), turn.sum(axis=1)


def _created(fields: Mapping[str, str]) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(fields.get("timestamp", "nan")), UTC)
    except (ValueError, OverflowError, OSError):
        return None
