"""A file as a camera: its video and audio, packet by packet, as if they were being filmed now.

For demonstrations, for tests, and for putting motion beside a recording that was made elsewhere.
Packets are passed on untouched; only their times move.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.clock import Clock
from drivers.demuxer import Demuxer
from drivers.errors import DeviceError, EndOfSource


class FileCamera:
    """Any file that PyAV opens, as `drivers.camera.Camera`: its first video and all its audio.

    The first frame that is shown falls on the moment of the first `read`; everything else keeps its
    distance from it, to the nearest nanosecond, and is handed out when the clock has reached its
    decoding time. A file says nothing of its shutter, so no packet does.
    """

    def __init__(self, path: str | Path, clock: Clock) -> None:
        self.name = str(path)
        self._clock = clock
        self._film: Demuxer | None = None
        self._formats: Sequence[StreamFormat] = ()
        self._duration_ns = 0
        self._shift_ns: int | None = None

    @property
    def formats(self) -> Sequence[StreamFormat]:
        return self._formats

    @property
    def duration_ns(self) -> int:
        """How long the video lasts, by the file's own account; 0 where it gives none. Once open."""
        return self._duration_ns

    def open(self) -> None:
        """Open the file. UsageError where it is missing or holds no video."""
        import av

        self.close()
        try:
            self._film = Demuxer(self.name)
        except FileNotFoundError:
            raise UsageError(f"there is no file {self.name}") from None
        except av.FFmpegError as error:
            raise DeviceError(
                errno.EINVAL, f"{self.name} is no film that FFmpeg can read: {error.strerror}"
            ) from None
        self._formats, self._duration_ns = self._film.formats, self._film.duration_ns
        self._shift_ns = None

    def read(self) -> Sequence[Packet]:
        """The next packet, at its time. EndOfSource after the last."""
        import av

        if self._film is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        if self._shift_ns is None:
            self._shift_ns = self._clock.now_ns() - self._film.first_shown_ns
        try:
            packet = self._film.next()
        except av.FFmpegError as error:
            raise DeviceError(errno.EIO, f"{self.name} cannot be read on: {error}") from None
        if packet is None:
            raise EndOfSource(errno.ENODATA, f"{self.name} has come to its end")
        pts_ns, dts_ns = self._shift_ns + packet.pts_ns, self._shift_ns + packet.dts_ns
        self._clock.sleep_until(dts_ns)
        return [replace(packet, pts_ns=pts_ns, dts_ns=dts_ns)]

    def close(self) -> None:
        if self._film is not None:
            self._film.close()
            self._film = None

    def describe(self) -> Mapping[str, str]:
        return {"time": "the film's own, from when it was begun"}
