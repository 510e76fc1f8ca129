"""What the tables of a report say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from camm import PacketType
from muxer.clip import Clip, Track
from muxer.report.series import gaps


@dataclass(frozen=True, slots=True)
class Stream:
    """All records of one packet type; `longest_ms` is the longest interval between two."""

    name: str
    count: int
    rate_hz: float | None
    first_s: float
    last_s: float
    gaps: int
    longest_ms: float | None


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


def streams(clip: Clip) -> list[Stream]:
    """A row for each packet type that is there."""
    return [_stream(clip, kind) for kind in clip.counts]


def _stream(clip: Clip, kind: PacketType) -> Stream:
    t_s = np.sort(clip.samples(kind).t_ns) / 1e9
    steps = np.diff(t_s)
    length = float(t_s[-1] - t_s[0])
    return Stream(
        kind.label,
        len(t_s),
        len(steps) / length if length else None,
        float(t_s[0]),
        float(t_s[-1]),
        int(gaps(t_s).sum()),
        float(steps.max()) * 1e3 if len(steps) else None,
    )


def facts(clip: Clip) -> list[tuple[str, str]]:
    """Name and value of what is to know of the clip as a whole."""
    camera = " ".join(filter(None, (clip.make, clip.model)))
    known = [
        ("Recorded", f"{clip.created:%Y-%m-%d %H:%M:%S} UTC" if clip.created else ""),
        ("Duration", _duration(clip.duration_ns)),
        ("Camera", camera),
        ("Video", _video(clip.video)),
        ("File", f"{clip.size / 1e6:,.1f} MB" + (", in fragments" if clip.fragmented else "")),
    ]
    return [(name, value) for name, value in known if value]


def _duration(t_ns: int) -> str:
    minutes, seconds = divmod(t_ns / 1e9, 60)
    return f"{minutes:.0f} min {seconds:.1f} s" if minutes else f"{seconds:.2f} s"


def _video(track: Track | None) -> str:
    if track is None or not track.duration_ns:
        return ""
    rate = len(track.table) * 1e9 / track.duration_ns
    return f"{track.width} x {track.height}, {rate:.2f} frames/s ({track.codec})"


def sources(metadata: Mapping[str, Any]) -> list[Source]:
    """What the recorder says of its sources; none where the clip is another recorder's."""
    found = metadata.get("sources")
    return [
        Source(
            name,
            _text(source, "chip", "port", "device"),
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
    return f"{error:+,.1f} ppm, to {sigma / 1e6:.2f} ms"
