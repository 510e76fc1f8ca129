"""What may be asked of a camcorder, with answers that every way of asking can pass on.

The Unix socket, HTTP and the triggers all act on one `Control`. Its documents are what JSON can
say: SI units, degrees, names in snake_case.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeAlias

from camm import CammError, Packet, PacketType, Samples, StreamFormat
from camm.frames import heading_pitch_roll
from daemon.camcorder import Camcorder
from daemon.shelf import Clip
from daemon.tracker import TrackerSource
from muxer import reader

Document: TypeAlias = dict[str, Any]

_FRESH_NS = 5_000_000_000
"""What was measured longer ago is not how things are."""
_FRESH_PICTURE_NS = 15_000_000_000  # key frames are some seconds apart
_LOOK_S = 0.5


class Control:
    """Tells a camcorder what to do, and others how it is. All methods may be called by any thread.

    `status` and `picture` answer at once. Everything else may wait for the disk: not for the thread
    of an event loop. UsageError where a request makes no sense (no such clip, a protected one),
    OSError where the disk refuses.
    """

    def __init__(self, camcorder: Camcorder, version: str) -> None:
        self.camcorder = camcorder
        self.troubles: dict[str, str] = {}
        """What else is wrong than the camcorder knows of, in words, by what it is about."""
        self._version = version
        self._lengths: dict[tuple[str, int, float], float | None] = {}

    def status(self) -> Document:
        """How the camcorder is, as of the last tenth of a second."""
        status = self.camcorder.status
        return {
            "state": status.state,
            "clip": None if status.clip is None else _without(asdict(status.clip), "fragments"),
            "last_clip": status.last_clip,
            "sources": [asdict(source) for source in status.sources],
            "flowing": status.flowing,
            "growing": status.growing,
            "free_bytes": status.free,
            "seconds_left": status.seconds_left,
            "missed": status.missed,
            "slowest_write_s": status.slowest_write_s,
            "queued": status.queued,
            "warnings": [*status.warnings, *self.troubles.values()],
            "utc": None if status.utc is None else _iso(status.utc),
            "version": self._version,
            "orientation": self._orientation(),
            "fix": self._fix(),
        }

    def start(self) -> None:
        """Record, from the pre-roll on; as soon as the rig is up."""
        self.camcorder.start()

    def stop(self) -> None:
        """Record no further. The clip is finished when `status` has no `clip` any more."""
        self.camcorder.stop()

    def mark(self, text: str) -> Document:
        """Note this moment in the clip, which is kept from now on; UsageError where there is none.

        {"name", "t_s", "utc", "text"}: the clip's name as of now, and seconds into it.
        """
        return self.camcorder.mark(text)

    def track(self, name: str) -> TrackerSource:
        """Let a tracker tell where the camera is; UsageError where none is expected, or is there.

        It is connected now, until whoever asked says `disconnect`.
        """
        tracker = self.camcorder.tracker
        tracker.connect(name)
        return tracker

    def clips(self) -> list[Document]:
        """All clips, the newest first.

        {"name", "bytes", "written", "protected", "unfinished", "seconds"}; `seconds` is None of one
        that cannot be read.
        """
        clips = self.camcorder.shelf.clips()
        lengths = {key: self._lengths[key] for key in map(_key, clips) if key in self._lengths}
        self._lengths = lengths  # of those that have gone nothing is remembered
        return [self._document(clip) for clip in reversed(clips)]

    def clip(self, name: str) -> Clip:
        """Where a clip is; UsageError where there is none of that name."""
        return self.camcorder.shelf.find(name)

    def protect(self, name: str, *, protected: bool) -> Document:
        """Keep a clip whatever happens, or do so no longer; the clip as it is then."""
        return self._document(self.camcorder.shelf.protect(name, protected=protected))

    def delete(self, name: str) -> Document:
        """Remove a clip; UsageError for one that is protected or in the making."""
        clip = self.camcorder.shelf.find(name)
        document = self._document(clip)
        self.camcorder.shelf.delete(clip.name)
        return document

    def picture(self) -> tuple[StreamFormat, Packet] | None:
        """The camera's last key frame and what stream it is of, for a preview; None without one."""
        picture, formats = self.camcorder.newest_picture, self.camcorder.formats
        if picture is None or not formats:
            return None
        fresh = self.camcorder.now_ns - picture.pts_ns < _FRESH_PICTURE_NS
        return (formats[0], picture) if fresh else None

    async def subscribe(self) -> AsyncIterator[tuple[str, Document]]:
        """What happens from now on, until nobody listens any more.

        ("status", document) twice a second; ("fix", its "fix") when there is a new one; ("clip",
        {"name"}) when a clip has been finished.
        """
        before = self.status()
        while True:
            now = self.status()
            yield "status", now
            if now["fix"] is not None and now["fix"] != before["fix"]:
                yield "fix", now["fix"]
            if now["last_clip"] is not None and now["last_clip"] != before["last_clip"]:
                yield "clip", {"name": now["last_clip"]}
            before = now
            await asyncio.sleep(_LOOK_S)

    def _newest(self, kind: PacketType) -> Samples | None:
        """The last sample of a kind, unless it is too old to tell how things are."""
        newest = self.camcorder.newest.get(kind)
        if newest is None or self.camcorder.now_ns - int(newest.t_ns[0]) > _FRESH_NS:
            return None
        return newest

    def _orientation(self) -> Document | None:
        newest = self._newest(PacketType.ANGLE_AXIS)
        if newest is None:
            return None
        angles = (float(angle[0]) for angle in heading_pitch_roll(newest.data))
        return dict(zip(("yaw_deg", "pitch_deg", "roll_deg"), angles, strict=True))

    def _fix(self) -> Document | None:
        newest = self._newest(PacketType.GPS) or self._newest(PacketType.MIN_GPS)
        if newest is None:
            return None
        fix = newest.data[0]
        east, north, accuracy = (
            (float(fix[key]) for key in ("velocity_east", "velocity_north", "horizontal_accuracy"))
            if newest.kind is PacketType.GPS
            else (math.nan,) * 3
        )
        told = {
            "latitude": float(fix["latitude"]),
            "longitude": float(fix["longitude"]),
            "altitude": float(fix["altitude"]),
            "speed_m_s": math.hypot(east, north),
            "course_deg": math.degrees(math.atan2(east, north)) % 360,
            "accuracy_m": accuracy,
        }
        return {key: value if math.isfinite(value) else None for key, value in told.items()}

    def _document(self, clip: Clip) -> Document:
        return {
            "name": clip.name,
            "bytes": clip.size,
            "written": _iso(datetime.fromtimestamp(clip.written, UTC)),
            "protected": clip.protected,
            "unfinished": clip.unfinished,
            "seconds": self._seconds(clip),
        }

    def _seconds(self, clip: Clip) -> float | None:
        """How long a clip is; read once of each that is finished."""
        making = self.camcorder.status.clip
        if making is not None and making.name == clip.name:
            return making.seconds
        key = _key(clip)
        if key not in self._lengths:
            self._lengths[key] = None
            try:
                with reader.open(clip.path) as opened:
                    self._lengths[key] = opened.duration_ns / 1e9
            except (CammError, OSError):
                pass  # it has gone, or is damaged: the name and the size can be told all the same
        return self._lengths[key]


def _key(clip: Clip) -> tuple[str, int, float]:
    return clip.name, clip.size, clip.written


def _iso(utc: datetime) -> str:
    return utc.isoformat(timespec="milliseconds")


def _without(document: Document, key: str) -> Document:
    return {name: value for name, value in document.items() if name != key}
