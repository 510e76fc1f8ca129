"""CSV: a table for each packet type, the time first and then the specification's fields.

Numbers read back as what they were, to the last bit. Numbers that are none are "nan" and "inf",
dates that are none are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muxer.extract.cells import comma_separated, text_of
from muxer.extract.document import Document
from muxer.extract.selection import Selection
from muxer.extract.tables import Table, tables
from muxer.records import Records


def documents(selection: Selection) -> list[Document]:
    """A document for each table: `.gyro.csv` and so on."""
    return [_document(table) for table in tables(selection)]


def _document(table: Table) -> Document:
    def pieces(records: Iterable[Records]) -> Iterator[bytes]:
        yield ",".join(column.name for column in table.header).encode() + b"\n"
        for columns in table.blocks(records):
            yield text_of(comma_separated([column.printed() for column in columns]))

    return Document(f".{table.name}.csv", pieces)
