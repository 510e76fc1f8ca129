"""Show what a clip holds: its tracks, and the motion metadata by packet type.

Works with any MP4; where there is no camera motion metadata it says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muxer.clip import Clip, Track
    from muxer.motion import Extent

_KINDS = {
    "camm": "a camm track",
    "mett": "a mett track of motion",
    "records": "a track without the name, recognised by its records",
    "madv": "madv, one orientation a frame (Mi Sphere)",
}
_LONGEST_VALUE = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to look at")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what a URL has cost")


def run(options: argparse.Namespace) -> int:
    """Print the facts of the clip."""
    from cammcorder.commands.outputs import tell_cost
    from muxer import reader

    with reader.open(options.clip) as clip:
        facts = _facts(clip)
        if options.verbose:
            tell_cost(clip)
    if options.json:
        import json

        sys.stdout.write(json.dumps(_without_nan(facts), indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(facts))
    return 0


def _facts(clip: Clip) -> dict[str, Any]:
    return {
        "path": clip.path,
        "size": clip.size,
        "duration_s": clip.duration_ns / 1e9,
        "created": clip.created.isoformat() if clip.created else None,
        "make": clip.make,
        "model": clip.model,
        "fragmented": clip.fragmented,
        "moov_first": clip.moov_first,
        "motion": _motion(clip),
        "camm_tracks": len(clip.camm_tracks),
        "tracks": [_track(track) for track in clip.tracks],
        "records": [_records(*found) for found in sorted(clip.survey.extents.items())],
        "gps_time": _gps_time(clip),
        "madv": _madv(clip),
        "faults": clip.faults,
        "metadata": clip.metadata,
    }


def _motion(clip: Clip) -> dict[str, Any] | None:
    """Where the records are: a track and what it was recognised by, or the camera's own box."""
    from muxer.clip import CammTrack

    if clip.motion is None:
        return None
    if isinstance(clip.motion, CammTrack):
        return {"kind": clip.motion.recognised_by, "track": clip.motion.number}
    return {"kind": "madv", "track": None}


def _gps_time(clip: Clip) -> dict[str, Any] | None:
    """What `time_gps_epoch` counts, and the UTC that comes of it."""
    import numpy as np

    from camm import PacketType

    if PacketType.GPS not in clip.counts:
        return None
    dates = clip.gps_utc[~np.isnat(clip.gps_utc)]
    return {
        "epoch": clip.gps_epoch.value,
        "first_utc": f"{dates[0]}Z" if len(dates) else None,
        "last_utc": f"{dates[-1]}Z" if len(dates) else None,
        "leap_seconds_known": clip.leap_seconds_known,
    }


def _madv(clip: Clip) -> list[dict[str, Any]] | None:
    """Every box of a Mi Sphere's own metadata, and what it says; None where there are none."""
    from dataclasses import asdict

    madv = clip.madv
    if madv is None:
        return None
    camera, place = madv.camera, madv.place
    matrices = {"matrices": len(madv.matrices) - madv.missing}
    said: dict[bytes, Any] = {
        b"tlyd": matrices,
        b"GYRA": matrices,
        b"fltr": {"frames_without_a_matrix": madv.missing},
        b"cutl": {"cuts": madv.cuts.tolist()},
        b"DISP": {"display_mode": madv.display_mode},
        b"caif": {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(camera).items()}
        if camera
        else None,
        b"gpsx": asdict(place) if place else None,
    }
    return [
        {"box": kind.decode("ascii"), "size": len(content), "says": said.get(kind)}
        for kind, content in madv.boxes.items()
    ]


def _track(track: Track) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "number": track.number,
        "codec": track.codec,
        "handler": track.handler.kind.decode("latin-1"),
        "timescale": track.timescale,
        "samples": track.count,
        "duration_s": track.duration_ns / 1e9,
        "width": track.width,
        "height": track.height,
        "sample_rate": track.sample_rate,
        "channels": track.channels,
        "projection": None if track.projection is None else asdict(track.projection),
    }


