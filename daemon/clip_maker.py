"""Clips of a rig on a shelf: where each begins, what it says of itself, what it is called."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from camm import CammError, StreamFormat
from daemon.account import Account
from daemon.rig import Rig
from daemon.shelf import Shelf
from muxer.clip_writer import ClipWriter, RecordingStatistics

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of CLOCK_MONOTONIC that somebody has noted, its UTC, and what they said."""

    t_ns: int
    utc: datetime
    text: str

    def told(self, zero_ns: int) -> dict[str, Any]:
        """As the metadata of a clip that begins at `zero_ns` has it."""
        return {
            "t_s": (self.t_ns - zero_ns) / 1e9,
            "utc": self.utc.isoformat(timespec="milliseconds"),
            "text": self.text,
        }


class ClipMaker:
    """What `muxer.reel.Reel` asks for its clips. One thread; others may look at the attributes.

    `fusion` tells how the orientation came about, for a clip's metadata.
    """

    def __init__(
        self,
        rig: Rig,
        shelf: Shelf,
        version: str,
        fusion: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._rig = rig
        self._version = version
        self._fusion = fusion
        self._account = Account(rig, version)
        self._marks: list[Mark] = []
        self._home = shelf  # of the clip in the making
        self.shelf = shelf
        """Where the next clip goes."""
        self.formats: Sequence[StreamFormat] = ()
        """Of the camera."""
        self.clip: ClipWriter | None = None
        """The one in the making."""
        self.last: str | None = None
        """The name of the last that was finished."""
        self.error = ""
        """Why the disk takes no more, "" while it does."""
        self.undated = True
        """Whether there may be clips of this boot that are not called after their UTC."""

    def begin(self, zero_ns: int) -> ClipWriter:
        self._account = Account(self._rig, self._version)
        self._marks = [mark for mark in self._marks if mark.t_ns >= zero_ns]
        self._home = self.shelf
        path = self._home.new(self._known_utc(zero_ns), zero_ns)
        about = self._account.unfinished(zero_ns)
        self.clip = ClipWriter(path, self.formats, about, zero_ns)
        self.error = ""
        _log.info("recording %s", path.name)
        return self.clip

    def end(self, clip: ClipWriter, statistics: RecordingStatistics, end_ns: int) -> None:
        zero_ns = clip.zero_ns
        marks = [mark for mark in self._marks if mark.t_ns < end_ns]
        self._marks = [mark for mark in self._marks if mark.t_ns >= end_ns]
        told = [mark.told(zero_ns) for mark in marks]
        clip.finalise(self._account.finished(zero_ns, statistics.late, self._fusion(), told))
        self.clip = None
        if not clip.begun:
            return
        if marks:
            self._keep(clip, marks)
        utc = self._known_utc(zero_ns)
        final = self._home.finish(clip.path, utc)
        self.undated |= utc is None
        self.last = final.name
        seconds = (end_ns - clip.zero_ns) / 1e9
        _log.info("%s: %.1f s, %d frames", final.name, seconds, statistics.frames)

    def fail(self, clip: ClipWriter | None, error: OSError) -> None:
        self.clip = None
        self._marks = []
        if clip is not None:
            clip.close()
            if not clip.statistics({}).fragments:  # a disk that fails for long would fill with them
                with suppress(OSError):
                    clip.path.unlink()
        if (reason := error.strerror or str(error)) != self.error:
            _log.error("%s: %s", clip.path.name if clip else self.shelf.folder, reason)
        self.error = reason

    def mark(self, mark: Mark) -> None:
        """Note a moment in the clip in the making, or in the next where it is later than this one.

        The one in the making is protected at once, with its marks beside it: it is to be kept even
        if it is never finished.
        """
        self._marks.append(mark)
        if self.clip is not None:
            self._keep(self.clip, self._marks)

    def recover(self) -> bool:
        """Finish what a failure of the disk has left; whether the disk lets us."""
        try:
            self.shelf.recover()
        except OSError as error:
            self.fail(None, error)
            return False
        self.undated = True
        return True

    def utc_at(self, t_ns: int) -> datetime:
        """UTC of a moment of CLOCK_MONOTONIC, as well as it is known by now."""
        return self._account.utc(t_ns)

    def _keep(self, clip: ClipWriter, marks: Sequence[Mark]) -> None:
        note = "".join(json.dumps(mark.told(clip.zero_ns)) + "\n" for mark in marks)
        try:
            self._home.protect(clip.path.name, protected=True, note=note)
        except (CammError, OSError) as error:  # no file yet, or a disk about to fail by itself
            _log.warning("%s could not be protected: %s", clip.path.name, error)

    def _known_utc(self, t_ns: int) -> datetime | None:
        """UTC of a moment, unless the receiver that would tell it has no fix yet.

        A host that was switched on away from the network knows it no better.
        """
        gps = self._rig.gps
        known = gps is None or gps.gps_time_ns_at(t_ns) is not None
        return self._account.utc(t_ns) if known else None
