"""JSON Lines: an object for every record, in the order of the file; or one for every video frame.

Numbers that JSON has no word for (NaN, infinities) become null, and so do missing dates. Records of
types that the specification does not know are kept as bytes, in hexadecimal digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from camm import PacketType, Samples
from muxer.extract.cells import Cells, put, side_by_side, text_of, texts
from muxer.extract.columns import Column, columns, time_columns
from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.selection import Selection
from muxer.extract.tables import Table, tables
from muxer.extract.utc import UtcClock
from muxer.records import Records


def documents(selection: Selection) -> list[Document]:
    """One document, `.jsonl`, with the records of the types wanted; or `.frames.jsonl`."""
    if selection.per_frame:
        return [_of_table(table) for table in tables(selection)]
    clip = selection.clip
    if not any(map(selection.wants, clip.survey.extents)):
        names = ", ".join(kind.label for kind in selection.kinds or PacketType)
        raise NothingToExtractError(f"{clip.path} has no records of the types {names}")

    def pieces(records: Iterable[Records]) -> Iterator[bytes]:
        for block in records:
            yield text_of(_block(block, selection))

    return [Document(".jsonl", pieces)]


def _of_table(table: Table) -> Document:
    def pieces(records: Iterable[Records]) -> Iterator[bytes]:
        for rows in table.blocks(records):
            yield text_of(_objects(rows))

    return Document(f".{table.name}.jsonl", pieces)


def _block(records: Records, selection: Selection) -> Cells:
    """A line for each record, empty for those that are not wanted."""
    found = {}
    for kind in filter(selection.wants, np.unique(records.kind).tolist()):
        if kind < len(PacketType):
            found[kind] = _lines(records.samples(PacketType(kind)), selection.utc)
        else:
            found[kind] = _unknown(records, kind, selection.utc)
    width = max((cells.shape[1] for cells in found.values()), default=0)
    lines = np.zeros((len(records), width), np.uint8)
    for kind, cells in found.items():
        lines[records.kind == kind, : cells.shape[1]] = cells
    return lines


def _lines(samples: Samples, clock: UtcClock) -> Cells:
    kind = samples.kind
    times = time_columns(samples.t_ns, clock.at(samples.t_ns))
    said = f'"type": {kind:d}, "name": "{kind.label}"'
    return _objects([*times, *columns(samples)], said, after=len(times))


def _unknown(records: Records, kind: int, clock: UtcClock) -> Cells:
    """Records of a type without a name, header included."""
    (rows,) = np.nonzero(records.kind == kind)
    t_ns = records.t_ns[rows]
    starts, ends = records.place[rows], (records.place + records.size)[rows]
    octets = [
        records.payload[start:end].tobytes().hex()
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    times = time_columns(t_ns, clock.at(t_ns))
    said = f'"type": {kind}, "name": "unknown"'
    return _objects([*times, Column("hex", "", np.array(octets, object))], said, after=len(times))


def _objects(table: Sequence[Column], said: str = "", after: int = 0) -> Cells:
    """An object for each row; what is `said` in all of them stands behind so many columns."""
    parts: list[bytes | Cells] = [b"{"]
    left = iter(table)
    for number, (name, group) in enumerate(groupby(table, lambda c: c.vector or c.name)):
        if said and number == after:
            parts.append(f", {said}".encode())
        members = [_in_json(next(left)) for _ in group]
        opening, closing = ("[", "]") if len(members) > 1 else ("", "")
        divided = [part for member in members for part in (b", ", member)]
        comma = ", " if number else ""
        parts += [f'{comma}"{name}": {opening}'.encode(), *divided[1:], closing.encode()]
    return side_by_side([*parts, b"}\n"], len(table[0].values))


def _in_json(column: Column) -> Cells:
    match column.values.dtype.kind:
        case "O":
            return texts(json.dumps(word) if word else "null" for word in column.values)
        case "M":
            quoted = side_by_side([b'"', column.printed(), b'"'], len(column.values))
            return put(quoted, np.isnat(column.values), b"null")
        case "f":
            return put(column.printed(), ~np.isfinite(column.values), b"null")
        case _:
            return column.printed()
