"""Logs as Parquet: the tables that `cammcorder extract --to parquet` makes of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from camm import PacketType, Samples, UsageError
from hw_sim.replay.log import Log
from hw_sim.replay.tables import Floats, columns_of, kind_of, samples_of

_ROWS = 1 << 15


def read_parquet(paths: Sequence[Path], name: str) -> Log:
    """A log of tables, one for each packet type, told by their columns.

    UsageError for a table of other columns, a damaged one, and where two are of one type.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - to say so before any file is read
    except ModuleNotFoundError:
        raise UsageError(
            f"{name} is Parquet, which needs pyarrow: pip install 'cammcorder[parquet]'"
        ) from None
    tables: dict[PacketType, Path] = {}
    for path in paths:
        kind = kind_of(path, _header(path), "parquet")
        if kind in tables:
            raise UsageError(
                f"{tables[kind]} and {path} both hold {kind.label}: name those of one clip"
            )
        tables[kind] = path
    # All of it is read, for damage had better be known before the film begins.
    filled = {kind: path for kind, path in tables.items() if sum(map(len, _table(path, kind)))}
    return Log(name, frozenset(filled), lambda kind: _table(filled[kind], kind))


def _header(path: Path) -> list[str]:
    import pyarrow as pa
    from pyarrow.parquet import read_schema

    try:
        with path.open("rb") as file:  # what is but named pyarrow takes for a URI, as "s3:walk"
            names: list[str] = read_schema(file).names
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return names


def _table(path: Path, kind: PacketType) -> Iterator[Samples]:
    for rows in _rows(path, columns_of(kind)):
        yield samples_of(path, kind, rows)


def _rows(path: Path, names: Sequence[str]) -> Iterator[Floats]:
    """The rows of these columns, some at a time, NaN where there is no value."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with path.open("rb") as opened, ParquetFile(opened) as file:
            for batch in file.iter_batches(_ROWS, columns=names):
                columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
                yield np.stack([column.astype(np.float64) for column in columns], axis=1)
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UsageError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UsageError(f"{path} is no whole table in Parquet: {reason}")
