"""A program that writes to several named pipes at once, read without a thread."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from drivers.errors import DeviceError

_CHUNK = 1 << 20  # what a pipe may hold at most (/proc/sys/fs/pipe-max-size)
_PATIENCE_S = 3

ERRORS = "errors"
"""The name under which `fetch` gives what the program writes to its standard error."""


class PipedProgram:
    """A program from its start to `close`.

    `command`  the command line, made of the folder that has the pipes
    `pipes`    their names; they hold so much, where the host lets them, that the program need not
               wait for its reader

    DeviceError where it does not start.
    """

    def __init__(self, command: Callable[[Path], Sequence[str]], pipes: Sequence[str]) -> None:
        self.ended = False
        """Whether it has, and all that it wrote has been fetched."""
        self._open: dict[int, str] = {}
        self._epoll = select.epoll()
        self._folder = tempfile.TemporaryDirectory(prefix="cammcorder-")
        folder = Path(self._folder.name)
        for name in pipes:
            os.mkfifo(folder / name)
            pipe = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK)
            self._watch(pipe, name)
            with suppress(PermissionError):  # a host may allow less, or this user so much no more
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _CHUNK)
        errors, theirs = os.pipe()
        os.set_blocking(errors, False)
        self._watch(errors, ERRORS)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the caller's own
                command(folder),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=theirs,
                process_group=0,  # Ctrl-C is meant for us, who end it in our own time
            )
        except OSError as error:
            self._let_go()
            raise DeviceError(
                error.errno or errno.EIO, f"{command(folder)[0]} does not start: {error.strerror}"
            ) from None
        finally:
            os.close(theirs)
        # A pipe that was never opened has no end to tell of; the process has.
        self._exit = os.pidfd_open(self._process.pid)
        self._watch(self._exit, "")

    def fileno(self) -> int:
        """Readable when there is something to fetch, and from the program's end on."""
        return self._epoll.fileno()

    def fetch(self) -> list[tuple[str, bytes]]:
        """What has come, as names of pipes (or `ERRORS`) and bytes, without waiting."""
        pieces = []
        exited = False
        for descriptor, _ in self._epoll.poll(0):
            if descriptor == self._exit:
                exited = True
            elif data := os.read(descriptor, _CHUNK):
                pieces.append((self._open[descriptor], data))
            else:
                self._unwatch(descriptor)
        self.ended = exited and not pieces
        return pieces

    def close(self) -> None:
        """End it as Ctrl-C does, by force where that does not help."""
        self._process.send_signal(signal.SIGINT)
        self._let_go()  # if it is writing, it learns of the end by that
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _watch(self, descriptor: int, name: str) -> None:
        self._open[descriptor] = name
        self._epoll.register(descriptor, select.EPOLLIN)

    def _unwatch(self, descriptor: int) -> None:
        del self._open[descriptor]
        os.close(descriptor)  # which takes it out of the epoll as well

    def _let_go(self) -> None:
        for descriptor in list(self._open):
            self._unwatch(descriptor)
        self._epoll.close()
        self._folder.cleanup()
