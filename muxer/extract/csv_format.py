"""CSV: a table for each packet type, the time first and then the specification's fields.

Numbers read back as what they were, to the last bit. Numbers that are none are "nan" and "inf".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from camm import PacketType, Samples
from muxer.clip import Clip
from muxer.extract.columns import TIME_FORMAT, columns, seconds
from muxer.extract.document import Document, NothingToExtractError


def documents(clip: Clip, kinds: Collection[PacketType] | None = None) -> list[Document]:
    """A document for each packet type that is in the clip and wanted: `.gyro.csv` and so on."""
    present = [kind for kind in clip.counts if kinds is None or kind in kinds]
    if not present:
        wanted = ", ".join(kind.label for kind in kinds or PacketType)
        raise NothingToExtractError(f"{clip.path} has no records for a CSV table of {wanted}")
    return [
        Document(f".{kind.label}.csv", 1 + clip.survey.blocks, _text(clip, kind))
        for kind in present
    ]


def _text(clip: Clip, kind: PacketType) -> Iterator[str]:
    names = [column.name for column in columns(Samples.empty(kind))]
    yield ",".join(["t_s", *names]) + "\n"
    for records in clip.record_blocks():
        samples = records.samples(kind)
        table = list(columns(samples))
        row = ",".join([TIME_FORMAT, *(column.format for column in table)]) + "\n"
        cells = zip(seconds(samples.t_ns), *(column.values for column in table), strict=True)
        yield "".join(map(row.__mod__, cells))
