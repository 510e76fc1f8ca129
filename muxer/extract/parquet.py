"""Parquet: a table for each packet type, or for the video frames, as CSV has them, with units.

The unit of a column stands in its field's metadata ("unit"), what the table is of in the schema's
("packet_type", "clip", "utc_from"). `utc` is a timestamp of microseconds. Values are in the
specification's own types. Needs the extra `parquet` (pyarrow).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from muxer.extract.columns import Column
from muxer.extract.document import Document, MissingPackageError
from muxer.extract.pieces import Sink
from muxer.extract.selection import Selection
from muxer.extract.tables import Table, tables
from muxer.records import Records

if TYPE_CHECKING:
    import pyarrow as pa

_HALF_A_MICROSECOND = np.timedelta64(500, "ns")
_ROW_GROUP = 1 << 16
"""Rows that are read back together."""


def documents(selection: Selection) -> list[Document]:
    """A document for each table: `.gyro.parquet` and so on."""
    try:
        import pyarrow.parquet  # noqa: F401 - to know it before the work begins
    except ModuleNotFoundError:
        raise MissingPackageError(
            "Parquet needs pyarrow: pip install 'cammcorder[parquet]'"
        ) from None
    return [_document(table, selection) for table in tables(selection)]


def _document(table: Table, selection: Selection) -> Document:
    def pieces(records: Iterable[Records]) -> Iterator[bytes]:
        from pyarrow import Table as ArrowTable
        from pyarrow.parquet import ParquetWriter

        about = {
            "packet_type": table.name,
            "clip": selection.name.encode(errors="replace"),
            "utc_from": selection.utc.source or "",
        }
        schema = _batch(table.header).schema.with_metadata(about)
        sink = Sink()
        with ParquetWriter(sink, schema, compression="zstd") as writer:
            waiting: list[pa.RecordBatch] = []
            for columns in table.blocks(records):
                waiting.append(_batch(columns))
                if sum(map(len, waiting)) >= _ROW_GROUP:
                    writer.write_table(ArrowTable.from_batches(waiting).cast(schema))
                    waiting = []
                yield sink.taken()
            if waiting:
                writer.write_table(ArrowTable.from_batches(waiting).cast(schema))
        yield sink.taken()

    return Document(f".{table.name}.parquet", pieces, text=False)


def _batch(columns: Iterable[Column]) -> pa.RecordBatch:
    import pyarrow as pa

    arrays, fields = [], []
    for column in columns:
        kind = column.values.dtype.kind
        if kind == "M":
            of_type = pa.timestamp("us", "UTC")
            # Arrow would refuse to leave digits out.
            values = (column.values + _HALF_A_MICROSECOND).astype("datetime64[us]")
        elif kind == "O":
            of_type, values = pa.string(), column.values
        else:
            of_type, values = pa.from_numpy_dtype(column.values.dtype), column.values
        arrays.append(pa.array(values, of_type))
        metadata = {"unit": column.unit} if column.unit else None
        fields.append(pa.field(column.name, of_type, metadata=metadata))
    return pa.record_batch(arrays, pa.schema(fields))
