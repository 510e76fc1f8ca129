"""Films as other makers' cameras write them, what may happen to them, what FFmpeg finds there."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from camm import Packet, PacketType, Samples, StreamFormat
from muxer.boxes import box, children, find
from muxer.movie import write_ftyp
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.repair.movie import read_movie, rebuild

MS = 1_000_000
RATE = 48_000
BLANK = 4096


def shoot_film(
    path: Path,
    seed: int,
    seconds: float = 4.0,
    options: dict[str, str] | None = None,
    *,
    pictures: bool = True,
) -> None:
    """H.264 with B-frames at 25 pictures a second and AAC, muxed by FFmpeg."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w", options=options or {}) as container:
        if pictures:
            video = container.add_stream("libx264", 25)
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            video.options = {"g": "24", "bf": "2", "threads": "1"}
        sound = container.add_stream("aac", RATE, layout="stereo")
        sound.bit_rate = 64_000
        picture = rng.integers(0, 256, (64, 96, 3), np.uint8)
        done = 0
        for number in range(int(seconds * 25)):
            moved = np.roll(picture, 3 * number, axis=1)
            moved[:16, :16] = number * 8 % 256
            frame = av.VideoFrame.from_ndarray(moved, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            if pictures:
                container.mux(video.encode(frame))
            while done < (number + 1) * RATE // 25:
                container.mux(sound.encode(_tone(rng, done)))
                done += 1024
        if pictures:
            container.mux(video.encode(None))
        container.mux(sound.encode(None))


def _tone(rng: np.random.Generator, at: int) -> av.AudioFrame:
    t = (at + np.arange(1024)) / RATE
    loud = np.sin(2 * np.pi * t * (300 + 100 * np.sin(3 * t))) * np.sin(2 * t) ** 2
    noise = rng.normal(0, 0.05, (2, 1024)) * (np.sin(3 * t) > 0.5)
    frame = av.AudioFrame.from_ndarray((loud * 0.4 + noise).astype(np.float32), "fltp", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
    return frame


def shoot_motion_film(path: Path, seed: int, seconds: int = 4) -> None:
    """Pictures and their motion, interleaved as we record them, but without any mark of ours."""
    shoot_film(path, seed, seconds)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        extradata, tick_ns = video.codec_context.extradata, 1_000_000_000 * video.time_base
        pictures = [
            Packet(0, bytes(p), int(p.pts * tick_ns), int(p.dts * tick_ns), 40 * MS, p.is_keyframe)
            for p in container.demux(video)
            if p.size
        ]
    recorded = path.with_name(f"{path.stem}.recorded.mp4")
    rng = np.random.default_rng(seed)
    formats = [StreamFormat("video", "h264", 25, extradata, width=96, height=64)]
    recording = Recording(recorded, formats, MovieDescription(None, "Maker", "Model", {}))
    for number, packet in enumerate(pictures):
        recording.add_packets([packet])
        t_ns = number * 40 * MS + np.arange(4) * 10 * MS
        turned = Samples(PacketType.GYRO, t_ns, rng.normal(size=(4, 3)))
        pushed = Samples(PacketType.ACCELERATION, t_ns, rng.normal(size=(4, 3)))
        field = Samples(PacketType.MAGNETIC_FIELD, t_ns[:1], rng.normal(size=(1, 3)))
        recording.add_samples("imu", [turned, pushed, field], (number + 1) * 40 * MS)
        recording.advance(number * 40 * MS)
    recording.finish(len(pictures) * 40 * MS, MovieDescription(None, "Maker", "Model", {}))
    path.write_bytes(_without_marks(recorded.read_bytes()))


def _without_marks(data: bytes) -> bytes:
    """A recording of ours as another writer would have put it down: samples only, `moov` behind."""
    moov = find(data, b"moov")
    moov = b"".join(moov[b.start : b.end] for b in children(moov) if b.kind != b"uuid")
    tracks = read_movie(moov, len(data)).tracks
    ftyp = write_ftyp(track.entry for track in tracks.values())
    offset = np.concatenate([track.table.offset for track in tracks.values()])
    size = np.concatenate([track.table.size for track in tracks.values()])
    order = np.argsort(offset)
    begin = np.empty_like(offset)
    begin[order] = len(ftyp) + 8 + np.cumsum(size[order]) - size[order]
    media = b"".join(data[offset[n] : offset[n] + size[n]] for n in order)
    edges = np.cumsum([len(track.table) for track in tracks.values()])[:-1]
    tables = {
        number: replace(track.table, offset=place)
        for (number, track), place in zip(tracks.items(), np.split(begin, edges), strict=True)
    }
    return ftyp + box(b"mdat", media) + rebuild(moov, tables, None)


def mdat_of(data: bytes) -> tuple[int, int, int]:
    """Where the `mdat` of a plain file begins, its content, and its end."""
    at = 0
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            body = at + 16
        if kind == b"mdat":
            return at, body, at + size
        at += size


def without_moov(data: bytes) -> bytes:
    return data[: mdat_of(data)[2]]


def cut_inside(data: bytes) -> bytes:
    """Ends inside a sample, before the `moov`."""
    _, body, end = mdat_of(data)
    return data[: body + (end - body) * 7 // 10 + 1]


def size_zero(data: bytes) -> bytes:
    at, _, end = mdat_of(data)
    return data[:at] + bytes(4) + data[at + 4 : end]


def size_wrong(data: bytes) -> bytes:
    at, _, end = mdat_of(data)
    return data[:at] + struct.pack(">I", 5000) + data[at + 4 : end]


def blank_in_the_middle(data: bytes) -> bytes:
    """The bytes lie inside a group of pictures: no key frame is hit."""
    _, body, end = mdat_of(data)
    middle = body + (end - body) * 3 // 5
    return data[:middle] + bytes(BLANK) + data[middle + BLANK : end]


def bare_payload(data: bytes) -> bytes:
    return data[slice(*mdat_of(data)[1:])]


def zeros_behind(data: bytes) -> bytes:
    return cut_inside(data) + bytes(1 << 16)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    damage.__name__: damage
    for damage in (
        without_moov,
        cut_inside,
        size_zero,
        size_wrong,
        blank_in_the_middle,
        bare_payload,
        zeros_behind,
    )
}


def packets(path: Path) -> list[list[tuple[float, float, bool, int, bytes]]]:
    """Of each stream (shown at, decoded at, key frame, byte of the file, content), by FFmpeg."""
    with av.open(str(path)) as container:
        found: list[list[tuple[float, float, bool, int, bytes]]] = [[] for _ in container.streams]
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                found[packet.stream.index].append(
                    (
                        round(float(packet.pts * packet.time_base), 6),
                        round(float((packet.dts or 0) * packet.time_base), 6),
                        packet.is_keyframe,
                        packet.pos or 0,
                        bytes(packet),
                    )
                )
        return found


def surviving(path: Path, damaged: bytes, moved: int = 0):
    """What of a healthy film's packets is left in the damaged one, without where they lie.

    The damaged film's bytes lie `moved` further on.
    """
    return [
        [
            (pts, dts, key, content)
            for pts, dts, key, at, content in stream
            if damaged[at + moved : at + moved + len(content)] == content
        ]
        for stream in packets(path)
    ]


def kept(path: Path):
    """The packets of a film, without where they lie."""
    return [
        [(pts, dts, key, content) for pts, dts, key, _, content in stream]
        for stream in packets(path)
    ]
