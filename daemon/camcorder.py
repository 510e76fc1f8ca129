"""A rig that is always on, and records when it is told to.

Its sources run from the start, each in a thread; one more, the writer's, makes clips of what they
deliver. The last thread, that of `run`, brings the rig up, looks after it and says how it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from camm import CammError, Packet, PacketType, Samples, StreamFormat, UsageError
from daemon.configuration import StorageSettings
from daemon.rig import Rig
from daemon.shelf import Shelf
from daemon.sources import Source
from daemon.status import Observer, SourceStatus, State, Status
from daemon.tracker import TrackerSource
from daemon.writer import Writer
from muxer.clip_writer import ClipWriter

_log = logging.getLogger(__name__)

_LOOK_NS = 100_000_000
_HOUSEKEEPING_NS = 1_000_000_000
_RETRY_NS = 5_000_000_000
_RETRY_S = 5.0
_DRAIN_NS = 600_000_000
"""How long sources go on after the end, for what was measured before it: GPS fixes are late."""
_STILL_NS = 5_000_000_000
"""A clip that has not grown for so long does not grow."""
_MEGABYTE = 1_000_000
_LONGEST_MARK = 500
_MARK_PATIENCE_S = 1.0
_UP = ("ready", "recording", "halted")


class Camcorder:
    """Runs a rig and records clips of it on a shelf.

    `make_rig` is called in the thread of `run`, again and again until it succeeds. All else may be
    called by any thread, at any time; `status` says what has become of it.
    """

    def __init__(
        self,
        make_rig: Callable[[], Rig],
        shelf: Shelf,
        storage: StorageSettings,
        *,
        filter_name: str = "vqf",
        output: str | float = "imu",
        position: str = "off",
        version: str,
    ) -> None:
        self.shelf = shelf
        self.storage = storage
        self._make_rig = make_rig
        self._filter_name = filter_name
        self._output = output
        self._position = position
        self._version = version
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._wanted = False
        self._rig: Rig | None = None
        self._writer: Writer | None = None
        self._status = Status()
        self._trouble: dict[str, str] = {}
        self._grown_ns = self._housekeeping_ns = self._retry_ns = 0
        self._warm_ns = 0
        self._grown: tuple[str, int] | None = None

    @property
    def status(self) -> Status:
        """How it is, as of the last tenth of a second."""
        return self._status

    @property
    def now_ns(self) -> int:
        """The rig's own time, to which the stamps of samples belong; 0 before there is a rig."""
        rig = self._rig
        return 0 if rig is None else rig.clock.now_ns()

    @property
    def tracker(self) -> TrackerSource:
        """Whom a tracker tells its poses; UsageError where none is expected."""
        if (rig := self._rig) is None:
            raise CammError("the rig is not up yet: connect again in a second")
        if rig.tracker is None:
            raise UsageError(
                'no tracker is expected: set position = "tracker" in [fusion], or filter = '
                '"tracker", or both'
            )
        return rig.tracker

    @property
    def newest(self) -> Mapping[PacketType, Samples]:
        """The last sample of each kind."""
        writer = self._writer
        return {} if writer is None else writer.recorder.newest.copy()

    @property
    def newest_picture(self) -> Packet | None:
        """The last key frame of the camera."""
        writer = self._writer
        return None if writer is None else writer.recorder.newest_picture

    @property
    def formats(self) -> Sequence[StreamFormat]:
        """The streams of the camera that films; none while there is none."""
        writer = self._writer
        return () if writer is None else writer.formats

    def start(self) -> None:
        """Record from the pre-roll on; as soon as there is a rig."""
        with self._lock:
            if not self._wanted:
                self._wanted = True
                self._grown_ns = self.now_ns
                if self._writer is not None:
                    self._writer.start()

    def stop(self) -> None:
        """Record no further."""
        with self._lock:
            if self._wanted:
                self._wanted = False
                if self._writer is not None:
                    self._writer.stop()

    def mark(self, text: str) -> dict[str, Any]:
        """Note this moment in the clip, which is kept from now on.

        The clip's name, the seconds into it, UTC and text. UsageError where nothing is recorded.
        May wait a moment, while one clip is finished and the next has not begun.
        """
        if len(text) > _LONGEST_MARK:
            raise UsageError(f"a mark has at most {_LONGEST_MARK} letters, found {len(text)}")
        t_ns, give_up_s = self.now_ns, time.monotonic() + _MARK_PATIENCE_S
        while (clip := self._clip) is None and self._wanted and time.monotonic() < give_up_s:
            time.sleep(0.02)
        with self._lock:
            writer = self._writer
            if writer is None or clip is None or not self._wanted:
                raise UsageError("nothing is being recorded: there is no clip to mark")
            utc = writer.clips.utc_at(t_ns)
            writer.mark(t_ns, utc, text)
        return {
            "name": clip.path.name,
            "t_s": (t_ns - clip.zero_ns) / 1e9,
            "utc": utc.isoformat(timespec="milliseconds"),
            "text": text,
        }

    @property
    def _clip(self) -> ClipWriter | None:
        """The one in the making."""
        writer = self._writer
        return None if writer is None else writer.clips.clip

    def change_storage(self, storage: StorageSettings, shelf: Shelf) -> None:
        """Keep to other limits, and put the next clip on another shelf."""
        with self._lock:
            self.storage, self.shelf = storage, shelf
            if self._writer is not None:
                self._writer.change_storage(storage, shelf)

    def close(self) -> None:
        """End the clip and the rig; `run` returns when that is done."""
        self._closing.set()

    def run(self) -> None:
        """Bring the rig up and keep it running until `close`.

        CammError where the configuration cannot work whatever comes (a filter that there is not);
        whatever makes the writer fail, once all that can be saved has been.
        """
        try:
            self._recover()
            if (brought := self._bring_up()) is not None:
                rig, opened = brought
                with rig:
                    try:
                        self._record(rig, opened)
                    finally:
                        _close(rig)
        finally:
            self._rig = None
            self._tell(Status("stopped", last_clip=self._status.last_clip))

    def _recover(self) -> None:
        """Finish what a crash or a power cut has left."""

        def busy(name: str) -> None:
            self._tell(Status("recovering", warnings=(f"{name} was cut off and is finished now",)))

        try:
            left = self.shelf.recover(busy)
        except OSError as error:
            self._complain("disk", f"{self.shelf.folder}: {error.strerror}")
            left = []
        for one in left:
            if one.clip is None:
                self._complain(one.path.name, f"{one.path.name} is cut off: {one.told}")
        self._tell(Status(warnings=tuple(self._trouble.values())))

    def _bring_up(self) -> tuple[Rig, set[Source]] | None:
        """The rig and those of its sources that are open: as soon as there is one with all that
        are required, or None where it is to end.
        """
        while not self._closing.is_set():
            try:
                rig = self._make_rig()
            except (CammError, OSError) as error:
                self._complain("rig", str(error))
            else:
                try:
                    opened = _open(rig)
                except (CammError, OSError) as error:
                    self._complain("rig", str(error))
                    with rig:
                        _close(rig)
                else:
                    self._trouble.pop("rig", None)
                    return rig, opened
            self._tell(Status(warnings=tuple(self._trouble.values())))
            self._closing.wait(_RETRY_S)
        return None

    def _complain(self, what: str, words: str) -> None:
        """Say what is wrong; to the log once, as long as it is the same."""
        if self._trouble.get(what) != words:
            self._trouble[what] = words
            _log.warning("%s", words)

    def _tell(self, status: Status) -> None:
        self._status = replace(status, looked_ns=time.monotonic_ns())

    def _record(self, rig: Rig, opened: set[Source]) -> None:
        clock = rig.clock
        writer = Writer(
            rig,
            self.shelf,
            self.storage,
            self._filter_name,
            self._version,
            self._output,
            self._position,
        )
        self._rig = rig
        try:
            rig.begin()
            if rig.camera is not None:
                rig.camera.comes_back = True  # there is always a next clip
            self._warm_ns = clock.now_ns() + rig.warm_up_ns
            for source in rig.all_sources:
                if source in opened or source.comes_back:
                    source.start(writer.deliver, opened=source in opened)
                else:
                    source.finished = True
            with self._lock:
                self._writer = writer
                writer.change_storage(self.storage, self.shelf)
                if self._wanted:
                    writer.start()
            observer = Observer(rig.all_sources)
            while not self._closing.is_set() and writer.failure is None:
                clock.sleep_until(clock.now_ns() + _LOOK_NS)
                self._look_after(rig, writer)
                self._tell(self._observe(observer.look(clock.now_ns()), writer, clock.now_ns()))
            clock.sleep_until(clock.now_ns() + _DRAIN_NS)
        finally:
            for source in rig.all_sources:
                source.stop()
            for source in rig.all_sources:
                source.join()
            with self._lock:
                self._writer = None
            writer.close(clock.now_ns())
            self._tell(replace(self._status, last_clip=writer.clips.last))
        if writer.failure is not None:
            raise writer.failure

    def _look_after(self, rig: Rig, writer: Writer) -> None:
        now_ns = rig.clock.now_ns()
        if now_ns >= self._housekeeping_ns:
            self._housekeeping_ns = now_ns + _HOUSEKEEPING_NS
            try:
                self._keep_room(writer, now_ns)
                self._date(rig, writer)
            except OSError as error:
                self._complain("disk", f"{self.shelf.folder}: {error.strerror}")

    def _keep_room(self, writer: Writer, now_ns: int) -> None:
        """Make room, or say that there is none; go on when there is again."""
        floor = round(self.storage.keep_free_mb * _MEGABYTE)
        more_can_go = False
        if self.storage.delete_oldest:
            for gone in self.shelf.make_room(floor):
                _log.warning("%s was deleted to make room", gone.name)
            # What was written meanwhile is seen to the next time.
            more_can_go = any(not (c.protected or c.unfinished) for c in self.shelf.clips())
        free = self.shelf.free()
        if free < floor and not more_can_go:
            self._trouble["disk"] = (
                f"{self.shelf.folder} has {free / _MEGABYTE:,.0f} MB left, fewer than the "
                f"{self.storage.keep_free_mb:,.0f} that are to stay free: delete clips or protect "
                "fewer"
            )
            if not writer.reel.halted:
                writer.halt()
        elif writer.reel.halted and now_ns >= self._retry_ns:
            self._retry_ns = now_ns + _RETRY_NS
            writer.resume()
        else:
            self._trouble.pop("disk", None)

    def _date(self, rig: Rig, writer: Writer) -> None:
        clips = writer.clips
        if rig.gps is None or not clips.undated or rig.gps.gps_time_ns_at(self.now_ns) is None:
            return
        clips.undated = False  # first: a clip that is finished meanwhile sets it again
        renamed = self.shelf.date(clips.utc_at)
        for old, new in renamed.items():
            _log.info("%s is now called %s", old, new)
        if clips.last is not None:
            clips.last = renamed.get(clips.last, clips.last)

    def _observe(self, sources: tuple[SourceStatus, ...], writer: Writer, now_ns: int) -> Status:
        clip, last_clip = writer.shown
        halted = writer.reel.halted
        flowing = all(source.delivering for source in sources if source.required)
        up = self._status.state in _UP or (flowing and now_ns >= self._warm_ns)
        state: State
        if clip is not None:
            state = "recording"
        elif self._wanted and halted:
            state = "halted"
        else:
            state = "ready" if up else "starting"
        idle = clip is None and (halted or not self._wanted or not up)
        grown = None if clip is None else (clip.name, clip.fragments)
        if idle or grown != self._grown:
            self._grown_ns, self._grown = now_ns, grown
        free = self._free()
        return Status(
            state,
            clip,
            last_clip,
            sources,
            flowing,
            now_ns - self._grown_ns < _STILL_NS,
            free,
            free * clip.seconds / clip.bytes if clip is not None and clip.bytes else None,
            writer.missed,
            writer.slowest_write_s,
            writer.queued,
            self._warnings(sources, writer, now_ns),
            writer.clips.utc_at(now_ns),
        )

    def _warnings(
        self, sources: tuple[SourceStatus, ...], writer: Writer, now_ns: int
    ) -> tuple[str, ...]:
        warnings = [*self._trouble.values()]
        for source in sources:
            if source.delivering or source.name in self._trouble:
                continue
            if source.error:
                warnings.append(f"{source.name} delivers nothing: {source.error}")
            elif now_ns >= self._warm_ns:
                missing = "has no fix" if source.name == "gps" else "delivers nothing"
                warnings.append(f"{source.name} {missing}")
        if writer.clips.error:
            warnings.append(f"{self.shelf.folder}: {writer.clips.error}")
        return tuple(warnings)

    def _free(self) -> int:
        try:
            return self.shelf.free()
        except OSError as error:
            self._complain("disk", f"{self.shelf.folder}: {error.strerror}")
            return 0


def _open(rig: Rig) -> set[Source]:
    """Open the sources; which are open. CammError, OSError where one that is required cannot be."""
    opened = set()
    for source in rig.all_sources:
        try:
            source.open()
        except (CammError, OSError) as error:
            if source.required:
                raise
            _log.warning("%s: %s", source.name, error)
            source.close()
        else:
            opened.add(source)
    return opened


def _close(rig: Rig) -> None:
    for source in rig.all_sources:
        source.close()
