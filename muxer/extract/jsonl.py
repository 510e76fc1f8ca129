"""JSON Lines: an object for every record, in the order of the file.

Numbers that JSON has no word for (NaN, infinities) become null. Records of types that the
specification does not know are kept as bytes, in hexadecimal digits.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np

from camm import FIELD_NAMES, PacketType, Samples, is_vector
from muxer.clip import Clip
from muxer.extract.columns import TIME_FORMAT, Column, columns, seconds
from muxer.extract.document import Document, NothingToExtractError
from muxer.records import Records


def documents(clip: Clip, kinds: Collection[PacketType] | None = None) -> list[Document]:
    """One document, `.jsonl`, with the records of the types wanted."""
    survey = clip.survey
    if not any(kinds is None or kind in kinds for kind in survey.extents):
        names = ", ".join(kind.label for kind in kinds or PacketType)
        raise NothingToExtractError(f"{clip.path} has no records of the types {names}")
    return [Document(".jsonl", survey.blocks, _text(clip, kinds))]


def _text(clip: Clip, kinds: Collection[PacketType] | None) -> Iterator[str]:
    for records in clip.record_blocks():
        lines = np.full(len(records), "", object)
        for found in np.unique(records.kind).tolist():
            if kinds is None or found in kinds:
                mine = records.kind == found
                known = found < len(PacketType)
                lines[mine] = (
                    _lines(records.samples(PacketType(found)))
                    if known
                    else _unknown(records, found)
                )
        yield "".join(lines)


def _lines(samples: Samples) -> list[str]:
    kind = samples.kind
    table = [_null_for_nan(column) for column in columns(samples)]
    if is_vector(kind):
        (name,) = FIELD_NAMES[kind]
        fields = f'"{name}": [{", ".join(column.format for column in table)}]'
    else:
        fields = ", ".join(f'"{column.name}": {column.format}' for column in table)
    line = f'{{"t_s": {TIME_FORMAT}, "type": {kind:d}, "name": "{kind.label}", {fields}}}\n'
    cells = zip(seconds(samples.t_ns), *(column.values for column in table), strict=True)
    return list(map(line.__mod__, cells))


def _null_for_nan(column: Column) -> Column:
    if all(map(math.isfinite, column.values)):
        return column
    words = [column.format % value if math.isfinite(value) else "null" for value in column.values]
    return Column(column.name, "%s", words)


def _unknown(records: Records, kind: int) -> list[str]:
    """Records of a type without a name, header included."""
    (rows,) = np.nonzero(records.kind == kind)
    line = f'{{"t_s": {TIME_FORMAT}, "type": {kind}, "name": "unknown", "hex": "%s"}}\n'
    starts, ends = records.place[rows], (records.place + records.size)[rows]
    return [
        line % (t_s, records.payload[start:end].tobytes().hex())
        for t_s, start, end in zip(
            seconds(records.t_ns[rows]), starts.tolist(), ends.tolist(), strict=True
        )
    ]
