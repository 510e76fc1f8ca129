"""What a format makes of a clip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from camm import CammError


class NothingToExtractError(CammError):
    """A clip that holds nothing of what a format is for."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text file to be.

    `suffix`  what its name adds to the clip's: ".gyro.csv"
    `pieces`  into how many parts `text` comes, for who shows progress
    `text`    made as it is iterated over, so that memory stays flat; can be had once
    """

    suffix: str
    pieces: int
    text: Iterable[str]
