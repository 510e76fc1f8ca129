"""Which way a damaged file of another maker can be repaired, and what that brings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from camm import UsageError
from muxer.boxes import Piece, box
from muxer.errors import Mp4Error
from muxer.movie import write_ftyp
from muxer.repair import NothingRecoveredError
from muxer.salvage import report
from muxer.salvage.movie import rebuilt
from muxer.salvage.own_movie import OwnMovie, own_movie, placed
from muxer.salvage.recognise import Specimen, codec
from muxer.salvage.reference import Reference, ReferenceTrack
from muxer.salvage.report import Findings
from muxer.salvage.salvage import Salvage, media_range, salvage
from muxer.salvage.shifted import find_shift, mended
from muxer.salvage.write import Rescued
from muxer.sample_table import SampleTable
from muxer.source import LocalFile

NOTHING = "nothing to repair"


@dataclass(frozen=True, slots=True, eq=False)
class Rescue:
    """What was found, and what is to be written; None where there is nothing to repair or to keep.

    `failure`  why nothing can be kept; empty where something can
    """

    findings: Findings
    rescued: Rescued | None
    failure: str = ""

    def require_recovered(self) -> None:
        """NothingRecoveredError where there is nothing to keep."""
        if self.failure:
            raise NothingRecoveredError(self.failure)


def is_healthy(path: str | os.PathLike[str]) -> bool:
    """Whether the samples of a plain file are where its own `moov` says."""
    with LocalFile(path) as source:
        movie = own_movie(source)
        return movie is not None and not _faults(source, movie, 0, {})


def rescue(
    path: str | os.PathLike[str],
    reference: str | os.PathLike[str] | None,
    watch: Callable[[int], None] = lambda at: None,
) -> Rescue:
    """Find out how a file can be repaired: by its own tables, or else by those of a healthy one.

    Nothing is written. UsageError where a healthy file is needed and there is none, or it is not
    healthy.
    """
    with LocalFile(path) as source:
        movie = own_movie(source, everywhere=reference is None)
        healthy = _healthy(reference) if reference is not None else None
        if movie is not None:
            entries = movie.missing_entries(source, healthy)
            shift = 0 if movie.fits(source, 0) is not False else find_shift(source, movie)
            if shift is not None:
                return _by_own_tables(source, movie, shift, entries, healthy)
        assumed: list[str] = []
        if healthy is None and movie is not None:
            healthy = _own_reference(source, movie)
        if healthy is None:
            healthy, assumed = _guessed(source)
    remedy = "build a new moov for the samples that were found"
    with LocalFile(path) as source, ThreadPoolExecutor(1) as thread:
        blank = thread.submit(report.blank_sectors, source, *media_range(source))
        found = salvage(path, healthy, watch)
        findings = report.carved(found, remedy, blank.result(), assumed)
    failure = _unlike(found)
    return Rescue(findings, None if failure else _carved(found), failure)


def _healthy(path: str | os.PathLike[str]) -> Reference:
    try:
        return Reference.read(path)
    except Mp4Error as error:
        raise UsageError(f"{error}: name another one as the reference") from None


def _faults(
    source: LocalFile, movie: OwnMovie, shift: int, entries: Mapping[int, bytes]
) -> list[str]:
    """What is wrong with a file whose samples lie where its tables say but for a shift."""
    faults = []
    if movie.damaged:
        faults.append("some of its fragments are damaged")
    if movie.fits(source, shift) is False:
        faults.append("its samples are not where its tables say")
    if not movie.reached:
        faults.append("its boxes do not lead to its moov")
    if shift:
        faults.append(f"its media lie {shift:+,} bytes from where its tables say")
    faults += [f"track {number} has lost its sample description" for number in entries]
    if not all(track.inside(source, shift).all() for track in movie.tracks):
        faults.append("some of its samples lie behind its end")
    return faults


def _by_own_tables(
    source: LocalFile,
    movie: OwnMovie,
    shift: int,
    entries: Mapping[int, bytes],
    healthy: Reference | None,
) -> Rescue:
    """All that the tables say, but for samples behind the end of the file."""
    faults = _faults(source, movie, shift, entries)
    tracks = [
        replace(track, entry=track.entry or entries.get(track.number, b""))
        for track in movie.tracks
    ]
    kept = [
        (track, placed(track, track.inside(source, shift), shift))
        for track in tracks
        if track.entry
    ]
    findings = Findings(
        source.name,
        source.size,
        f"{'; '.join(faults)}: correct its own moov" if faults else NOTHING,
        healthy.path if healthy is not None and entries else None,
        tuple(report.by_own_tables(track, table) for track, table in kept),
        unable={
            track.number: "its sample description is lost, and nothing tells what it was"
            for track in tracks
            if len(track.table) and not track.entry
        },
    )
    if not findings.recovered:
        why = f"nothing can be recovered from {source.name}: it ends before its first sample"
        return Rescue(findings, None, why)
    if not faults:
        return Rescue(findings, None)
    tables = {track.number: table for track, table in kept if len(table)}
    as_it_was = not movie.fragmented and not any(found.lost for found in findings.tracks)

    def build(further: int) -> list[Piece]:
        if as_it_was:
            return [box(b"moov", mended(movie.content, shift + further, entries))]
        content = mended(movie.content, 0, entries)
        return [rebuilt(content, _moved(tables, further), of_the_same_file=True)]

    media = (
        min(int(table.offset.min()) for table in tables.values()),
        max(int((table.offset + table.size).max()) for table in tables.values()),
    )
    ftyp = write_ftyp(track.entry for track in tracks)
    return Rescue(findings, Rescued(source.name, source.size, media, ftyp, build))


def _carved(found: Salvage) -> Rescued:
    tables = {track.reference.number: track.table for track in found.tracks}
    ftyp = found.reference.head or write_ftyp(track.reference.entry for track in found.tracks)

    def build(further: int) -> list[Piece]:
        return [rebuilt(found.reference.moov, _moved(tables, further))]

    return Rescued(found.path, found.size, found.media, ftyp, build)


def _moved(tables: Mapping[int, SampleTable], further: int) -> dict[int, SampleTable]:
    return {
        number: replace(table, offset=table.offset + further) for number, table in tables.items()
    }


def _guessed(source: LocalFile) -> tuple[Reference, list[str]]:
    """What the stream itself says, and what of it is assumed; UsageError where it says nothing."""
    from muxer.salvage.guess import guessed  # PyAV is slow to import

    try:
        return guessed(source)
    except Mp4Error as error:
        raise UsageError(f"{error} of the same device and mode (--reference HEALTHY)") from None


def _own_reference(source: LocalFile, movie: OwnMovie) -> Reference:
    """What the file's own `moov` teaches though its tables do not hold: codecs and rates.

    Only of codecs that are recognised by their sample entry alone. UsageError where that is none.
    """
    try:
        found = Reference.of(source, b"", movie.content)
    except Mp4Error:
        tracks: tuple[ReferenceTrack, ...] = ()
    else:
        known = (track for track in found.tracks if _known_by_entry(track))
        tracks = tuple(replace(track, samples=()) for track in known)
    if not tracks:
        raise UsageError(
            f"the tables of {source.name} do not fit its media: name a healthy file of the same "
            "device and mode (--reference HEALTHY)"
        )
    return replace(found, tracks=tracks)


def _known_by_entry(track: ReferenceTrack) -> bool:
    if track.codec == "camm":  # the times of its records are told by some of them
        return False
    try:
        codec(Specimen(track.entry, ()))
    except Mp4Error:
        return False
    return True


def _unlike(found: Salvage) -> str:
    """What to say where the healthy file's samples are unlike any in the damaged one.

    Sound that fills whatever is left is no sign of its own: pictures must be there if it has any.
    """
    video = found.reference.video
    there = [track.reference for track in found.tracks if len(track.table)]
    if there and (video is None or any(track.kind == b"vide" for track in there)):
        return ""
    wanted = ", ".join(track.codec for track in found.reference.tracks)
    return (
        f"nothing can be recovered from {found.path}: it holds no samples like those of "
        f"{found.reference.path} ({wanted}); is that of the same device, in the same mode?"
    )
