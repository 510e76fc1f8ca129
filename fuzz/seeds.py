"""What mutation starts from: small clips of every layout that we read."""

from __future__ import annotations

import struct
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from camm import Packet, PacketType, Samples, StreamFormat, empty_values, is_vector
from muxer.boxes import box
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

_ABOUT = MovieDescription(datetime(2026, 1, 1, tzinfo=UTC), "Maker", "Model", {"a": [1, "b"]})
_FORMATS = (
    StreamFormat("video", "mjpeg", 90_000, width=64, height=48),
    StreamFormat("audio", "pcm_s16le", 8_000, sample_rate=8_000, channels=1),
)
_STEP_NS = 200_000_000
_PIXEL = Path(__file__).parents[1] / "tests/data/camm/mett_replaced_with_camm.mp4"
_PIXEL_HEAD = 1 << 14
"""Bytes of the recorded clip: its `moov` and some of the samples."""


def write_seeds(folder: Path) -> None:
    """A file a layout."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as room:
        fragmented, finished = _recorded(Path(room) / "clip.mp4")
    seeds = {
        "fragmented": fragmented,
        "finished": finished,
        "madv": _with_madv(fragmented),
        "pixel": _PIXEL.read_bytes()[:_PIXEL_HEAD],
    }
    for name, data in seeds.items():
        (folder / name).write_bytes(data)


def _recorded(path: Path) -> tuple[bytes, bytes]:
    """A clip with video, sound and every packet type: while it is recorded, and finished."""
    recording = Recording(path, _FORMATS, _ABOUT)
    for n in range(12):
        at = n * _STEP_NS
        recording.add_packets(
            [
                Packet(0, b"picture", at, at - _STEP_NS // 4, _STEP_NS, n % 3 == 0),
                Packet(1, bytes(64), at, at, _STEP_NS // 25),
            ]
        )
        times = np.array([at, at + _STEP_NS // 2])
        recording.add_samples("rig", [_samples(kind, times) for kind in PacketType], at + _STEP_NS)
        recording.advance(at)
    fragmented = path.read_bytes()
    recording.finish(12 * _STEP_NS, _ABOUT)
    return fragmented, path.read_bytes()


def _samples(kind: PacketType, times: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Samples:
    if is_vector(kind):
        return Samples(kind, times, np.ones((len(times), 3), np.float32))
    return Samples(kind, times, empty_values(kind, len(times)))


def _with_madv(data: bytes) -> bytes:
    """The same with a Mi Sphere's boxes at the end of its `udta`."""
    matrices = np.tile(np.eye(3, dtype="<f4").ravel(), 4).tobytes()
    madv = box(b"madv", box(b"tlyd", matrices), box(b"fltr", b"\2\0\0\0"), box(b"gpsx", bytes(82)))
    at = data.index(b"udta") - 4
    end = at + int.from_bytes(data[at : at + 4])
    longer = bytearray(data[:end] + madv + data[end:])
    for start in (data.index(b"moov") - 4, at):
        (size,) = struct.unpack_from(">I", longer, start)
        struct.pack_into(">I", longer, start, size + len(madv))
    return bytes(longer)
