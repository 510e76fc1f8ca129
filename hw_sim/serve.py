"""The simulated bus for other processes: transactions over a Unix socket, answered in real time.

What goes over it is described at `drivers.bus.SocketI2C`, which is the other end.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import struct
import threading
from pathlib import Path
from typing import Self

from camm import UsageError
from drivers.bus import I2CBus
from drivers.errors import BusError

_REQUEST, _REPLY = struct.Struct("<BHH"), struct.Struct("<iH")


class BusServer:
    """Serves a bus at a socket, to any number of clients, from `__enter__` to `__exit__`.

    UsageError where no socket can be made at `path`, or another server is at work there; one that
    a dead server has left is replaced.
    """

    def __init__(self, bus: I2CBus, path: Path) -> None:
        self.path = path
        if path.is_socket() and not _answers(path):
            path.unlink()
        try:
            self._server = _Server(str(path), _Client)
        except OSError as error:
            busy = error.errno == errno.EADDRINUSE
            why = "it is taken: name another" if busy else error.strerror or str(error)
            raise UsageError(f"no socket can be made at {path}: {why}") from None
        self._server.bus = bus
        self._made = path.stat().st_ino
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self.path.is_socket() and self.path.stat().st_ino == self._made:
            self.path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # a client may stay connected for as long as it likes
    bus: I2CBus

    def __init__(self, path: str, client: type[socketserver.StreamRequestHandler]) -> None:
        super().__init__(path, client)
        self.turn = threading.Lock()


class _Client(socketserver.StreamRequestHandler):
    """One client, until it closes its end or dies."""

    server: _Server

    def handle(self) -> None:
        try:
            while len(head := self.rfile.read(_REQUEST.size)) == _REQUEST.size:
                address, written, wanted = _REQUEST.unpack(head)
                out = self.rfile.read(written)
                if len(out) < written:
                    return
                self.wfile.write(self._answer(address, out, wanted))
        except ConnectionError:
            return  # it died with an answer on its way

    def _answer(self, address: int, out: bytes, wanted: int) -> bytes:
        try:
            with self.server.turn:
                data = self.server.bus.transfer(address, out, wanted)
        except BusError as error:
            return _REPLY.pack(error.errno or errno.EIO, 0)
        return _REPLY.pack(0, len(data)) + data


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0
