"""One recording: sources on one side, a file on the other, and what happens in between.

Every source has a thread. They put what they measured into one bounded queue; a single thread takes
it out, works out the orientation, and hands everything to the file. The sources run before the
camera does, so that clocks are fitted and filters warm when the first frame comes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camm import CammError, UsageError
from daemon.account import Account
from daemon.recorder import Recorder
from daemon.rig import Rig
from daemon.sources import Delivery, Source
from muxer.clip_writer import CAMM_TIMESCALE, RecordingStatistics
from muxer.errors import Mp4Error
from muxer.recording import Recording

_QUEUE_LENGTH = 1000
_DRAIN_NS = 600_000_000
"""How long the sources go on after the end, for what was measured before it: GPS fixes are late."""
_LOOK_NS = 50_000_000
_CAMERA_PATIENCE_NS = 5_000_000_000


class RecordingError(CammError):
    """The recording came to an end that nobody asked for; says where what there is can be found."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a recording is going, for a person who watches."""

    filmed_ns: int
    delivered: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """What was recorded."""

    path: Path
    statistics: RecordingStatistics
    duration_ns: int
    metadata: Mapping[str, Any]


class RecordingSession:
    """Records one clip from a rig.

    While it records, the file is `STEM.unfinished.mp4` beside the final name; it gets that name
    when it is finalised, and not before.
    """

    def __init__(
        self,
        rig: Rig,
        output: Path,
        *,
        version: str,
        filter_name: str = "vqf",
        timescale: int = CAMM_TIMESCALE,
        faststart: bool = False,
    ) -> None:
        self._rig = rig
        self._clock = rig.clock
        self._output = output
        self._unfinished = output.with_name(f"{output.stem}.unfinished{output.suffix}")
        self._filter_name = filter_name
        self._timescale = timescale
        self._faststart = faststart
        self._version = version
        # Deliveries, then the moment at which the clip is to end, None when there is no more.
        self._queue: queue.Queue[Delivery | int | None] = queue.Queue(_QUEUE_LENGTH)
        self._failed = threading.Event()
        self._failure: Exception | None = None
        self._start_ns = 0

    def record(
        self,
        duration_ns: int | None = None,
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> Result:
        """Film until `duration_ns` after the first frame, the end of all replayed input, or Ctrl-C.

        CammError where a source cannot be opened (nothing is left behind), RecordingError where the
        recording failed on its way (what there is stays under the unfinished name).
        """
        rig = self._rig
        if self._unfinished.exists():
            raise UsageError(
                f"{self._unfinished} exists: an interrupted recording; move it away first"
            )
        opened: list[Source] = []
        recording: Recording | None = None
        try:
            for source in rig.all_sources:
                opened.append(source)
                source.open()
            self._start_ns = rig.start_ns()
            account = Account(rig, self._version)
            recording = Recording(
                self._unfinished,
                rig.camera.formats if rig.camera is not None else (),
                account.unfinished(self._start_ns),
                sources=[source.name for source in rig.beside_camera],
                start_ns=self._start_ns,
                timescale=self._timescale,
            )
            recorder = Recorder(rig, recording, account, self._filter_name)
            writer = threading.Thread(target=self._write, args=(recorder, recording), name="writer")
            writer.start()
            try:
                end_ns = self._film(duration_ns, watch)
            finally:
                self._put_to_rest(opened)
                self._queue.put(None)
                writer.join()
            if isinstance(self._failure, CammError | OSError):
                raise self._as_error(self._failure)
            if self._failure is not None:
                raise self._failure
            return self._finish(recording, account, recorder.fusion, end_ns)
        except KeyboardInterrupt:
            raise self._as_error(CammError("interrupted again while finishing")) from None
        finally:
            self._put_to_rest(opened)
            if recording is not None:
                recording.close()

    def _put_to_rest(self, sources: Sequence[Source]) -> None:
        for source in sources:
            source.stop()
        for source in sources:
            source.join()
            source.close()

    def _film(self, duration_ns: int | None, watch: Callable[[Progress], None]) -> int:
        """Run all sources for as long as is asked; the moment at which the clip is to end."""
        rig, clock = self._rig, self._clock
        try:
            for source in rig.beside_camera:
                source.start(self._deliver)
            clock.sleep_until(self._start_ns)
            rig.begin()
            if rig.camera is not None:
                rig.camera.start(self._deliver)
            end_ns = self._wait(duration_ns, watch)
        except KeyboardInterrupt:
            end_ns = clock.now_ns()
            self._deliver(end_ns)
        drained_ns = end_ns + _DRAIN_NS
        while clock.now_ns() < drained_ns and not self._all_ended() and not self._failed.is_set():
            clock.sleep_until(min(clock.now_ns() + _LOOK_NS, drained_ns))
        return end_ns

    def _wait(self, duration_ns: int | None, watch: Callable[[Progress], None]) -> int:
        """Until the clip is as long as is asked, or nothing more comes."""
        clock = self._clock
        end_ns: int | None = None
        while not self._failed.is_set():
            now_ns = clock.now_ns()
            zero_ns = self._zero_ns()
            if end_ns is None and zero_ns is not None and duration_ns is not None:
                end_ns = zero_ns + duration_ns
                self._deliver(end_ns)
            if zero_ns is None and now_ns > self._start_ns + _CAMERA_PATIENCE_NS:
                raise RecordingError("the camera delivers no picture: check its cable and mode")
            if self._all_ended():
                return now_ns
            watch(Progress(0 if zero_ns is None else now_ns - zero_ns, self._delivered()))
            if end_ns is not None and now_ns >= end_ns:
                return end_ns
            clock.sleep_until(now_ns + _LOOK_NS)
        return clock.now_ns()

    def _zero_ns(self) -> int | None:
        camera = self._rig.camera
        return self._start_ns if camera is None else camera.first_frame_ns

    def _all_ended(self) -> bool:
        return all(source.finished for source in self._rig.all_sources)

    def _delivered(self) -> dict[str, int]:
        return {source.name: source.statistics.delivered for source in self._rig.all_sources}

    def _deliver(self, delivery: Delivery | int) -> None:
        """Called by the sources: waits while the writer is behind, so that nothing is lost here."""
        while not self._failed.is_set():
            try:
                self._queue.put(delivery, timeout=0.2)
            except queue.Full:
                continue
            return

    def _write(self, recorder: Recorder, recording: Recording) -> None:
        """The writer's thread."""
        while (delivery := self._queue.get()) is not None:
            if self._failure is None:
                try:
                    if isinstance(delivery, int):
                        recording.end_at(delivery)
                    else:
                        recorder.take(delivery)
                except Exception as error:  # whatever it is, the sources must not wait for us
                    self._failure = error
                    self._failed.set()

    def _finish(
        self, recording: Recording, account: Account, fusion: Mapping[str, Any], end_ns: int
    ) -> Result:
        try:
            zero_ns = recording.zero_ns
            if zero_ns is None:
                raise Mp4Error("the camera delivered no picture: nothing was recorded")
            about = account.finished(zero_ns, recording.statistics().late, fusion)
            statistics = recording.finish(end_ns, about, copy=self._faststart)
            recording.rename(self._output)
        except (CammError, OSError) as error:
            raise self._as_error(error) from None
        return Result(self._output, statistics, end_ns - zero_ns, about.metadata)

    def _as_error(self, error: Exception) -> CammError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if not self._unfinished.exists():
            return RecordingError(f"{reason}; no file was made")
        return RecordingError(f"{reason}; what was recorded until then is {self._unfinished}")
