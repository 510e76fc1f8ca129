"""Packets out of whatever FFmpeg opens, with the times that stand there, in nanoseconds."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from av import AudioStream, VideoStream
    from av import Packet as AvPacket
    from av.stream import Stream

_NANOSECOND = 1_000_000_000


class Demuxer:
    """The first video and all audio of a file or stream, opened when made.

    `options` are FFmpeg's; `timeout_s` how long to wait for an opening and for a packet. Raises
    `av.FFmpegError` as it comes, UsageError where there is no video.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, str] | None = None,
        timeout_s: tuple[float, float] | None = None,
    ) -> None:
        import av  # late: the rest of the drivers does without FFmpeg

        container = av.open(name, options=dict(options or {}), timeout=timeout_s)
        if not container.streams.video:
            container.close()
            raise UsageError(f"{name} holds no video: give one that does")
        video = container.streams.video[0]
        chosen: list[VideoStream | AudioStream] = [video, *container.streams.audio]
        self.formats: Sequence[StreamFormat] = tuple(_format(stream) for stream in chosen)
        self._numbers = {stream.index: number for number, stream in enumerate(chosen)}
        self.first_shown_ns = _ns(video.start_time or 0, _tick(video))
        """When the first picture is shown."""
        self.duration_ns = (
            _ns(video.duration, _tick(video))
            if video.duration is not None
            else (container.duration or 0) * 1000  # FFmpeg's own microseconds
        )
        """How long the video lasts, by its own account; 0 where it gives none."""
        self._container = container
        self._packets = _with_both_times(container.demux(chosen))

    def next(self) -> Packet | None:
        """The next packet, None after the last. DeviceError for one without times."""
        packet = next(self._packets, None)
        if packet is None:
            return None
        tick = _tick(packet)
        if packet.pts is None or packet.dts is None:
            raise DeviceError(
                errno.EINVAL, f"{self._container.name} has packets without a time: remux it"
            )
        return Packet(
            stream=self._numbers[packet.stream_index],
            data=bytes(packet),
            pts_ns=_ns(packet.pts, tick),
            dts_ns=_ns(packet.dts, tick),
            duration_ns=_ns(packet.duration or 0, tick),
            keyframe=packet.is_keyframe,
        )

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._packets = iter(())
        self._container.close()


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
