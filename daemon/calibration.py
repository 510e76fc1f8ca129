"""The file in which a rig's calibration is kept: what `calibrate` writes and the recorder applies.

docs/CALIBRATION.md explains the keys. Vectors and matrices are in the motion sensor's axes, in SI
units and microtesla; matrices are rows. What is true is `matrix @ (what the sensor says - bias)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Interval

from camm import UsageError
from camm.declared import declared, make, parse
from camm.frames import check_mount

Vector: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Vector, Vector, Vector]
_Count: TypeAlias = Annotated[int, Ge(0)]


@declared
class GyroTable:
    """`bias` at `temperature_c`, rad/s; a degree more adds `bias_per_c`."""

    when: datetime
    chip: str
    samples: _Count
    residual: float
    bias: Vector
    bias_per_c: Vector | None = None
    temperature_c: float | None = None

    def __post_init__(self) -> None:
        if self.bias_per_c is not None and self.temperature_c is None:
            raise UsageError("bias_per_c is of no use without temperature_c, where bias holds")


@declared
class AccelTable:
    """`bias` in m/s^2; `samples` are poses."""

    when: datetime
    chip: str
    samples: _Count
    residual: float
    bias: Vector
    matrix: Matrix
    temperature_c: float | None = None

    def __post_init__(self) -> None:
        _check(self.matrix)


@declared
class MagTable:
    """`bias` in uT. `strength_ut` and `dip_deg` are of the field that it was found in."""

    when: datetime
    chip: str
    samples: _Count
    residual: float
    bias: Vector
    matrix: Matrix
    strength_ut: Annotated[float, Gt(0)]
    dip_deg: float | None = None
    temperature_c: float | None = None

    def __post_init__(self) -> None:
        _check(self.matrix)


@declared
class NoiseTable:
    """Random walks, per root Hz, and bias instabilities; nothing is done with them."""

    when: datetime
    chip: str
    samples: _Count
    gyro_random_walk: Vector
    gyro_bias_instability: Vector
    accel_random_walk: Vector
    accel_bias_instability: Vector
    temperature_c: float | None = None


@declared
class MountTable:
    """R_camera,sensor, in the place of the axes that are named; `residual` in pixels."""

    when: datetime
    chip: str
    samples: _Count
    residual: float
    matrix: Matrix
    uncertainty_deg: float
    hfov_deg: float

    def __post_init__(self) -> None:
        check_mount(self.matrix)


@declared
class SyncTable:
    """`offset_ms` is added to the times of the pictures; `residual` in pixels."""

    when: datetime
    chip: str
    samples: _Count
    residual: float
    offset_ms: Annotated[float, Interval(ge=-1000, le=1000)]
    uncertainty_ms: float
    hfov_deg: float


@declared
class Calibration:
    """What is known of a rig's errors; tables that are left out are not known."""

    gyro: GyroTable | None = None
    accel: AccelTable | None = None
    mag: MagTable | None = None
    noise: NoiseTable | None = None
    mount: MountTable | None = None
    sync: SyncTable | None = None


NOTHING = Calibration()

_LEAST_VOLUME = 0.01  # of a matrix: what it does can still be undone


def load(path: Path) -> Calibration:
    """The calibration in a file; UsageError where there is none, or it says what cannot be."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"there is no calibration {path}: `cammcorder calibrate` makes one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return parse(Calibration, text, str(path))


def save(path: Path, calibration: Calibration) -> None:
    """Write it, whole or not at all."""
    lines = ["# Made by `cammcorder calibrate`, which writes this file anew. docs/CALIBRATION.md"]
    for name, table in told(calibration).items():
        lines += ["", f"[{name}]", *_lines(table)]
    beside = path.with_name(f".{path.name}.new")
    beside.write_text("\n".join(lines) + "\n", "utf-8")
    beside.replace(path)


def told(calibration: Calibration) -> dict[str, Any]:
    """Its tables as a clip keeps them, without what is not known."""
    return {
        name: {
            key: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
            for key, value in table.items()
            if value is not None
        }
        for name, table in asdict(calibration).items()
        if table is not None
    }


def of_clip(metadata: Mapping[str, Any]) -> Calibration:
    """What was applied to a clip's samples, by its metadata; nothing in those of other makers.

    UsageError where it says what cannot be.
    """
    said = metadata.get("calibration")
    if not isinstance(said, dict):
        return NOTHING
    names = Calibration.__dataclass_fields__
    return make(Calibration, {name: said[name] for name in names if name in said})


def _check(matrix: Matrix) -> None:
    volume = float(np.linalg.det(np.array(matrix)))
    if not volume > _LEAST_VOLUME:
        raise UsageError(f"matrix must be near to the unit matrix, found a determinant {volume:g}")


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        # All of it is the same in JSON, but for dates, which TOML has without quotes.
        yield f"{key} = {value if key == 'when' else json.dumps(value, ensure_ascii=False)}"
