"""Numbers and dates as text, whole columns at a time.

Cells are a table of bytes, uint8 (rows, width): a row for each text, of ASCII or UTF-8, in which
zeros stand for nothing. So texts of different lengths are put side by side without looking at any
of them, and `text_of` leaves the zeros out. A Python loop over rows takes five times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.sample_table import Ints

Cells: TypeAlias = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_MINUS, _POINT = b"-."
_LARGE = 1e9
_GROUP = 4  # digits that are looked up together
_GROUPS = np.frombuffer(b"".join(b"%04d" % number for number in range(10**_GROUP)), np.uint32)
_TENS = 10 ** np.arange(19, dtype=np.int64)
_POWERS = 10.0 ** np.arange(23)  # the powers of ten that a float64 holds exactly


def side_by_side(parts: Sequence[bytes | Cells], rows: int) -> Cells:
    """Rows of parts, one behind the other; a part that is bytes is the same in all of them."""
    blocks = [_same(part, rows) if isinstance(part, bytes) else part for part in parts]
    return np.concatenate(blocks, axis=1)


def comma_separated(columns: Sequence[Cells]) -> Cells:
    """Lines with a comma between columns."""
    divided = [part for column in columns for part in (b",", column)]
    return side_by_side([*divided[1:], b"\n"], len(columns[0]))


def text_of(cells: Cells) -> bytes:
    """All rows, one behind the other."""
    return cells.tobytes().translate(None, b"\0")


def texts(words: Iterable[str]) -> Cells:
    """Texts, none of which holds a NUL."""
    return _view(np.array([word.encode() for word in words], "S"))


def put(cells: Cells, where: Bools, word: bytes) -> Cells:
    """The same with one word in the rows where that is said."""
    if not where.any():
        return cells
    room = max(len(word) - cells.shape[1], 0)
    cells = np.pad(cells, ((0, 0), (0, room)))
    cells[where] = np.frombuffer(word.ljust(cells.shape[1], b"\0"), np.uint8)
    return cells


def integers(values: npt.NDArray[Any]) -> Cells:
    """Whole numbers."""
    values = values.astype(np.int64)
    return np.concatenate([_signs(values < 0), _whole(np.abs(values))], axis=1)


def fixed(values: Ints, decimals: int) -> Cells:
    """Whole numbers of a unit of which 10 to the `decimals` make one, with the decimal point.

    Nanoseconds with nine decimals are seconds.
    """
    whole, fraction = _divided(np.abs(values), 10**decimals)
    point = np.full((len(values), 1), _POINT, np.uint8)
    digits = _digits(fraction, decimals)
    return np.concatenate([_signs(values < 0), _whole(whole), point, digits], axis=1)


def dates(values: npt.NDArray[np.datetime64]) -> Cells:
    """Dates as 2026-06-01T12:00:00.000000Z, rounded; nothing where there is none."""
    there = ~np.isnat(values)
    ns = np.where(there, values.astype("datetime64[ns]").astype(np.int64), 0)
    seconds, fraction = _divided((ns + 500) // 1000, 1_000_000)
    # What is the same in neighbours is made once: dates of samples go on.
    first = np.flatnonzero(np.diff(seconds, prepend=seconds[:1] - 1))
    told = np.datetime_as_string(seconds[first].astype("datetime64[s]")).astype("S")
    times = np.diff(first, append=len(seconds))
    parts = (np.repeat(_view(told), times, axis=0), b".", _digits(fraction, 6), b"Z")
    cells = side_by_side(parts, len(values))
    cells[~there] = 0
    return cells


def printed(values: npt.NDArray[Any], template: str) -> Cells:
    """Numbers by a template of printf."""
    return texts(map(template.__mod__, values.tolist()))


def singles(values: npt.NDArray[np.float32]) -> Cells:
    """float32 as `%.9g` has them, but in as few digits as tell each from its neighbours.

    Nine digits always do, but 0.1 would become 0.100000001.
    """
    size = np.abs(values.astype(np.float64))
    usual = ((size >= 1e-4) & (size < _LARGE)) | (size == 0)
    mantissa, decimals = _shortest(np.where(usual, size, 0))
    _strip_zeros(mantissa, decimals)
    most = int(decimals.max(initial=0))
    # Exact: mantissas are below 1e9, so no fraction is nearer to 1 than a float64 can tell.
    whole = (mantissa / _POWERS[decimals]).astype(np.int64)
    fraction = mantissa - whole * _TENS[decimals]
    digits = _digits(fraction * _TENS[most - decimals], most)
    digits *= np.arange(most) < decimals[:, None]
    point = np.where(decimals > 0, _POINT, 0).astype(np.uint8)[:, None]
    cells = np.concatenate([_signs(np.signbit(values)), _whole(whole), point, digits], axis=1)
    if usual.all():
        return cells
    rest = printed(shortest(values[~usual]), "%.9g")
    width = max(rest.shape[1], cells.shape[1])
    cells = np.pad(cells, ((0, 0), (0, width - cells.shape[1])))
    cells[~usual] = np.pad(rest, ((0, 0), (0, width - rest.shape[1])))
    return cells


def shortest(values: npt.NDArray[np.float32]) -> Floats:
    """Numbers that `%.9g` prints in as few digits as tell each float32 from its neighbours.

    Below 1e-13 and from 1e18 on it stays with nine digits: there powers of ten are not exact, or
    numbers no integers.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        wide = values.astype(np.float64)
    size = np.abs(wide)
    inside = (size >= 1e-13) & (size < 1e18)
    mantissa, decimals = _shortest(size[inside])
    wide[inside] = np.copysign(mantissa / _POWERS[decimals], wide[inside])
    return wide


