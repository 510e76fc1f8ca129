"""What the words and tables of a report say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from camm import PacketType
from muxer.clip import CammTrack, Clip, Track
from muxer.report.digest import Digest
from muxer.report.exposures import Sync
from muxer.report.intervals import GAP, Gap, Intervals
from muxer.report.places import Places
from muxer.report.plots import streams
from muxer.report.rest import SHORTEST_S, RestNoise

_GAPS_TOLD = 20


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table, as text."""

    cells: tuple[str, ...]
    t_s: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A device of the rig: samples delivered and lost, times it failed, its clock, what it said."""

    name: str
    device: str
    delivered: int
    lost: int
    failures: int
    clock: str
    error: str


def facts(clip: Clip) -> list[tuple[str, str]]:
    """Name and value of what is to know of the clip as a whole."""
    writer, movie = clip.metadata.get("writer"), clip.metadata.get("movie")
    utc_from = _text(movie, "utc_from") if isinstance(movie, Mapping) else ""
    by = _text(writer, "name") if isinstance(writer, Mapping) else ""
    version = _text(writer, "version") if isinstance(writer, Mapping) else ""
    created = f"{clip.created:%Y-%m-%d %H:%M:%S} UTC" if clip.created else "not told"
    known = [
        ("Recorded", created + (f", by {utc_from.replace('gps', 'GPS')}" if utc_from else "")),
        ("Duration", _duration(clip.duration_ns)),
        ("Camera", " ".join(filter(None, (clip.make, clip.model)))),
        ("Video", _video(clip.video)),
        ("Motion", _motion(clip)),
        ("Written by", f"{by} {version}".strip()),
        ("File", f"{clip.size / 1e6:,.1f} MB" + (", in fragments" if clip.fragmented else "")),
    ]
    return [(name, value) for name, value in known if value]


def _duration(t_ns: int) -> str:
    minutes, seconds = divmod(t_ns / 1e9, 60)
    return f"{minutes:.0f} min {seconds:.1f} s" if minutes else f"{seconds:.2f} s"


def _video(track: Track | None) -> str:
    if track is None:
        return "none"
    rate = track.count * 1e9 / track.duration_ns if track.duration_ns else 0.0
    return f"{track.width} × {track.height}, {rate:.2f} frames/s ({track.codec})"  # noqa: RUF001 - sign


def _motion(clip: Clip) -> str:
    motion = clip.motion
    if not isinstance(motion, CammTrack):
        return "a Mi Sphere's own boxes (madv)"
    others = len(clip.camm_tracks) - 1
    more = f"; {others} more such track{'s' * (others > 1)} not shown" if others else ""
    return f"track {motion.number} ({motion.codec or 'no sample entry'}){more}"


def tracks(clip: Clip) -> list[Row]:
    """Every track of the file: number, handler, codec, samples, duration."""
    return [
        Row(
            (
                str(track.number),
                track.handler.kind.decode("latin-1"),
                track.codec or "–",  # noqa: RUF001 - a dash
                f"{track.count:,}",
                f"{track.duration_ns / 1e9:,.3f} s",
            )
        )
        for track in clip.tracks
    ]


def rates(found: Digest) -> list[Row]:
    """A row for each packet type that is there, and for the frames."""
    return [_rate(name, each) for name, _, each in streams(found)]


def _rate(name: str, each: Intervals) -> Row:
    gaps = len(each.gaps)
    return Row(
        (
            name,
            f"{each.extent.count:,}",
            _told(each.rate_hz, 1, "Hz", 2),
            _told(each.usual_s, 1e3, "ms", 3),
            _told(each.jitter_s, 1e3, "ms", 3),
            f"{gaps:,}" + (" or more" if each.gaps_left_out else ""),
            _told(each.longest_s, 1e3, "ms", 1),
            f"{each.extent.first_ns / 1e9:.3f} s",
            f"{each.extent.last_ns / 1e9:.3f} s",
        )
    )


def missing(found: Digest) -> tuple[list[Row], int]:
    """The longest gaps of all types, and how many more there are."""
    gaps: list[tuple[Gap, str]] = [
        (gap, name) for name, _, each in streams(found) for gap in each.gaps
    ]
    gaps.sort(key=lambda pair: (-pair[0].missing, pair[0].t_s))
    told = [
        Row((name, f"{gap.seconds * 1e3:,.1f} ms", f"{gap.missing:,}"), gap.t_s)
        for gap, name in gaps[:_GAPS_TOLD]
    ]
    return told, len(gaps) - len(told)


def of_places(places: Places) -> str:
    """The track in words."""
    track = places.track
    words = [
        f"{len(track):,} fixes from {_place(track.latitude[0], track.longitude[0])} to "
        f"{_place(track.latitude[-1], track.longitude[-1])}, a path of {_metres(places.length_m)}"
    ]
    if np.isfinite(places.speed).any():
        by = "by places and their times" if places.by_places else "as the receiver says"
        words.append(f"the fastest at {np.nanmax(places.speed):.1f} m/s ({by})")
    if np.isfinite(track.horizontal_accuracy).any():
        usual = np.nanmedian(track.horizontal_accuracy)
        words.append(f"accurate to {usual:.1f} m as a rule")
    else:
        words.append("without accuracies")
    return "; ".join(words) + "."


def of_sync(sync: Sync | None, found: Digest) -> str:
    """How the frames stand to the exposures, in words."""
    if sync is None:
        frames = "no frames" if found.frames is None else f"{found.frames.extent.count:,} frames"
        return f"There are {frames}, and no records that tell how one was exposed."
    return (
        f"{sync.frames:,} frames, {len(sync.t_ns):,} records of an exposure"
        f"{f' and {sync.unknown:,} that tell none' if sync.unknown else ''}. The nearest frame is "
        f"{np.median(sync.offset_ms):+.3f} ms from the centre of the exposure in the median, "
        f"{sync.offset_ms.min():+.3f} to {sync.offset_ms.max():+.3f} ms. A pixel sees for "
        f"{np.median(sync.exposure_ms):.2f} ms; from the first line to the last are "
        f"{np.median(sync.skew_ms):.2f} ms."
    )


def noises(found: Digest) -> list[Row]:
    """Of each axis that was at rest: noise density and bias instability, in the usual units."""
    return [row for noise in found.noise for row in _noise(noise)]


def _noise(noise: RestNoise) -> Iterator[Row]:
    density, floor, an_hour = "m/s²/√Hz", "m/s²", 1
    if noise.kind is PacketType.GYRO:
        density, floor, an_hour = "°/s/√Hz", "°/h", 3600
    walk, bias = noise.allan.random_walk, noise.allan.bias_instability * an_hour
    for axis, white, least in zip("XYZ", walk.tolist(), bias.tolist(), strict=True):
        yield Row(
            (
                f"{noise.kind.label} {axis}",
                f"{white:.3g} {density}" if np.isfinite(white) else "not seen",
                f"{least:.3g} {floor}",
                f"{noise.first_s:.1f} to {noise.last_s:.1f} s",
            )
        )


def no_rest() -> str:
    """Why there is no Allan deviation."""
    return (
        f"No sensor was at rest for {SHORTEST_S} seconds on end, so its noise cannot be told from "
        "its motion: leave the camera lying still for some minutes to see it."
    )


def about_gaps() -> str:
    """What counts as one."""
    return (
        f"A gap is an interval of more than {GAP} times the usual one: something is missing in it. "
        "Jitter is the standard deviation of the intervals between half the usual one and twice it."
    )


def sources(metadata: Mapping[str, Any]) -> list[Source]:
    """What the recorder says of its sources; none where the clip is another recorder's."""
    found = metadata.get("sources")
    return [
        Source(
            name,
            _text(source, "chip", "module", "port", "device"),
            _count(source, "delivered"),
            _count(source, "lost"),
            _count(source, "failures"),
            _clock(source.get("clock_fit")),
            _text(source, "error"),
        )
        for name, source in (found.items() if isinstance(found, Mapping) else ())
        if isinstance(source, Mapping)
    ]


