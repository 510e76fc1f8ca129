"""A microphone that Linux has as a capture device of ALSA: AAC, each packet with its own time.

A sound card counts samples by a crystal of its own, some tens of parts in a million beside the
host's. No sample is made up or thrown away for that: it is the times of packets that follow the
host's clock, so that sound is beside its picture after hours as in the first minute. Samples that
were lost leave a gap in the times.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from camm.media import Packet, StreamFormat
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.sample_clock import SampleClock
from drivers.sound_encoder import Samples, SoundEncoder

if TYPE_CHECKING:
    from av.container import InputContainer

_BLOCK_S = 0.02
"""Samples are read by blocks of this: the periods of some cards are a millisecond."""
_ALSA_CONFIG = Path("/usr/share/alsa/alsa.conf")


@dataclass(frozen=True, slots=True)
class MicrophoneOptions:
    """What a microphone is asked for; `rig.toml` says it in its table `[camera.audio]`.

    `device`  as ALSA calls it: "default", "hw:1", or "plughw:1" where ALSA is to convert
    """

    device: str = "default"
    rate_hz: int = 48_000
    channels: int = 1
    bitrate_kbit: int = 128


class Capture(Protocol):
    """A device that is running."""

    def read(self) -> Samples:
        """Wait for the next samples, a fraction of a second. OSError where there are none."""
        ...

    def close(self) -> None:
        """Stop it. May be called twice."""
        ...


class Microphone:
    """Delivers packets of AAC, as stream 1 beside a camera's pictures.

    Stamps rest on when samples come: what the card itself spends on converting and sending them, a
    millisecond or two, is not known and counts as later. After the opening, and whenever samples
    came late, nothing is delivered for half a second (see `SampleClock`); then all of it is.
    """

    def __init__(
        self,
        options: MicrophoneOptions,
        clock: Clock,
        open_capture: Callable[[MicrophoneOptions], Capture] | None = None,
    ) -> None:
        self.name = options.device
        self._options = options
        self._clock = clock
        self._open_capture = open_capture or AlsaCapture
        self._capture: Capture | None = None
        self._held: list[Samples] = []
        self._gaps = 0
        self._start()
        self.format: StreamFormat = self._encoder.format
        """What it delivers; known before it is there."""

    @property
    def overruns(self) -> int:
        """How many times samples were lost since it was opened, mostly as nobody fetched them."""
        return self._samples.gaps

    def open(self) -> None:
        """Start it. DeviceError where it is not there or cannot do what was asked."""
        self.close()
        self._capture = self._open_capture(self._options)
        self._start()

    def read(self) -> Sequence[Packet]:
        """Wait for the next packets; none while there is not enough for one.

        DeviceError where it has gone.
        """
        if self._capture is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        block = self._capture.read()
        self._samples.take(len(block), self._clock.now_ns())
        self._held.append(block)
        if self._samples.settling:
            return []
        if self._samples.gaps > self._gaps:
            self._gaps = self._samples.gaps
            self._encoder.interrupt()
        held, self._held = self._held, []
        return self._encoder.encode(np.concatenate(held))

    def close(self) -> None:
        """Stop it; what is not delivered yet is given up. May be called twice."""
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    def describe(self) -> Mapping[str, Any]:
        """What the clip should remember of it."""
        return {
            "device": self.name,
            "rate_hz": self._options.rate_hz,
            "channels": self._options.channels,
            "overruns": self.overruns,
            "stamped_by": "arrival of samples",
            "clock_fit": asdict(self._samples.statistics),
        }

    def _start(self) -> None:
        options = self._options
        self._samples = SampleClock(options.rate_hz)
        self._encoder = SoundEncoder(
            options.rate_hz, options.channels, options.bitrate_kbit * 1000, self._samples.time_ns
        )
        self._held = []
        self._gaps = 0


class AlsaCapture:
    """ALSA as FFmpeg reads it (libavdevice, alsa_dec.c): 16 bits, one block a period.

    A buffer that has run over it empties and restarts by itself, without a word. Where a device
    hangs it waits until the kernel gives up, for ten seconds.
    """

    def __init__(self, options: MicrophoneOptions, format_name: str = "alsa") -> None:
        import av

        # The ALSA inside of PyAV's wheels looks for its configuration where they were built.
        if _ALSA_CONFIG.exists():
            os.environ.setdefault("ALSA_CONFIG_PATH", str(_ALSA_CONFIG))
        self._name = options.device
        asked = options.rate_hz, options.channels
        wanted = {"sample_rate": str(asked[0]), "channels": str(asked[1])}
        try:
            self._container: InputContainer = av.open(
                options.device, format=format_name, options=wanted
            )
        except av.FFmpegError as error:
            raise DeviceError(
                errno.ENODEV,
                f"microphone {self._name} cannot be opened: {error.strerror}; "
                "`cammcorder doctor` lists those there are",
            ) from None
        stream = self._container.streams.audio[0]
        if (stream.rate, stream.channels) != asked:
            self._container.close()
            raise DeviceError(
                errno.EINVAL,
                f"microphone {self._name} has {stream.rate} Hz and {stream.channels} channels: ask "
                "for these, or for plughw: in the place of hw:",
            )
        self._channels = stream.channels
        self._least = round(_BLOCK_S * options.rate_hz) * 2 * self._channels
        self._packets = self._demuxed()

    def read(self) -> Samples:
        import av

        block = bytearray()
        try:
            while len(block) < self._least:
                block += next(self._packets)
        except (av.FFmpegError, StopIteration):
            raise DeviceError(
                errno.ENODEV, f"microphone {self._name} has gone: check its cable"
            ) from None
        return np.frombuffer(block, "<i2").reshape(-1, self._channels)

    def close(self) -> None:
        self._packets = iter(())  # to read on from a container that is closed is fatal
        self._container.close()

    def _demuxed(self) -> Iterator[bytes]:
        return (bytes(packet) for packet in self._container.demux(audio=0) if packet.size)
