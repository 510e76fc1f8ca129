"""Samples as columns of numbers, each with the printf format that gives it in full.

Whole columns are made ready in numpy and whole rows are then formatted by C code: a template
applied by `map` to `zip(*columns)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import FIELD_NAMES, Samples, is_vector

TIME_FORMAT = "%.9f"


@dataclass(frozen=True, slots=True)
class Column:
    """One number a sample: the column's name, how to print one, and all of them."""

    name: str
    format: str
    values: list[Any]


def seconds(t_ns: npt.NDArray[np.int64]) -> list[float]:
    """Times in seconds; exact to the nanosecond, as TIME_FORMAT prints them, for over a month."""
    values: list[float] = (t_ns / 1e9).tolist()
    return values


def columns(samples: Samples) -> Iterator[Column]:
    """The fields of a type in the specification's order; a vector's three as name_x, _y, _z."""
    if is_vector(samples.kind):
        (name,) = FIELD_NAMES[samples.kind]
        for axis, values in zip("xyz", samples.data.T, strict=True):
            yield _column(f"{name}_{axis}", values)
    else:
        for name in FIELD_NAMES[samples.kind]:
            yield _column(name, samples.data[name])


def _column(name: str, values: npt.NDArray[Any]) -> Column:
    if values.dtype == np.float32:
        return Column(name, "%.9g", shortest(values).tolist())
    return Column(name, "%d" if values.dtype.kind == "i" else "%r", values.tolist())


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
