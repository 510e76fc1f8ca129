"""Rules for the file and its tracks: whether readers find the metadata at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from muxer.boxes import children
from muxer.check.finding import Finding
from muxer.clip import Clip
from muxer.reader import top_level
from muxer.source import LocalFile

_MIB = 1 << 20
_REACH = 4 * _MIB
"""How far from both ends of a file telemetry-parser looks for the sample entry."""


def plain_file(clip: Clip) -> Iterator[Finding]:
    """Exiftool, mapillary_tools and telemetry-parser find nothing in fragments."""
    if clip.fragmented:
        yield Finding(
            "plain_file",
            "error",
            "the file is in fragments, as an unfinished recording is: most readers of motion "
            "metadata find nothing in it",
        )


def one_metadata_track(clip: Clip) -> Iterator[Finding]:
    """Readers take the first such track only, or mix up all that have the handler `meta`."""
    camm = len(clip.camm_tracks)
    if camm > 1:
        yield Finding(
            "one_metadata_track", "error", f"there are {camm} tracks of motion metadata, one may be"
        )
    others = [
        track
        for track in clip.tracks
        if track.handler.kind == b"meta" and track not in clip.camm_tracks
    ]
    for track in others:
        yield Finding(
            "one_metadata_track",
            "error",
            f"track {track.number} (codec {track.codec!r}) has the handler 'meta' too: "
            "telemetry-parser reads it as motion metadata",
        )


def metadata_handler(clip: Clip) -> Iterator[Finding]:
    """The specification says `meta`; telemetry-parser finds nothing under `camm`."""
    kind = clip.camm_tracks[0].handler.kind.decode("latin-1")
    if kind != "meta":
        yield Finding(
            "metadata_handler",
            "error",
            f"the metadata track has the handler {kind!r}, expected 'meta'",
        )


def one_sample_entry(clip: Clip) -> Iterator[Finding]:
    """Exiftool goes by the last entry, FFmpeg by the first; without "camm" nobody finds records."""
    entries = clip.camm_tracks[0].entries
    if entries != ("camm",):
        yield Finding(
            "one_sample_entry",
            "error",
            f"the metadata track has the sample entries {entries}: expected 'camm' only",
        )


def fine_timescale(clip: Clip) -> Iterator[Finding]:
    """A tick should be no longer than the difference between two sensors' times."""
    timescale = clip.camm_tracks[0].timescale
    if timescale < 1000:
        yield Finding(
            "fine_timescale",
            "error",
            f"the metadata counts {timescale} ticks a second: expected 1000 at least",
        )
    elif timescale < 1_000_000:
        yield Finding(
            "fine_timescale",
            "warning",
            f"the metadata counts {timescale} ticks a second: times are rounded to "
            f"{1e6 / timescale:.0f} us; 1000000 would keep them",
        )


def no_edit_list(clip: Clip) -> Iterator[Finding]:
    """Half of the readers apply edit lists to metadata, the others do not look at them."""
    edits = clip.camm_tracks[0].edits.edits
    if len(edits) > 1 or any(edit.media_time != 0 for edit in edits):
        yield Finding(
            "no_edit_list",
            "error",
            "an edit list moves the metadata in time: exiftool and telemetry-parser do not apply "
            "it, others do",
        )


def entry_within_reach(clip: Clip) -> Iterator[Finding]:
    """Telemetry-parser tells a file by its first and last 4 MiB."""
    at = _sample_description(clip)
    if at is not None and _REACH < at < clip.size - _REACH:
        yield Finding(
            "entry_within_reach",
            "error",
            f"the metadata's sample entry lies at {at / _MIB:.1f} MiB of {clip.size / _MIB:.1f}: "
            "telemetry-parser looks in the first and last 4 MiB only; move the 'moov' in front",
        )


def date_and_camera(clip: Clip) -> Iterator[Finding]:
    """Readers date GPS times by the creation time; Street View asks for maker and model."""
    if clip.created is None:
        yield Finding("date_and_camera", "warning", "the movie has no creation time")
    for name, value in (("maker ('manu')", clip.make), ("model ('modl')", clip.model)):
        if not value:
            yield Finding("date_and_camera", "warning", f"the camera's {name} is not named")


def _sample_description(clip: Clip) -> int | None:
    """Byte of the file at which the metadata track's `stsd` begins."""
    with LocalFile(clip.path) as source:
        moov = next(
            box for box in top_level(source) if box.kind == b"moov" and box.end <= source.size
        )
        data = source.read(moov.start, moov.end - moov.start)
    path = [b"mdia", b"minf", b"stbl", b"stsd"]
    for trak in children(data, moov.body - moov.start):
        box = trak
        if trak.kind == b"trak":
            for kind in path:
                box = next(
                    child for child in children(data, box.body, box.end) if child.kind == kind
                )
            if data[box.body + 12 : box.body + 16] == b"camm":
                return moov.start + box.start
    return None


RULES: tuple[Callable[[Clip], Iterator[Finding]], ...] = (
    plain_file,
    one_metadata_track,
    metadata_handler,
    one_sample_entry,
    fine_timescale,
    no_edit_list,
    entry_within_reach,
    date_and_camera,
)
