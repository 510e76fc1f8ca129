"""Samples as columns of numbers, each with its unit and the printf format that gives it in full.

Whole columns are made ready in numpy and whole rows are then formatted by C code: a template
applied by `map` to `zip(*columns)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import FIELD_NAMES, Samples, is_vector
from muxer.extract.utc import Dates, date_texts
from muxer.sample_table import Ints

TIME_FORMAT = "%.9f"

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
    `format`  how to print a value; "" where its type says that
    """

    name: str
    unit: str
    values: npt.NDArray[Any]
    vector: str = ""
    format: str = ""

    def printed(self) -> tuple[str, list[Any]]:
        """How to print one value, and all of them. Missing dates and texts are empty."""
        kind = self.values.dtype.kind
        if kind == "M":
            return "%s", date_texts(self.values, "us")
        if self.values.dtype == np.float32:
            return "%.9g", shortest(self.values).tolist()
        return self.format or {"f": "%r", "O": "%s"}.get(kind, "%d"), self.values.tolist()


def time_columns(t_ns: Ints, utc: Dates) -> list[Column]:
    """What every table begins with.

    Seconds are exact to the nanosecond, as TIME_FORMAT prints them, for over a month.
    """
    return [Column("t_s", "s", t_ns / 1e9, format=TIME_FORMAT), Column("utc", "UTC", utc)]


def columns(samples: Samples) -> Iterator[Column]:
    """The fields of a type in the specification's order; a vector's three as name_x, _y, _z."""
    for name in FIELD_NAMES[samples.kind]:
        unit = UNITS.get(name, "")
        if is_vector(samples.kind):
            for axis, values in zip("xyz", samples.data.T, strict=True):
                yield Column(f"{name}_{axis}", unit, values, vector=name)
        else:
            yield Column(name, unit, samples.data[name])


def printed_rows(template: Sequence[str], cells: Iterable[Sequence[Any]]) -> str:
    """Rows of cells divided by commas."""
    row = ",".join(template) + "\n"
    return "".join(map(row.__mod__, zip(*cells, strict=True)))


def shortest(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Numbers that `%.9g` prints in as few digits as tell each float32 from its neighbours.

    Nine digits always do, but 0.1 would become 0.100000001. So each number is rounded to six
    digits, then seven, then eight, until it reads back as the float32 it was. Below 1e-13 and from
    1e22 on powers of ten are not exact: there it stays with nine digits.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        wide = values.astype(np.float64)
    size = np.abs(wide)
    left = np.flatnonzero((size >= 1e-13) & (size < 1e22))
    result = wide.copy()
    magnitude = np.floor(np.log10(size[left])).astype(np.int64)
    for digits in (6, 7, 8):
        shift = digits - 1 - magnitude
        up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
        rounded = np.rint(wide[left] * up / down) * down / up
        same = rounded.astype(np.float32) == values[left]
        result[left[same]] = rounded[same]
        left, magnitude = left[~same], magnitude[~same]
    return result
