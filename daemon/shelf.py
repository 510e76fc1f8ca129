"""The clips in a folder: what they are called, which must stay, and which may go to make room.

A clip is called after the UTC at which it begins, 2026-11-20T15-28-03Z.mp4; while that is not
known, after the host's boot and the seconds since, boot-1f3a9c02-000412s.mp4. In the making it ends
in .unfinished.mp4. A protected clip has a file NAME.mp4.protected beside it, with a line for each
moment that was marked in it: a clip that is never finished has them nowhere else. Nothing else is
kept anywhere: a card that is read elsewhere tells all.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from camm import CammError, UsageError
from muxer.disk import sync_folder
from muxer.repair import examine, finish_in_place

_log = logging.getLogger(__name__)

_SUFFIX = ".mp4"
_UNFINISHED = ".unfinished.mp4"
_PROTECTED = ".protected"
_SINCE_BOOT = re.compile(r"boot-(?P<boot>[0-9a-f]{8})-(?P<seconds>\d+)s")


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on the shelf: its size in bytes and when it was last written, seconds since 1970."""

    name: str
    path: Path
    size: int
    written: float
    protected: bool
    unfinished: bool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a recording that was cut off; `clip` is its new name where it has one."""

    path: Path
    clip: str | None
    complete: bool
    told: str


class Shelf:
    """The clips in a folder, which is made if need be. OSError where that cannot be.

    `boot` tells the host's boots apart: the first eight digits of its boot id. `told` is called
    with each clip that has become whole. Methods may be called by any thread. OSError from each of
    them where the disk fails.
    """

    def __init__(
        self, folder: Path, boot: str, told: Callable[[Path], None] = lambda path: None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._told = told
        self.folder = folder
        self._boot = boot
        self._naming = threading.RLock()  # a clip and its mark go together
        real = folder.resolve()
        self._mount = next(place for place in (real, *real.parents) if place.is_mount())

    def clips(self) -> list[Clip]:
        """All clips, those that were written last at the end."""
        found = []
        with self._naming:
            for path in self.folder.glob(f"*{_SUFFIX}"):
                with suppress(FileNotFoundError):  # somebody else has just deleted it
                    about = path.stat()
                    protected = _mark(path).exists()
                    unfinished = path.name.endswith(_UNFINISHED)
                    found.append(
                        Clip(path.name, path, about.st_size, about.st_mtime, protected, unfinished)
                    )
        return sorted(found, key=lambda clip: (clip.written, clip.name))

    def find(self, name: str) -> Clip:
        """The clip of that name, with or without its suffix; UsageError where there is none."""
        clips = self.clips()
        for clip in clips:
            if name in (clip.name, clip.name.removesuffix(_SUFFIX)):
                return clip
        newest = f"; the newest is {clips[-1].name}" if clips else ": there are no clips yet"
        raise UsageError(f"no clip is called {name!r}{newest}")

    def protect(self, name: str, *, protected: bool, note: str = "") -> Clip:
        """Keep a clip whatever happens, or do so no longer; `note` says why it is kept."""
        with self._naming:
            clip = self.find(name)
            mark = _mark(clip.path)
            if not protected:
                mark.unlink(missing_ok=True)
            elif note:
                with mark.open("w") as file:
                    file.write(note)
                    file.flush()
                    os.fsync(file.fileno())
            else:
                mark.touch()
            sync_folder(self.folder)
        return replace(clip, protected=protected)

    def delete(self, name: str) -> Clip:
        """Remove a clip; UsageError for one that is protected or in the making."""
        with self._naming:
            clip = self.find(name)
            if clip.protected:
                raise UsageError(f"{clip.name} is protected: take the protection off first")
            if clip.unfinished:
                raise UsageError(f"{clip.name} is not finished: it cannot be deleted")
            clip.path.unlink()
        return clip

    def free(self) -> int:
        """Bytes that a clip can still take.

        OSError where the folder is not there, or not on the disk any more that it was on: what is
        left in the place of a card that was pulled is the host's own disk.
        """
        if not self._mount.is_mount():
            raise OSError(errno.ENODEV, f"nothing is mounted at {self._mount} any more")
        told = os.statvfs(self.folder)
        return told.f_bavail * told.f_frsize

    def make_room(self, floor: int) -> list[Clip]:
        """Delete the oldest clips that may go until `floor` bytes are free; those that went."""
        gone: list[Clip] = []
        if self.free() >= floor:
            return gone
        for clip in self.clips():
            if self.free() >= floor:
                break
            with self._naming:
                if not (clip.unfinished or _mark(clip.path).exists()):
                    clip.path.unlink(missing_ok=True)
                    gone.append(clip)
        return gone

    def new(self, utc: datetime | None, monotonic_ns: int) -> Path:
        """Where to record a clip that begins now; `utc` where it is known."""
        return self._free_name(self._stem(utc, monotonic_ns), _UNFINISHED)

    def finished(self, path: Path) -> Path:
        """What a recording is to be called when it is whole."""
        return self._free_name(path.name.removesuffix(_UNFINISHED), _SUFFIX)

    def finish(self, path: Path, utc: datetime | None = None) -> Path:
        """Give a recording that is whole its final name; where it is then.

        After the UTC at which it began, where that has become known since it was named.
        """
        with self._naming:
            final = self.finished(path)
            if utc is not None and _SINCE_BOOT.match(path.name):
                final = self._free_name(_utc_stem(utc), _SUFFIX)
            _rename(path, final)
            sync_folder(self.folder)
        self._told(final)
        return final

    def date(self, utc_at: Callable[[int], datetime]) -> dict[str, str]:
        """Call the finished clips of this boot after their UTC, now that it is known.

        `utc_at` says the UTC of a moment of CLOCK_MONOTONIC. Old and new names.
        """
        renamed = {}
        for clip in self.clips():
            match = _SINCE_BOOT.match(clip.name)
            if match is None or match["boot"] != self._boot or clip.unfinished:
                continue
            began = utc_at(int(match["seconds"]) * 1_000_000_000)
            with self._naming, suppress(FileNotFoundError):  # it has just been deleted
                path = self._free_name(_utc_stem(began), _SUFFIX)
                _rename(clip.path, path)
                renamed[clip.name] = path.name
        if renamed:
            sync_folder(self.folder)
        return renamed

    def recover(self, busy: Callable[[str], None] = lambda name: None) -> list[Recovered]:
        """Finish every recording that a crash or a power cut has left; nothing is deleted.

        Not while one is in the making. `busy` is told which one is worked on. What cannot be
        finished stays as it is.
        """
        return [self._recover(clip.path, busy) for clip in self.clips() if clip.unfinished]

    def _recover(self, path: Path, busy: Callable[[str], None]) -> Recovered:
        busy(path.name)
        try:
            examination = examine(path)
            finish_in_place(examination)
            final = self.finish(path)
        except (CammError, OSError) as error:
            _log.warning("%s could not be finished: %s", path.name, error)
            return Recovered(path, None, complete=False, told=str(error))
        told = f"{examination.intact} of {examination.fragments} fragments"
        _log.warning("%s was cut off; %s are in %s", path.name, told, final.name)
        return Recovered(path, final.name, examination.complete, told)

    def _stem(self, utc: datetime | None, monotonic_ns: int) -> str:
        if utc is not None:
            return _utc_stem(utc)
        return f"boot-{self._boot}-{monotonic_ns // 1_000_000_000:06d}s"

    def _free_name(self, stem: str, suffix: str) -> Path:
        """A name that no finished clip has and, for a new one, none in the making either."""
        names = {path.name for path in self.folder.glob(f"*{_SUFFIX}")}
        others = {_SUFFIX, suffix}
        for number in itertools.count(1):
            variant = stem if number == 1 else f"{stem}-{number}"
            if not any(variant + other in names for other in others):
                return self.folder / (variant + suffix)
        raise AssertionError  # counting has no end


def _mark(path: Path) -> Path:
    """What stands beside a clip that is protected."""
    return path.with_name(path.name + _PROTECTED)


def _rename(path: Path, final: Path) -> None:
    """A clip and the mark beside it. The mark first: a clip is not without it for a moment."""
    if protected := _mark(path).exists():
        _mark(final).write_bytes(_mark(path).read_bytes())
    path.rename(final)
    if protected:
        _mark(path).unlink()


def _utc_stem(utc: datetime) -> str:
    """To the second at which it began: the nearest, lest a millisecond early be a second."""
    nearest = utc.astimezone(UTC) + timedelta(milliseconds=500)
    return nearest.strftime("%Y-%m-%dT%H-%M-%SZ")
