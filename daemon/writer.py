"""The thread that writes: it takes what the sources deliver and does what it is told, in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from camm import StreamFormat
from daemon.account import Account
from daemon.clip_maker import ClipMaker, Mark
from daemon.configuration import StorageSettings
from daemon.recorder import Recorder
from daemon.rig import Rig
from daemon.shelf import Shelf
from daemon.sources import Delivery, Filming
from daemon.status import ClipStatus
from muxer.reel import Reel

_QUEUE_BYTES = 1 << 26
_ITEM_BYTES = 1 << 16  # more than any delivery of a sensor takes
_MEGABYTE = 1_000_000

_Command: TypeAlias = Callable[[], None]
_Item: TypeAlias = Delivery | _Command | None


class _Queue(queue.Queue[_Item]):
    """Is full when it holds so many bytes: pictures are of any size."""

    def __init__(self) -> None:
        super().__init__(_QUEUE_BYTES)

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0

    def _qsize(self) -> int:
        return self._bytes

    def _put(self, item: _Item) -> None:
        super()._put(item)
        self._bytes += _size(item)

    def _get(self) -> _Item:
        item: _Item = super()._get()
        self._bytes -= _size(item)
        return item

    def __len__(self) -> int:
        return len(self.queue)


def _size(item: _Item) -> int:
    if isinstance(item, Delivery) and isinstance(item.content, Sequence):
        return _ITEM_BYTES + sum(len(packet.data) for packet in item.content)
    return _ITEM_BYTES


class Writer:
    """Makes clips of a rig's deliveries. All methods may be called by any thread.

    The sources must be open: their formats are at the head of a file. UsageError for a filter that
    there is not. A failure that is not the disk's ends the thread; `failure` then says which.
    """

    def __init__(
        self,
        rig: Rig,
        shelf: Shelf,
        storage: StorageSettings,
        filter_name: str,
        version: str,
        output: str | float = "imu",
        position: str = "off",
    ) -> None:
        self._rig = rig
        self._storage = storage
        self._queue = _Queue()
        self._missed_before = 0
        self._wanted = False
        self._until_ns = 0
        self.formats: Sequence[StreamFormat] = rig.camera.formats if rig.camera is not None else ()
        """Of the camera that films; none while there is none."""
        self.failure: Exception | None = None
        self.clips = ClipMaker(rig, shelf, version, lambda: self.recorder.fusion)
        self.reel = self._new_reel(self.formats, rig.clock.now_ns())
        self.recorder = Recorder(
            rig, self.reel, Account(rig, version), filter_name, output, position
        )
        self.shown: tuple[ClipStatus | None, str | None] = None, None
        """The clip in the making, as of its last fragment, and the name of the last that was
        finished, both of one moment: no clip is ever both."""
        self.slowest_write_s = 0.0
        """The longest that a fragment of it has taken to be on the disk."""
        self._thread = threading.Thread(target=self._run, name="writer")
        self._thread.start()

    @property
    def queued(self) -> int:
        """Deliveries that wait."""
        return len(self._queue)

    @property
    def missed(self) -> int:
        """Pictures that no clip could take."""
        return self._missed_before + self.reel.missed

    def deliver(self, delivery: Delivery | _Command) -> None:
        """Called by the sources: waits while the disk is behind, so that nothing is lost here."""
        while self.failure is None:
            try:
                self._queue.put(delivery, timeout=0.2)
            except queue.Full:
                continue
            return

    def start(self) -> None:
        """Record from now on."""
        now_ns = self._rig.clock.now_ns()

        def start() -> None:
            self._wanted = True
            self.reel.start(now_ns)

        self.deliver(start)

    def stop(self) -> None:
        """Record up to now."""
        now_ns = self._rig.clock.now_ns()

        def stop() -> None:
            self._wanted = False
            self.reel.stop(now_ns)

        self.deliver(stop)

    def halt(self) -> None:
        """Finish the clip: there is no room for more."""
        self.deliver(lambda: self.reel.halt())  # noqa: PLW0108 - the reel that there is then

    def resume(self) -> None:
        """Try again, once what the failure has left is finished."""

        def try_again() -> None:
            if self.reel.halted and self.clips.recover():
                self.reel.resume()
                if not self._wanted:
                    self.clips.error = ""  # else the next clip tells

        self.deliver(try_again)

    def mark(self, t_ns: int, utc: datetime, text: str) -> None:
        """Note a moment in the clip that it belongs to, and keep that clip."""
        self.deliver(lambda: self.clips.mark(Mark(t_ns, utc, text)))

    def change_storage(self, storage: StorageSettings, shelf: Shelf) -> None:
        """Put the next clip on that shelf, and cut this one by the new limits."""

        def change() -> None:
            self._storage = storage
            self.clips.shelf = shelf
            self.reel.pre_roll_ns, self.reel.longest_ns, self.reel.largest = _limits(storage)

        self.deliver(change)

    def close(self, end_ns: int) -> None:
        """Write what is left from before a moment, end the clip and the thread."""
        self.deliver(lambda: self.reel.finish(end_ns))
        self._queue.put(None)
        self._thread.join()
        if self.failure is not None and self.clips.clip is not None:
            self.clips.clip.close()  # the next start finishes it

    def _new_reel(self, formats: Sequence[StreamFormat], start_ns: int) -> Reel:
        self.clips.formats = formats
        pre_roll_ns, longest_ns, largest = _limits(self._storage)
        return Reel(
            formats,
            self.clips,
            sources=[source.name for source in self._rig.beside_camera],
            start_ns=start_ns,
            pre_roll_ns=pre_roll_ns,
            longest_ns=longest_ns,
            largest=largest,
        )

    def _change_camera(self, formats: Sequence[StreamFormat], now_ns: int) -> None:
        """End the clip, and go on with the next: the camera has gone, or come back as another."""
        before = self.reel
        halted = before.halted
        before.finish(now_ns)
        self._missed_before += before.missed
        self.formats = formats
        self.reel = self.recorder.sink = self._new_reel(formats, now_ns)
        if self._wanted:
            self.reel.start(now_ns)
        if halted or before.halted:
            self.reel.halt()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.failure is not None:
                continue  # nobody is to wait for us
            try:
                if isinstance(item, Delivery):
                    if isinstance(item.content, Filming):
                        self._change_camera(item.content.formats, item.at_ns)
                    self.recorder.take(item)
                else:
                    item()
                self._look()
            except Exception as error:  # whatever it is, the sources must not wait for us
                self.failure = error

    def _look(self) -> None:
        """Note how the clips are: only this thread may ask the one in the making."""
        clip, (shown, _) = self.clips.clip, self.shown
        if clip is None:
            shown = None
        elif clip.until_ns != self._until_ns and (statistics := self.reel.statistics()):
            self._until_ns = clip.until_ns
            self.slowest_write_s = clip.slowest_write_s
            shown = ClipStatus(
                clip.path.name,
                (clip.until_ns - clip.zero_ns) / 1e9,
                statistics.bytes,
                statistics.frames,
                sum(statistics.written.values()),
                sum(statistics.late.values()),
                statistics.fragments,
            )
        self.shown = shown, self.clips.last


def _limits(storage: StorageSettings) -> tuple[int, int, int | None]:
    """Pre-roll and length of a clip in nanoseconds, and its size in bytes."""
    megabytes = storage.segment_mb
    return (
        round(storage.pre_roll_s * 1e9),
        round(storage.segment_s * 1e9),
        None if megabytes is None else round(megabytes * _MEGABYTE),
    )
