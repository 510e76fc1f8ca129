"""Samples of a microphone to AAC, each packet with the time at which its sound was heard."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from av import AudioCodecContext, AudioStream
    from av import Packet as AvPacket

Samples: TypeAlias = npt.NDArray[np.int16]
"""(N, channels), full scale 32767."""

_LAYOUTS = {1: "mono", 2: "stereo"}
MOST_CHANNELS = max(_LAYOUTS)
_FRAME = 1024
"""Samples of a packet: AAC has no other number (ISO/IEC 14496-3, 4.4.1)."""


class SoundEncoder:
    """Turns samples into packets; `time_ns` tells when the sample of a number began.

    An encoder of AAC runs a packet ahead: the first that comes out sounds before the first sample
    and only primes the decoder. FFmpeg counts so that this has a negative number, and its time is
    as much earlier. UsageError for what AAC cannot do.
    """

    def __init__(
        self, rate_hz: int, channels: int, bits_per_second: int, time_ns: Callable[[int], int]
    ) -> None:
        import av
        from av.codec.context import Flags

        if channels not in _LAYOUTS:
            raise UsageError(f"sound has one channel or two, found {channels}")
        context: AudioCodecContext = av.AudioCodecContext.create("aac", "w")
        context.sample_rate, context.layout = rate_hz, _LAYOUTS[channels]
        context.format, context.time_base = "fltp", Fraction(1, rate_hz)
        context.bit_rate = bits_per_second
        context.flags |= Flags.global_header
        try:
            context.open()
        except av.FFmpegError as error:
            raise UsageError(
                f"AAC of {rate_hz} Hz at {bits_per_second} bit/s cannot be made: {error.strerror}"
            ) from None
        self.format = StreamFormat(
            "audio",
            "aac",
            rate_hz,
            bytes(context.extradata or b""),
            sample_rate=rate_hz,
            channels=channels,
        )
        self._context = context
        self._time_ns = time_ns
        self._frame_ns = round(_FRAME * 1e9 / rate_hz)
        self._waiting: Samples = np.empty((0, channels), np.int16)
        self._taken = 0  # number of the first sample that waits
        self._frames = 0
        self._times: dict[int, int] = {}  # of frames that are in the encoder

    def encode(self, samples: Samples) -> list[Packet]:
        """The packets of more samples, which follow those before them."""
        waiting = np.concatenate([self._waiting, samples])
        whole = len(waiting) // _FRAME
        self._waiting = waiting[whole * _FRAME :]
        frames = (waiting[: whole * _FRAME].T / np.float32(32768)).astype(np.float32)
        packets: list[Packet] = []
        for frame in np.split(frames, whole, axis=1) if whole else ():
            packets += self._encode(np.ascontiguousarray(frame))
            self._taken += _FRAME
        return packets

    def interrupt(self) -> None:
        """What follows was not heard at once: what does not fill a packet is given up."""
        self._taken += len(self._waiting)
        self._waiting = self._waiting[:0]

    def _encode(self, sound: npt.NDArray[np.float32]) -> Sequence[Packet]:
        import av

        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout=self._context.layout.name)
        frame.sample_rate, frame.time_base = self._context.sample_rate, self._context.time_base
        frame.pts = self._frames * _FRAME
        t_ns = self._time_ns(self._taken)
        if not self._frames:
            self._times[-1] = t_ns - self._frame_ns
        self._times[self._frames] = t_ns
        self._frames += 1
        try:
            return [self._packet(packet) for packet in self._context.encode(frame)]
        except av.FFmpegError as error:
            raise DeviceError(errno.EIO, f"AAC cannot be made: {error.strerror}") from None

    def _packet(self, packet: AvPacket[AudioStream]) -> Packet:
        number = (packet.pts or 0) // _FRAME
        t_ns = self._times.pop(number)
        return Packet(1, bytes(packet), t_ns, t_ns, self._frame_ns)
