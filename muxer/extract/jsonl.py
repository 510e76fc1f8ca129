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
from muxer.extract.document import PIECE, Document, NothingToExtractError
from muxer.sample_table import Ints


def documents(clip: Clip, kinds: Collection[PacketType] | None = None) -> list[Document]:
    """One document, `.jsonl`, with the records of the types wanted."""
    kind = clip.records.kind
    wanted = np.arange(len(kind)) if kinds is None else np.flatnonzero(np.isin(kind, list(kinds)))
    if not len(wanted):
        names = ", ".join(kind.label for kind in kinds or PacketType)
        raise NothingToExtractError(f"{clip.path} has no records of the types {names}")
    return [Document(".jsonl", -(-len(wanted) // PIECE), _text(clip, wanted))]


def _text(clip: Clip, wanted: Ints) -> Iterator[str]:
    kind = clip.records.kind
    blocks = {known: clip.samples(known) for known in clip.counts}
    # The how manyth of its type a record is: where it stands in the type's block.
    within = np.zeros_like(kind)
    for known in blocks:
        mine = kind == known
        within[mine] = np.arange(np.count_nonzero(mine))
    for start in range(0, len(wanted), PIECE):
        piece = wanted[start : start + PIECE]
        lines = np.empty(len(piece), object)
        for found in np.unique(kind[piece]).tolist():
            mine = kind[piece] == found
            if found in blocks:
                lines[mine] = _lines(blocks[PacketType(found)][within[piece[mine]]])
            else:
                lines[mine] = _unknown(clip, found, piece[mine])
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


def _unknown(clip: Clip, kind: int, rows: Ints) -> list[str]:
    """Records of a type without a name: such a record is all of its sample, header included."""
    records, size = clip.records, clip.camm_tracks[0].table.size
    line = f'{{"t_s": {TIME_FORMAT}, "type": {kind}, "name": "unknown"'
    if len(size) != len(records.kind):  # samples of several packets: whose size it is, is not known
        return [f"{line % t_s}}}\n" for t_s in seconds(records.t_ns[rows])]
    return [
        f'{line % t_s}, "hex": "{records.payload[start:end].tobytes().hex()}"}}\n'
        for t_s, start, end in zip(
            seconds(records.t_ns[rows]),
            records.place[rows].tolist(),
            (records.place + size)[rows].tolist(),
            strict=True,
        )
    ]
