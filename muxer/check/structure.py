"""Rules for the file and its tracks: whether readers find the metadata at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from muxer.check.finding import Finding
from muxer.clip import CammTrack, Clip
from muxer.motion import Motion

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
    camm = clip.camm_tracks
    if not camm:
        yield Finding(
            "one_metadata_track",
            "error",
            "there is no track of motion metadata, only what the camera's own programs read",
        )
    elif len(camm) > 1:
        yield Finding(
            "one_metadata_track",
            "error",
            f"there are {len(camm)} tracks of motion metadata, one may be; of records, those of "
            f"{_told(clip, clip.motion)} were checked",
        )
    others = [track for track in clip.tracks if track.handler.kind == b"meta" and track not in camm]
    for track in others:
        yield Finding(
            "one_metadata_track",
            "error",
            f"track {track.number} (codec {track.codec!r}) has the handler 'meta' too: "
            "telemetry-parser reads it as motion metadata",
        )


def metadata_handler(clip: Clip) -> Iterator[Finding]:
    """The specification says `meta`; telemetry-parser finds nothing under `camm`."""
    for track in clip.camm_tracks:
        kind = track.handler.kind.decode("latin-1")
        if kind != "meta":
            yield Finding(
                "metadata_handler",
                "error",
                f"{_told(clip, track)} has the handler {kind!r}, expected 'meta'",
            )


def one_sample_entry(clip: Clip) -> Iterator[Finding]:
    """Exiftool goes by the last entry, FFmpeg by the first; without "camm" nobody finds records."""
    for track in clip.camm_tracks:
        if track.entries != ("camm",):
            yield Finding(
                "one_sample_entry",
                "error",
                f"{_told(clip, track)} has the sample entries {track.entries}: expected 'camm' "
                "only",
            )


def fine_timescale(clip: Clip) -> Iterator[Finding]:
    """A tick should be no longer than the difference between two sensors' times."""
    for track in clip.camm_tracks:
        ticks = f"{_told(clip, track)} counts {track.timescale} ticks a second"
        if track.timescale < 1000:
            yield Finding("fine_timescale", "error", f"{ticks}: expected 1000 at least")
        elif track.timescale < 1_000_000:
            yield Finding(
                "fine_timescale",
                "warning",
                f"{ticks}: times are rounded to {1e6 / track.timescale:.0f} us; 1000000 would "
                "keep them",
            )


def no_edit_list(clip: Clip) -> Iterator[Finding]:
    """Half of the readers apply edit lists to metadata, the others do not look at them."""
    for track in clip.camm_tracks:
        edits = track.edits.edits
        if len(edits) > 1 or any(edit.media_time != 0 for edit in edits):
            yield Finding(
                "no_edit_list",
                "error",
                f"an edit list moves {_told(clip, track)} in time: exiftool and telemetry-parser "
                "do not apply it, others do",
            )


def entry_within_reach(clip: Clip) -> Iterator[Finding]:
    """Telemetry-parser tells a file by its first and last 4 MiB."""
    for track in clip.camm_tracks:
        at = track.stsd_at
        if _REACH < at < clip.size - _REACH:
            yield Finding(
                "entry_within_reach",
                "error",
                f"the sample entry of {_told(clip, track)} lies at {at / _MIB:.1f} MiB of "
                f"{clip.size / _MIB:.1f}: telemetry-parser looks in the first and last 4 MiB "
                "only; move the 'moov' in front",
            )


def date_and_camera(clip: Clip) -> Iterator[Finding]:
    """Readers date GPS times by the creation time; Street View asks for maker and model."""
    if clip.created is None:
        yield Finding("date_and_camera", "warning", "the movie has no creation time")
    for name, value in (("maker ('manu')", clip.make), ("model ('modl')", clip.model)):
        if not value:
            yield Finding("date_and_camera", "warning", f"the camera's {name} is not named")


def _told(clip: Clip, motion: Motion | None) -> str:
    """A metadata track in words: with its number, where there are several."""
    if len(clip.camm_tracks) > 1 and isinstance(motion, CammTrack):
        return f"metadata track {motion.number}"
    return "the metadata track"


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