def _shortest(size: Floats) -> tuple[Ints, Ints]:
    """Whole numbers and how many of their digits are decimals, of float32 that are not negative.

    Each is rounded to eight digits, then to more or fewer, so that it just reads back as what it
    was. 0, or from 1e-13 to 1e18.
    """
    with np.errstate(divide="ignore"):
        magnitude = np.where(size > 0, np.floor(np.log10(size)), 0).astype(np.int64)
    mantissa, decimals, fits = _rounded(size, magnitude, 8)
    rows = np.flatnonzero(~fits)
    mantissa[rows], decimals[rows], _ = _rounded(size[rows], magnitude[rows], 9)
    rows = np.flatnonzero(fits)
    for digits in (7, 6):
        fewer, shift, fits = _rounded(size[rows], magnitude[rows], digits)
        rows = rows[fits]
        mantissa[rows], decimals[rows] = fewer[fits], shift[fits]
    return mantissa, decimals


def _rounded(size: Floats, magnitude: Ints, digits: int) -> tuple[Ints, Ints, Bools]:
    """Rounded to so many digits: mantissas, decimals, and which read back as the same float32."""
    shift = digits - 1 - magnitude
    up, down = _POWERS[np.maximum(shift, 0)], _POWERS[np.maximum(-shift, 0)]
    whole = np.rint(size * up / down) * down
    same = (whole / up).astype(np.float32) == size.astype(np.float32)
    return whole.astype(np.int64), np.maximum(shift, 0), same


def _whole(values: Ints) -> Cells:
    """Whole numbers that are not negative, in as many digits as they have, and at least one."""
    count = len(str(int(values.max(initial=0))))
    digits = _digits(values, count)
    for column in range(count - 1):
        digits[values < _TENS[count - 1 - column], column] = 0
    return digits


def _digits(values: Ints, count: int) -> Cells:
    """The last digits of whole numbers that are not negative, so many of each."""
    groups = -(-count // _GROUP)
    found = np.empty((len(values), groups), np.uint32)
    for group in reversed(range(groups)):
        values, last = _divided(values, 10**_GROUP)
        found[:, group] = _GROUPS[last]
    digits: Cells = found.view(np.uint8).reshape(len(values), groups * _GROUP)
    return digits[:, groups * _GROUP - count :]


def _divided(values: Ints, divisor: int) -> tuple[Ints, Ints]:
    """Quotient and rest. numpy divides by one number many times faster than `divmod` does."""
    quotient = values // divisor
    return quotient, values - quotient * divisor


def _strip_zeros(mantissa: Ints, decimals: Ints) -> None:
    """Leave out the decimals that are zeros at the end."""
    left = np.flatnonzero((decimals > 0) & (mantissa % 10 == 0))
    while len(left):
        mantissa[left] //= 10
        decimals[left] -= 1
        left = left[(decimals[left] > 0) & (mantissa[left] % 10 == 0)]


def _signs(negative: Bools) -> Cells:
    return np.where(negative, _MINUS, 0).astype(np.uint8)[:, None]


def _same(word: bytes, rows: int) -> Cells:
    return np.broadcast_to(np.frombuffer(word, np.uint8), (rows, len(word)))


def _view(array: npt.NDArray[np.bytes_]) -> Cells:
    """An array of byte strings as cells."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), array.itemsize)
