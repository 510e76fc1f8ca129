"""CSV: a table for each packet type, the time first and then the specification's fields.

Numbers read back as what they were, to the last bit. Numbers that are none are "nan" and "inf",
dates that are none are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muxer.extract.columns import Column, printed_rows
from muxer.extract.document import Document
from muxer.extract.selection import Selection
from muxer.extract.tables import Table, tables
from muxer.records import Records


def documents(selection: Selection) -> list[Document]:
    """A document for each table: `.gyro.csv` and so on."""
    return [_document(table) for table in tables(selection)]


def _document(table: Table) -> Document:
    def text(records: Iterable[Records]) -> Iterator[str]:
        yield ",".join(column.name for column in table.header) + "\n"
        yield from map(_rows, table.blocks(records))

    return Document.of_text(f".{table.name}.csv", text)


def _rows(columns: Iterable[Column]) -> str:
    templates, cells = zip(*(column.printed() for column in columns), strict=True)
    return printed_rows(templates, cells)