def remarks(metadata: Mapping[str, Any]) -> list[str]:
    """What else is to know: records that came too late, and which way heading zero is."""
    late, fusion = metadata.get("late"), metadata.get("fusion")
    found = [
        f"{count:,} {name} records came too late to be written"
        for name, count in (late.items() if isinstance(late, Mapping) else ())
        if isinstance(count, int)
    ]
    if isinstance(fusion, Mapping):
        found.append(
            f"Orientation by {_text(fusion, 'filter')}, heading from {_text(fusion, 'heading')}; "
            f"{_count(fusion, 'gaps')} gaps bridged, {_count(fusion, 'restarts')} restarts"
        )
    return found


def _text(mapping: Mapping[str, Any], *keys: str) -> str:
    return next((str(mapping[key]) for key in keys if mapping.get(key)), "")


def _count(mapping: Mapping[str, Any], key: str) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) else 0


def _clock(fit: object) -> str:
    """How far the device's clock is off, and how well that is known."""
    if not isinstance(fit, Mapping):
        return ""
    error, sigma = fit.get("period_error_ppm"), fit.get("sigma_ns")
    if not isinstance(error, float) or not isinstance(sigma, float):
        return ""
    words = f"{error:+,.1f} ppm, to {sigma / 1e6:.2f} ms"
    refused = _count(fit, "refused")
    return words + (
        f"; {refused:,} of {refused + _count(fit, 'accepted'):,} refused" * bool(refused)
    )


def _told(value: float | None, factor: float, unit: str, digits: int) -> str:
    return "–" if value is None else f"{value * factor:,.{digits}f} {unit}"  # noqa: RUF001 - a dash


def _place(latitude: float, longitude: float) -> str:
    north = f"{abs(latitude):.6f}° {'S' if latitude < 0 else 'N'}"
    return f"{north}, {abs(longitude):.6f}° {'W' if longitude < 0 else 'E'}"


def _metres(length: float) -> str:
    return f"{length:,.1f} m" if length < 1000 else f"{length / 1000:,.2f} km"
