"""A file as a camera: its video and audio, packet by packet, as if they were being filmed now.

For demonstrations, for tests, and for putting motion beside a recording that was made elsewhere.
Packets are passed on untouched; only their times move.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.clock import Clock
from drivers.errors import DeviceError, EndOfSource

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av import Packet as AvPacket
    from av.container import InputContainer
    from av.stream import Stream

_NANOSECOND = 1_000_000_000


class FileCamera:
    """Any file that PyAV opens, as `drivers.camera.Camera`: its first video and all its audio.

    The first frame that is shown falls on the moment of the first `read`; everything else keeps its
    distance from it, to the nearest nanosecond, and is handed out when the clock has reached its
    decoding time. A file says nothing of its shutter, so no packet does.
    """

    def __init__(self, path: str | Path, clock: Clock) -> None:
        self.name = str(path)
        self._clock = clock
        self._container: InputContainer | None = None
        self._packets: Iterator[AvPacket[Stream]] = iter(())
        self._numbers: dict[int, int] = {}
        self._formats: tuple[StreamFormat, ...] = ()
        self._duration_ns = 0
        self._first_shown_ns = 0
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
        import av  # late: the rest of the drivers does without FFmpeg

        try:
            container = av.open(self.name)
        except FileNotFoundError:
            raise UsageError(f"there is no file {self.name}") from None
        except (av.FFmpegError, OSError) as error:
            raise DeviceError(
                errno.EINVAL, f"{self.name} is no film that FFmpeg can read: {error.strerror}"
            ) from None
        if not container.streams.video:
            container.close()
            raise UsageError(f"{self.name} holds no video: give a file that does")
        video = container.streams.video[0]
        chosen: list[VideoStream | AudioStream] = [video, *container.streams.audio]
        self._formats = tuple(_format(stream) for stream in chosen)
        self._numbers = {stream.index: number for number, stream in enumerate(chosen)}
        self._first_shown_ns = _ns(video.start_time or 0, _tick(video))
        self._duration_ns = (
            _ns(video.duration, _tick(video))
            if video.duration is not None
            else (container.duration or 0) * 1000  # FFmpeg's own microseconds
        )
        self._container = container
        self._packets = _with_both_times(container.demux(chosen))
        self._shift_ns = None

    def read(self) -> Sequence[Packet]:
        """The next packet, at its time. EndOfSource after the last."""
        import av

        if self._container is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        if self._shift_ns is None:
            self._shift_ns = self._clock.now_ns() - self._first_shown_ns
        try:
            packet = next(self._packets, None)
        except (av.FFmpegError, OSError) as error:
            raise DeviceError(errno.EIO, f"{self.name} cannot be read on: {error}") from None
        if packet is None:
            raise EndOfSource(errno.ENODATA, f"{self.name} has come to its end")
        tick = _tick(packet)
        if packet.pts is None or packet.dts is None:
            raise DeviceError(errno.EINVAL, f"{self.name} has packets without a time: remux it")
        dts_ns = self._shift_ns + _ns(packet.dts, tick)
        self._clock.sleep_until(dts_ns)
        return [
            Packet(
                stream=self._numbers[packet.stream_index],
                data=bytes(packet),
                pts_ns=self._shift_ns + _ns(packet.pts, tick),
                dts_ns=dts_ns,
                duration_ns=_ns(packet.duration or 0, tick),
                keyframe=packet.is_keyframe,
            )
        ]

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
        self._packets = iter(())


def _with_both_times(packets: Iterator[AvPacket[Stream]]) -> Iterator[AvPacket[Stream]]:
    """The packets that hold something, with both of their times if the file has either.

    Matroska has presentation times only. FFmpeg finds the decoding times in the order of the
    pictures, but where there are B-frames not for the first few; these are counted back from the
    first that it does find.
    """
    waiting: list[AvPacket[Stream]] = []
    for packet in packets:
        if not packet.size:
            continue  # the demuxer ends with one for each stream, meant for flushing decoders
        if packet.pts is None:
            packet.pts = packet.dts  # without B-frames they are the same
        if packet.dts is None and packet.pts is not None:
            waiting.append(packet)
            continue
        if waiting and packet.stream_index == waiting[0].stream_index:
            yield from _counted_back(waiting, packet.dts)
            waiting = []
        yield packet
    if waiting:
        yield from _counted_back(waiting, waiting[0].pts)


def _counted_back(packets: list[AvPacket[Stream]], until: int | None) -> Iterator[AvPacket[Stream]]:
    """The packets with decoding times that lead up to `until`, each as long as it is shown."""
    left = sum(packet.duration or 0 for packet in packets)
    for packet in packets:
        packet.dts = None if until is None else until - left
        left -= packet.duration or 0
        yield packet


def _format(stream: VideoStream | AudioStream) -> StreamFormat:
    extradata = stream.codec_context.extradata or b""
    # Also where a tick is not one n-th of a second (1001/30000), times are whole in the n-th.
    timescale = _tick(stream).denominator
    if stream.type == "audio":
        return StreamFormat(
            kind="audio",
            codec=stream.codec_context.codec.canonical_name,
            timescale=timescale,
            extradata=extradata,
            sample_rate=stream.sample_rate,
            channels=stream.channels,
        )
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return StreamFormat(
        kind="video",
        codec=stream.codec_context.codec.canonical_name,
        timescale=timescale,
        extradata=extradata,
        width=stream.width,
        height=stream.height,
        pixel_aspect=(aspect.numerator, aspect.denominator),
    )


def _tick(timed: AvPacket[Stream] | VideoStream | AudioStream) -> Fraction:
    """The unit of its times, in seconds."""
    return timed.time_base or Fraction(1, 1_000_000)


def _ns(ticks: int, tick: Fraction) -> int:
    """Ticks as nanoseconds, exactly rounded."""
    return round(ticks * tick * _NANOSECOND)
