"""JSON Lines: an object for every record, in the order of the file; or one for every video frame.

Numbers that JSON has no word for (NaN, infinities) become null, and so do missing dates. Records of
types that the specification does not know are kept as bytes, in hexadecimal digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from camm import PacketType, Samples
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

    def text(records: Iterable[Records]) -> Iterator[str]:
        for block in records:
            yield _block(block, selection)

    return [Document.of_text(".jsonl", text)]


def _of_table(table: Table) -> Document:
    def text(records: Iterable[Records]) -> Iterator[str]:
        for rows in table.blocks(records):
            yield "".join(_objects(rows))

    return Document.of_text(f".{table.name}.jsonl", text)


def _block(records: Records, selection: Selection) -> str:
    lines = np.full(len(records), "", object)
    for found in filter(selection.wants, np.unique(records.kind).tolist()):
        mine = records.kind == found
        if found < len(PacketType):
            lines[mine] = _lines(records.samples(PacketType(found)), selection.utc)
        else:
            lines[mine] = _unknown(records, found, selection.utc)
    return "".join(lines)


def _lines(samples: Samples, clock: UtcClock) -> list[str]:
    kind = samples.kind
    times = time_columns(samples.t_ns, clock.at(samples.t_ns))
    said = f'"type": {kind:d}, "name": "{kind.label}"'
    return _objects([*times, *columns(samples)], said, after=len(times))


def _unknown(records: Records, kind: int, clock: UtcClock) -> list[str]:
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


def _objects(table: Sequence[Column], said: str = "", after: int = 0) -> list[str]:
    """A line for each row; what is `said` in all of them stands behind so many columns."""
    printed = [_in_json(column) for column in table]
    fields = []
    at = 0
    for vector, parts in groupby(table, lambda column: column.vector or column.name):
        templates = [template for template, _ in printed[at : at + len(list(parts))]]
        alone = len(templates) == 1
        value = templates[0] if alone else f"[{', '.join(templates)}]"
        fields.append(f'"{vector}": {value}')
        at += len(templates)
    if said:
        fields.insert(after, said)
    line = f"{{{', '.join(fields)}}}\n"
    return list(map(line.__mod__, zip(*(cells for _, cells in printed), strict=True)))


def _in_json(column: Column) -> tuple[str, list[Any]]:
    template, cells = column.printed()
    if column.values.dtype.kind in "MO":
        return "%s", [json.dumps(cell) if cell else "null" for cell in cells]
    if column.values.dtype.kind == "f" and not all(map(math.isfinite, cells)):
        return "%s", [template % cell if math.isfinite(cell) else "null" for cell in cells]
    return template, cells
