"""What systemd wants to know of a service (man 3 sd_notify): datagrams to a socket of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Tells the service manager; nobody where there is none.

    `environment` says where to (NOTIFY_SOCKET: a path, or "@" and an abstract name), and how often
    the manager wants to hear that all is well (WATCHDOG_USEC).
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        asked = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(watchdog_us) / 1e6 if asked and watchdog_us.isdecimal() else None
        """A service that has not said WATCHDOG=1 for so long is ended; None: it is not."""

    def tell(self, **fields: str | int) -> bool:
        """One message, as READY=1, STATUS="recording"; False where it could not be sent now."""
        if self._socket is None:
            return True
        values = {key: str(value).replace("\n", " ") for key, value in fields.items()}
        message = "\n".join(f"{key}={value}" for key, value in values.items())
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:  # its queue is full, or it starts anew: it is told again soon
            return False
        return True

    def close(self) -> None:
        """Tell no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
