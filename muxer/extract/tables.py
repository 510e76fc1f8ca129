"""A clip as tables: one for each packet type, or one with a row for every video frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from camm import PacketType, Samples
from muxer.extract.columns import Column, columns, time_columns
from muxer.extract.moments import frames
from muxer.extract.selection import Selection
from muxer.records import Records


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be.

    `header`  its columns, without rows
    `blocks`  makes its rows of a clip's records, some at a time: the same columns, filled
    """

    name: str
    header: list[Column]
    blocks: Callable[[Iterable[Records]], Iterator[list[Column]]]


def tables(selection: Selection) -> list[Table]:
    """Those of a selection. NothingToExtractError where there would be none."""
    if selection.per_frame:
        moments = frames(selection)
        return [Table("frames", moments.header, moments.blocks)]
    return [_of_type(selection, kind) for kind in selection.require("a table")]


def _of_type(selection: Selection, kind: PacketType) -> Table:
    def rows(samples: Samples) -> list[Column]:
        dates = selection.utc.at(samples.t_ns)
        return [*time_columns(samples.t_ns, dates), *columns(samples)]

    def blocks(records: Iterable[Records]) -> Iterator[list[Column]]:
        for block in records:
            yield rows(block.samples(kind))

    return Table(kind.label, rows(Samples.empty(kind)), blocks)