def _records(kind: int, extent: Extent) -> dict[str, Any]:
    from camm import PacketType

    length = extent.last_ns - extent.first_ns
    return {
        "type": kind,
        "name": PacketType(kind).label if kind < len(PacketType) else "unknown",
        "count": extent.count,
        "first_s": extent.first_ns / 1e9,
        "last_s": extent.last_ns / 1e9,
        "rate_hz": (extent.count - 1) * 1e9 / length if length > 0 else None,
    }


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """The same with null for NaN and infinities, which JSON has no words for."""
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _lines(facts: dict[str, Any]) -> Iterable[str]:
    """The facts for a person, in columns."""
    if facts["fragmented"]:
        ours = "writer" in facts["metadata"]
        layout = "unfinished recording (fragments)" if ours else "in fragments"
    else:
        layout = "moov in front" if facts["moov_first"] else "moov at the end"
    camera = " ".join(filter(None, (facts["make"], facts["model"])))
    yield from _table(
        [
            ("clip", facts["path"]),
            ("size", f"{facts['size']:,} bytes"),
            ("duration", f"{facts['duration_s']:.3f} s"),
            ("created", facts["created"] or "not set"),
            ("camera", camera or "not named"),
            ("layout", layout),
            *_motion_rows(facts),
        ]
    )
    yield ""
    yield from _table(
        [("track", "codec", "handler", "timescale", "samples", "duration", "")]
        + [
            (
                str(track["number"]),
                track["codec"] or "?",
                track["handler"],
                str(track["timescale"]),
                str(track["samples"]),
                f"{track['duration_s']:.3f} s",
                _picture_or_sound(track),
            )
            for track in facts["tracks"]
        ]
    )
    yield ""
    if facts["records"]:
        yield from _table(
            [("type", "records", "count", "first", "last", "rate")]
            + [
                (
                    str(row["type"]),
                    row["name"],
                    str(row["count"]),
                    f"{row['first_s']:.6f} s",
                    f"{row['last_s']:.6f} s",
                    f"{row['rate_hz']:.2f} Hz" if row["rate_hz"] else "-",
                )
                for row in facts["records"]
            ]
        )
    elif facts["motion"]:
        yield "the camera motion metadata is empty"
    else:
        yield "no camera motion metadata"
    if facts["madv"]:
        yield ""
        yield from _table(
            [("madv", "bytes", "")]
            + [(row["box"], str(row["size"]), _madv_text(row["says"])) for row in facts["madv"]]
        )
    for reason, count in facts["faults"].items():
        yield f"fault: {reason}: {count}"
    if facts["metadata"]:
        yield ""
        yield from _table([(name, _summary(value)) for name, value in facts["metadata"].items()])


def _madv_text(said: Mapping[str, Any] | None) -> str:
    if said is None:
        return "not decoded; `extract --to raw` saves it"
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in said.items())


def _motion_rows(facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What is to know of the metadata as a whole; nothing where there is none."""
    motion, gps_time = facts["motion"], facts["gps_time"]
    if motion:
        of_several = f" (of {facts['camm_tracks']})" if facts["camm_tracks"] > 1 else ""
        track = f", track {motion['track']}{of_several}" if motion["track"] is not None else ""
        yield "motion", _KINDS[motion["kind"]] + track
    if gps_time:
        yield (
            "GPS time",
            gps_time["epoch"]
            + (f", from {gps_time['first_utc']}" if gps_time["first_utc"] else ""),
        )
        if not gps_time["leap_seconds_known"]:
            yield "", "it lies after what is known of leap seconds: UTC may be a second off"


def _picture_or_sound(track: dict[str, Any]) -> str:
    if track["width"]:
        rate = track["samples"] / track["duration_s"] if track["duration_s"] else 0
        size = f"{track['width']} x {track['height']}, {rate:.2f} frames/s"
        return size + _projection(track["projection"])
    if track["channels"]:
        return f"{track['sample_rate']} Hz, {track['channels']} channels"
    return ""


def _projection(said: dict[str, Any] | None) -> str:
    """What is out of the ordinary in it."""
    if said is None:
        return ""
    parts = [said["kind"]]
    if said["stereo"] != "mono":
        parts.append(said["stereo"])
    if any(said["pose_deg"]):
        parts.append("turned by {:g}, {:g}, {:g} deg".format(*said["pose_deg"]))
    if any(said["bounds"]):
        top, bottom, left, right = said["bounds"]
        parts.append(f"{1 - left - right:.1%} x {1 - top - bottom:.1%} of the sphere")
    return ", " + ", ".join(parts)


def _summary(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """A value of the clip's own metadata in a few words; `--json` has it whole."""
    if isinstance(value, Mapping):
        text = ", ".join(value)
    elif isinstance(value, list):
        text = f"{len(value)} values"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _table(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Lines with columns that stand one below another, as wide as they must be and never cut."""
    from cammcorder.commands.outputs import printable

    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
