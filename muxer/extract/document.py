"""What a format makes of a clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Self
from weakref import WeakSet

from camm import CammError
from muxer.records import Records

_LINES = 1000
"""Lines that make up a piece."""


class NothingToExtractError(CammError):
    """A clip that holds nothing of what a format is for."""


class MissingPackageError(CammError):
    """A format whose package is not installed."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file to be.

    `suffix`  what its name adds to the clip's: ".gyro.csv"; may begin with folders
    `pieces`  makes its content of the clip's records: a piece for each block of them, be it empty,
              and some before and behind
    `text`    whether it is lines for people and pipes, and not for a program alone
    """

    suffix: str
    pieces: Callable[[Iterable[Records]], Iterator[bytes]]
    text: bool = True

    @classmethod
    def of_text(cls, suffix: str, text: Callable[[Iterable[Records]], Iterator[str]]) -> Self:
        """A document of text, which goes out as UTF-8."""
        return cls(suffix, lambda records: map(str.encode, text(records)))

    @classmethod
    def of_lines(cls, suffix: str, lines: Callable[[], Iterator[str]]) -> Self:
        """A document of lines that need no records, because what they tell was read before."""
        return cls(suffix, lambda _: map(str.encode, _joined(lines())))


def _joined(lines: Iterator[str]) -> Iterator[str]:
    while some := "".join(islice(lines, _LINES)):
        yield some


def make_together(
    documents: Sequence[Document], records: Iterable[Records]
) -> Iterator[Sequence[bytes]]:
    """All documents out of one pass over the records: a piece of each, in rounds.

    They go in step, so that no more than a block or two are held between the first and the last.
    """
    copies = in_step(records, len(documents))
    making = [document.pieces(copy) for document, copy in zip(documents, copies, strict=True)]
    return zip_longest(*making, fillvalue=b"")


def in_step(records: Iterable[Records], count: int) -> list[Iterator[Records]]:
    """The same blocks for several readers that keep pace.

    A block is let go of when all have had it, which `itertools.tee` does by the 57; and a reader
    that is gone, however far it came, holds nothing.
    """
    source = iter(records)
    readers: WeakSet[_Reader] = WeakSet()
    made = [_Reader(source, readers) for _ in range(count)]
    readers.update(made)
    return [*made]


class _Reader(Iterator[Records]):
    def __init__(self, source: Iterator[Records], readers: WeakSet[_Reader]) -> None:
        self._source = source
        self._readers = readers
        self._waiting: deque[Records] = deque()

    def __next__(self) -> Records:
        if not self._waiting:
            block = next(self._source)
            for each in self._readers:
                each._waiting.append(block)
        return self._waiting.popleft()
