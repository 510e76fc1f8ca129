"""The orientation of clips that are finished, worked out again while the next one is recorded.

Each in a process of its own that yields the processor to everybody else: nothing that goes wrong
there, nor how long it takes, touches the recording. The clip is whole at every moment, for it is
replaced by one that is.
"""

from __future__ import annotations

import logging
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_NICE = ("nice", "-n", "39")  # which is 19 also where the service itself is as greedy as can be
_COMMAND = (*_NICE, sys.executable, "-m", "cammcorder", "fuse")
_LEFT = ".*.mp4.*.part"
"""What a process that was killed has left of a copy (`muxer.disk.written_whole`)."""


def clear(folder: Path) -> None:
    """Delete what a host that lost its power has left of copies there."""
    for part in folder.glob(_LEFT):
        part.unlink(missing_ok=True)


class Refiner:
    """Runs `cammcorder fuse` on one clip after another. Methods may be called by any thread.

    A clip for which there is no room, `keep_free` bytes apart, or which goes meanwhile, stays as it
    is. `close` ends the process at work, and its clip stays as it is too.
    """

    def __init__(self, keep_free: int, command: Sequence[str] = _COMMAND) -> None:
        self._keep_free = keep_free
        self._command = command
        self._waiting: queue.Queue[Path | None] = queue.Queue()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="refiner")
        self._thread.start()

    def refine(self, clip: Path) -> None:
        """Put a clip at the end of the line."""
        self._waiting.put(clip)

    def close(self) -> None:
        """End it all; returns when nothing runs any more."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.terminate()
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (clip := self._waiting.get()) is not None and not self._closed:
            try:
                self._refine(clip)
            except OSError as error:  # the clip has gone, the disk fails, there is no `nice`
                _log.warning("%s stays as it was filmed: %s", clip.name, error.strerror)

    def _refine(self, clip: Path) -> None:
        if shutil.disk_usage(clip.parent).free < clip.stat().st_size + self._keep_free:
            _log.info("%s stays as it was filmed: there is no room for a copy", clip.name)
            return
        with self._lock:
            if self._closed:
                return
            process = self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [*self._command, str(clip), "-o", str(clip)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        _, told = process.communicate()
        with self._lock:
            self._process = None
        if process.returncode:
            reason = told.strip().rpartition("\n")[2] or f"exit code {process.returncode}"
            _log.warning("%s stays as it was filmed: %s", clip.name, reason)
        else:
            _log.info("%s: orientation worked out again", clip.name)
