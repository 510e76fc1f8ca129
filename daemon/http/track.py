"""Where the camcorder has been in the last hour."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from daemon.control import Control, Document

_KEPT_S = 3600.0
_EACH_S = 1.0


class Track:
    """Collects positions, at most one a second."""

    def __init__(self) -> None:
        self._positions: deque[tuple[float, float, float]] = deque()
        self._last: Document | None = None

    def positions(self) -> list[tuple[float, float, float]]:
        """Seconds since 1970, latitude, longitude; the oldest first."""
        return list(self._positions)

    async def follow(self, control: Control) -> None:
        """Collect until cancelled."""
        async for event, document in control.subscribe():
            if event == "status":
                self.add(document)

    def add(self, status: Document) -> None:
        """The position of a status, unless it has none that is new."""
        fix, utc = status["fix"], status["utc"]
        if fix is None or utc is None or fix == self._last:
            return
        if fix["latitude"] is None or fix["longitude"] is None:
            return
        t_s = datetime.fromisoformat(utc).timestamp()
        if self._positions and 0 <= t_s - self._positions[-1][0] < _EACH_S:
            return
        self._last = fix
        self._positions.append((t_s, round(fix["latitude"], 7), round(fix["longitude"], 7)))
        while self._positions[0][0] < t_s - _KEPT_S:
            self._positions.popleft()
