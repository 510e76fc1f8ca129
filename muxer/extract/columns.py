"""Samples as columns of values, each with its unit and how it is printed in full."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import FIELD_NAMES, Samples, is_vector
from muxer.extract import cells
from muxer.extract.cells import Cells
from muxer.extract.utc import Dates
from muxer.sample_table import Ints

UNITS = {
    "angle_axis": "rad",
    "pixel_exposure_time": "ns",
    "rolling_shutter_skew_time": "ns",
    "gyro": "rad/s",
    "acceleration": "m/s^2",
    "position": "m",
    "latitude": "deg",
    "longitude": "deg",
    "altitude": "m",
    "time_gps_epoch": "s",
    "horizontal_accuracy": "m",
    "vertical_accuracy": "m",
    "velocity_east": "m/s",
    "velocity_north": "m/s",
    "velocity_up": "m/s",
    "speed_accuracy": "m/s",
    "magnetic_field": "uT",
}
"""Units of the specification's fields; what is not here has none."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value a row.

    `unit`    of the values; "" for none, and for dates "UTC"
    `values`  float32, float64, integers, texts (object) or dates (datetime64[ns])
    `vector`  the field of which this is one of several numbers; "" where it stands alone
    `format`  printf's for a value; "" where its type says how to print it
    """

    name: str
    unit: str
    values: npt.NDArray[Any]
    vector: str = ""
    format: str = ""

    def printed(self) -> Cells:
        """The values as text. Missing dates and texts are empty."""
        if self.format:
            return cells.printed(self.values, self.format)
        kind = self.values.dtype.kind
        if kind == "M":
            return cells.dates(self.values)
        if kind == "O":
            return cells.texts(self.values)
        if self.values.dtype == np.float32:
            return cells.singles(self.values)
        return cells.printed(self.values, "%r") if kind == "f" else cells.integers(self.values)


@dataclass(frozen=True, slots=True)
class _Seconds(Column):
    """Times of which the nanoseconds are known, too."""

    t_ns: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def printed(self) -> Cells:
        return cells.fixed(self.t_ns, 9)


def time_columns(t_ns: Ints, utc: Dates) -> list[Column]:
    """What every table begins with: seconds, which are printed to the nanosecond, and UTC."""
    return [_Seconds("t_s", "s", t_ns / 1e9, t_ns=t_ns), Column("utc", "UTC", utc)]


def columns(samples: Samples) -> Iterator[Column]:
    """The fields of a type in the specification's order; a vector's three as name_x, _y, _z."""
    for name in FIELD_NAMES[samples.kind]:
        unit = UNITS.get(name, "")
        if is_vector(samples.kind):
            for axis, values in zip("xyz", samples.data.T, strict=True):
                yield Column(f"{name}_{axis}", unit, values, vector=name)
        else:
            yield Column(name, unit, samples.data[name])
