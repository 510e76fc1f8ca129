"""What a library writes into a file, as pieces to pass on."""

from __future__ import annotations

import io


class Sink(io.BufferedIOBase):
    """A file that can only be written to, and gives up what was written so far."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0
        self.waiting = 0
        """Bytes that were written since they were last taken."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type]  # whatever holds bytes
        self._parts.append(part)
        self._written += len(part)
        self.waiting += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        """All that was written since the last time."""
        parts, self._parts, self.waiting = self._parts, [], 0
        return b"".join(parts)
