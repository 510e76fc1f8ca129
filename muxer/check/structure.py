"""Rules for the file and its tracks: whether readers find the metadata at all."""

from __future__ import annotations

from collections.abc import Iterator

from muxer.check.evidence import Evidence
from muxer.check.rule import Fault, rule
from muxer.clip import CammTrack, Clip
from muxer.motion import Motion

_MIB = 1 << 20
_REACH = 4 * _MIB
"""How far from both ends of a file telemetry-parser looks for the sample entry."""
_COARSE = 0.01
"""The share of a sample's period that rounding its time may come to: Street View's own jitter."""
_ALL_ONES = {(1 << 32) - 1, (1 << 64) - 1}
_FAR_OFF = 0.05
"""By how much of its length a track's header may be wrong."""


@rule("readers", "error", "finish the recording: `cammcorder repair` makes a plain file of it")
def plain_file(evidence: Evidence) -> Iterator[Fault]:
    """Exiftool, mapillary_tools and telemetry-parser find nothing in fragments."""
    if evidence.clip.fragmented:
        yield Fault(
            "the file is in fragments, as an unfinished recording is: most readers of motion "
            "metadata find nothing in it"
        )


@rule("specification", "error", "keep one camm track, and give other metadata another handler")
def one_metadata_track(evidence: Evidence) -> Iterator[Fault]:
    """There is one track of motion metadata. Readers take the first one only, or mix up all that
    have the handler `meta`.
    """
    clip = evidence.clip
    camm = clip.camm_tracks
    if not camm:
        yield Fault(
            "there is no track of motion metadata, only what the camera's own programs read",
            remedy="`cammcorder convert` makes a track of it",
        )
    elif len(camm) > 1:
        yield Fault(
            f"there are {len(camm)} tracks of motion metadata, one may be; of records, those of "
            f"{_told(clip, clip.motion)} were checked",
            remedy="`cammcorder convert` makes one of them",
        )
    others = [track for track in clip.tracks if track.handler.kind == b"meta" and track not in camm]
    for track in others:
        yield Fault(
            f"track {track.number} (codec {track.codec!r}) has the handler 'meta' too: "
            "telemetry-parser reads it as motion metadata"
        )


@rule("specification", "error", "set the handler's type to 'meta'; `cammcorder convert` does")
def metadata_handler(evidence: Evidence) -> Iterator[Fault]:
    """The handler's type is `meta`; telemetry-parser finds nothing under `camm`."""
    for track in evidence.clip.camm_tracks:
        kind = track.handler.kind.decode("latin-1")
        if kind != "meta":
            yield Fault(f"{_told(evidence.clip, track)} has the handler {kind!r}, expected 'meta'")


@rule(
    "specification",
    "error",
    "leave one sample entry in 'stsd', named 'camm'; `cammcorder convert` does",
)
def one_sample_entry(evidence: Evidence) -> Iterator[Fault]:
    """The sample entry is `camm` and the only one. Exiftool goes by the last entry, FFmpeg by the
    first; without `camm` nobody finds records.
    """
    for track in evidence.clip.camm_tracks:
        if track.entries != ("camm",):
            yield Fault(
                f"{_told(evidence.clip, track)} has the sample entries {track.entries}: expected "
                "'camm' only"
            )


@rule("specification", "warning", "write the track with a timescale of 1000000")
def fine_timescale(evidence: Evidence) -> Iterator[Fault]:
    """The timescale is large enough for accurate times: a tick is short beside a sample's period,
    and beside the difference between two sensors' times.
    """
    clip = evidence.clip
    for track in clip.camm_tracks:
        ticks = f"{_told(clip, track)} counts {track.timescale} ticks a second"
        if track.timescale < 1000:
            yield Fault(f"{ticks}: expected 1000 at least", severity="error")
        elif track.timescale < 1_000_000:
            fastest = max((stream.rate_hz for stream in evidence.streams.values()), default=0.0)
            share = fastest / track.timescale
            period = f", {share:.1%} of the shortest period" if share > _COARSE else ""
            yield Fault(
                f"{ticks}: times are rounded to {1e6 / track.timescale:.0f} us{period}; 1000000 "
                "would keep them"
            )


@rule("readers", "error", "begin the track with a record at time 0 and leave the edit list out")
def no_edit_list(evidence: Evidence) -> Iterator[Fault]:
    """Half of the readers apply edit lists to metadata, the others do not look at them."""
    for track in evidence.clip.camm_tracks:
        edits = track.edits.edits
        if len(edits) > 1 or any(edit.media_time != 0 for edit in edits):
            yield Fault(
                f"an edit list moves {_told(evidence.clip, track)} in time: exiftool and "
                "telemetry-parser do not apply it, others do"
            )


@rule("readers", "error", "move the 'moov' in front of the media: MP4Box -inter 500, qt-faststart")
def entry_within_reach(evidence: Evidence) -> Iterator[Fault]:
    """Telemetry-parser tells a file by its first and last 4 MiB."""
    clip = evidence.clip
    for track in clip.camm_tracks:
        at = track.stsd_at
        if _REACH < at < clip.size - _REACH:
            yield Fault(
                f"the sample entry of {_told(clip, track)} lies at {at / _MIB:.1f} MiB of "
                f"{clip.size / _MIB:.1f}: telemetry-parser looks in the first and last 4 MiB only"
            )


@rule("readers", "warning", "write the track's true duration into 'mdhd' and 'tkhd'")
def true_duration(evidence: Evidence) -> Iterator[Fault]:
    """Players and MediaInfo believe the duration in the track's header."""
    clip, streams = evidence.clip, evidence.streams.values()
    for track in clip.camm_tracks:
        if clip.fragmented or track is not clip.motion or not streams:
            continue
        said_s = track.duration / max(track.timescale, 1)
        span_s = (max(s.last_ns for s in streams) - min(s.first_ns for s in streams)) / 1e9
        if track.duration in _ALL_ONES:
            yield Fault(f"the header of {_told(clip, track)} leaves its duration open")
        elif said_s < (1 - _FAR_OFF) * span_s:
            yield Fault(
                f"{_told(clip, track)} is said to last {said_s:.3f} s, and its records span "
                f"{span_s:.3f} s"
            )


@rule("readers", "warning", "set the creation time, and maker and model in 'manu' and 'modl'")
def date_and_camera(evidence: Evidence) -> Iterator[Fault]:
    """Readers date GPS times by the creation time; Street View asks for maker and model."""
    clip = evidence.clip
    if clip.created is None:
        yield Fault("the movie has no creation time")
    for name, value in (("maker ('manu')", clip.make), ("model ('modl')", clip.model)):
        if not value:
            yield Fault(f"the camera's {name} is not named")


def _told(clip: Clip, motion: Motion | None) -> str:
    """A metadata track in words: with its number, where there are several."""
    if len(clip.camm_tracks) > 1 and isinstance(motion, CammTrack):
        return f"metadata track {motion.number}"
    return "the metadata track"


RULES = (
    plain_file,
    one_metadata_track,
    metadata_handler,
    one_sample_entry,
    fine_timescale,
    no_edit_list,
    entry_within_reach,
    true_duration,
    date_and_camera,
)
