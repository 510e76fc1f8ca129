"""Boxes that stay opaque, saved byte by byte: what a Mi Sphere keeps in `madv`.

Its orientations come out by the other formats; the table by which the two lenses' pictures are
stitched, `lutz`, is of a form that its maker has not published.
"""

from __future__ import annotations

from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.selection import Selection


def documents(selection: Selection) -> list[Document]:
    """A document for each box: `.lutz.bin` and so on, without its header."""
    clip = selection.clip
    if clip.madv is None:
        raise NothingToExtractError(f"{clip.path} has no madv box (Mi Sphere) to save as it is")
    return [_document(kind.decode("ascii"), content) for kind, content in clip.madv.boxes.items()]


def _document(kind: str, content: bytes) -> Document:
    return Document(f".{kind}.bin", lambda _: iter([content]), text=False)
