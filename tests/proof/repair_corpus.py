"""Files as other makers' cameras write them, damaged in many ways, and a judge of their repair.

Each case is filmed twice with the same settings: one film is damaged, the other, of something else,
is the healthy reference. What is true of a film FFmpeg reads from its own tables; the judge finds
out of each sample whether the repaired film has it at its place, whole, and at its time.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from films import mdat_of, shoot_motion_film

from muxer.reader import top_level
from muxer.salvage.rescue import rescue
from muxer.salvage.write import write_new
from muxer.source import LocalFile

SECONDS = 12
BAD = 4096
TOLERANCE_S = 0.001

# What is filmed


@dataclass(frozen=True)
class Take:
    """What is before the camera."""

    seed: int
    zoom: tuple[float, float]
    tone_hz: float

    def pictures(self, rate: float, seconds: float, grain: int) -> str:
        """As a source of FFmpeg."""
        far, near = self.zoom
        return (
            f"mandelbrot=s=320x240:r={rate}:start_scale={far}:end_scale={near}"
            f":end_pts={int(rate * seconds)},noise=alls={grain}:allf=t:all_seed={self.seed},"
            f"trim=duration={seconds}"
        )

    def sound(self, rate: int, channels: int, seconds: float, pitch: float = 1.0) -> str:
        """A tone that comes and goes, some noise, and two seconds that are nearly silent."""
        tone = self.tone_hz * pitch
        voices = [
            f"0.35*sin(2*PI*{tone * (1 + n / 2)}*t)*(0.5+0.5*sin(2*PI*t*{3 + n}/7))"
            f"+0.05*(random({n})-0.5)"
            for n in range(channels)
        ]
        layout = "stereo" if channels == 2 else "mono"
        return (
            f"aevalsrc=exprs='{'|'.join(voices)}':s={rate}:c={layout}:d={seconds},"
            "volume=0.002:enable='between(t,5,7)'"
        )


DAMAGED = Take(77, (1.7, 0.07), 440.0)
REFERENCE = Take(33, (2.4, 0.05), 523.0)


def encode(
    out: Path,
    take: Take,
    video: Sequence[str] = (),
    sound: Sequence[str] = (),
    *,
    fps: float = 25,
    rate: int = 48_000,
    channels: int = 2,
    sounds: int = 1,
    seconds: float = SECONDS,
    grain: int = 12,
    select: str = "",
    options: Sequence[str] = (),
) -> None:
    """Let the ffmpeg program film a take; the same bytes each time."""
    sources = [take.pictures(fps, seconds, grain) + select] if video else []
    pitches = [1 + number / 3 for number in range(sounds if sound else 0)]
    sources += [take.sound(rate, channels, seconds, pitch) for pitch in pitches]
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    maps = [part for n in range(len(sources)) for part in ("-map", str(n))]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-filter_threads", "1", *inputs, *maps]
    command += [*video, *sound, "-threads", "1", "-fflags", "+bitexact", *options, str(out)]
    subprocess.run(command, check=True)


H264 = (
    *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"),
    *("-b:v", "400k", "-maxrate", "600k", "-bufsize", "800k", "-g", "50"),
)
NO_B = (*H264, "-bf", "0", "-g", "25")
AAC = ("-c:a", "aac", "-b:a", "96k")
PRORES = ("-c:v", "prores_ks", "-profile:v", "2", "-qscale:v", "28", "-pix_fmt", "yuv422p10le")


def avc_b_aac(out: Path, take: Take) -> None:
    encode(out, take, [*H264, "-bf", "3", "-x264-params", "b-pyramid=normal"], AAC)


def avc_aac_in_chunks(out: Path, take: Take) -> None:
    sound = ["-c:a", "aac", "-b:a", "64k"]
    chunks = ["-chunk_duration", "500000"]
    encode(out, take, NO_B, sound, rate=44_100, channels=1, options=chunks)


def avc_b_only(out: Path, take: Take) -> None:
    encode(out, take, [*H264, "-bf", "2"])


def avc_in_slices(out: Path, take: Take) -> None:
    encode(out, take, [*NO_B, "-x264-params", "slices=4:aud=1:repeat-headers=1"], fps=30)


def hevc_aac(out: Path, take: Take) -> None:
    tuned = "log-level=none:pools=1:frame-threads=1:bframes=3:keyint=50"
    video = ["-c:v", "libx265", "-preset", "ultrafast", "-b:v", "400k", "-pix_fmt", "yuv420p"]
    encode(out, take, [*video, "-tag:v", "hvc1", "-x265-params", tuned], AAC)


def mp4v_aac(out: Path, take: Take) -> None:
    encode(out, take, ["-c:v", "mpeg4", "-b:v", "500k", "-g", "25", "-pix_fmt", "yuv420p"], AAC)


def prores_sowt(out: Path, take: Take) -> None:
    encode(out, take, PRORES, ["-c:a", "pcm_s16le"], fps=8, channels=1, grain=2)


def prores_twos(out: Path, take: Take) -> None:
    encode(out, take, PRORES, ["-c:a", "pcm_s16be"], fps=8, channels=1, grain=2)


def jpeg_in24(out: Path, take: Take) -> None:
    video = ["-c:v", "mjpeg", "-q:v", "14", "-pix_fmt", "yuvj420p", "-color_range", "pc"]
    encode(out, take, video, ["-c:a", "pcm_s24be"], fps=12.5, channels=1, grain=2)


def avc_alac(out: Path, take: Take) -> None:
    encode(out, take, [*H264, "-bf", "2"], ["-c:a", "alac"], rate=16_000, channels=1)


def aac_only(out: Path, take: Take) -> None:
    encode(out, take, (), AAC, seconds=3 * SECONDS)


def avc_vfr_aac(out: Path, take: Take) -> None:
    """One picture in seven is dropped, here and there: a camera that adapts to the light."""
    dropped = f",select='gt(mod(n*n*{take.seed}+n*7,101),15)'"
    timing = ["-fps_mode", "vfr", "-video_track_timescale", "90000"]
    encode(out, take, NO_B, AAC, fps=30, select=dropped, options=timing)


def av1_opus(out: Path, take: Take) -> None:
    video = ["-c:v", "libsvtav1", "-preset", "12", "-b:v", "400k", "-g", "50"]
    video += ["-pix_fmt", "yuv420p", "-svtav1-params", "lp=1"]
    encode(out, take, video, ["-c:a", "libopus", "-b:a", "64k"])


def avc_two_aac(out: Path, take: Take) -> None:
    encode(out, take, [*H264, "-bf", "2"], AAC, sounds=2)


def avc_camm(out: Path, take: Take) -> None:
    shoot_motion_film(out, take.seed, SECONDS)


def avc_amr(out: Path, take: Take) -> None:
    """The ffmpeg program seldom has an encoder for AMR; the libraries of PyAV do."""
    pictures, tone = out.with_suffix(".pictures.mp4"), out.with_suffix(".wav")
    encode(pictures, take, [*NO_B, "-g", "15"], fps=15)
    encode(tone, take, (), ["-c:a", "pcm_s16le"], rate=8_000, channels=1)
    with av.open(str(tone)) as source, av.open(str(out), "w", format="3gp") as target:
        sound = target.add_stream("libopencore_amrnb", 8_000, layout="mono")
        sound.bit_rate = 12_200
        resampler = av.AudioResampler("s16", "mono", 8_000, 160)
        frames = [g for f in source.decode(audio=0) for g in resampler.resample(f)]
        packets = [p for frame in [*frames, None] for p in sound.encode(frame)]
        _mux_beside(pictures, target, packets)


def avc_aac_gpmd(out: Path, take: Take) -> None:
    """Telemetry as action cameras have it: ten samples a second."""
    film = out.with_suffix(".film.mp4")
    encode(film, take, NO_B, AAC)
    rng = np.random.default_rng(take.seed)
    with av.open(str(out), "w", format="mp4") as target:
        telemetry = target.add_data_stream("bin_data")
        packets = []
        for number in range(SECONDS * 10):
            values = rng.integers(-900, 900, (15, 3)).astype(">i2").tobytes()
            stream = b"STNMc\1\0\4ACCLACCLs\6\0\x0f" + values + bytes(2)
            stream = b"STRM\0\1" + struct.pack(">H", len(stream)) + stream
            packet = av.Packet(b"DEVC\0\1" + struct.pack(">H", len(stream)) + stream)
            packet.stream, packet.time_base = telemetry, Fraction(1, 1000)
            packet.pts = packet.dts = number * 100
            packet.duration, packet.is_keyframe = 100, True
            packets.append(packet)
        _mux_beside(film, target, packets)


def _mux_beside(
    film: Path, target: av.container.OutputContainer, packets: Sequence[av.Packet]
) -> None:
    """The streams of a film with one more, in the order of time."""
    with av.open(str(film)) as source:
        copies = {s.index: target.add_stream_from_template(s) for s in source.streams}
        rows = [*packets]
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                rows.append(packet)
        for packet in sorted(rows, key=lambda row: row.dts * row.time_base):
            target.mux(packet)


CASES: dict[str, tuple[str, Callable[[Path, Take], None]]] = {
    "avc1 B-frames, mp4a": ("mp4", avc_b_aac),
    "avc1, mp4a in chunks of 0.5 s": ("mp4", avc_aac_in_chunks),
    "avc1 B-frames": ("mp4", avc_b_only),
    "avc1 in four slices": ("mp4", avc_in_slices),
    "hvc1, mp4a": ("mp4", hevc_aac),
    "mp4v, mp4a": ("mp4", mp4v_aac),
    "apcn, sowt": ("mov", prores_sowt),
    "apcn, twos": ("mov", prores_twos),
    "jpeg, in24": ("mov", jpeg_in24),
    "avc1, samr": ("3gp", avc_amr),
    "avc1 B-frames, alac": ("mp4", avc_alac),
    "mp4a": ("m4a", aac_only),
    "avc1, mp4a, gpmd": ("mp4", avc_aac_gpmd),
    "avc1 B-frames, camm": ("mp4", avc_camm),
    "avc1 at a variable rate, mp4a": ("mp4", avc_vfr_aac),
    "av01, Opus": ("mp4", av1_opus),
    "avc1 B-frames, two mp4a": ("mp4", avc_two_aac),
}
"""How the files are named, and who films them."""

# What happens to it


def media(film: Path) -> tuple[int, int]:
    """Where the content of the `mdat` of a plain file begins and ends, however long it is."""
    with LocalFile(film) as source:
        mdat = next(found for found in top_level(source) if found.kind == b"mdat")
        return mdat.body, mdat.end


@dataclass(frozen=True)
class Damage:
    """What has become of a film.

    `moved`  by how many bytes what is left lies further on
    `bad`    ranges of `data` that hold something else now
    """

    data: bytes
    moved: int = 0
    bad: Sequence[tuple[int, int]] = ()

    def survives(self, offset: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Whether samples of the film that was are whole in what is left."""
        begin = offset + self.moved
        end = begin + size
        there = (begin >= 0) & (end <= len(self.data))
        for first, behind in self.bad:
            there &= (end <= first) | (begin >= behind)
        return there


def without_moov(film: bytes) -> Damage:
    return Damage(film[: mdat_of(film)[2]])


def cut(film: bytes) -> Damage:
    """At 70 %: by chance on the border of two samples, or else inside of one."""
    _, body, end = mdat_of(film)
    return Damage(film[: body + (end - body) * 7 // 10])


def size_zero(film: bytes) -> Damage:
    at, _, end = mdat_of(film)
    return Damage(film[:at] + bytes(4) + film[at + 4 : end])


def size_wrong(film: bytes) -> Damage:
    at, body, end = mdat_of(film)
    return Damage(film[:at] + struct.pack(">I", (end - body) // 3) + film[at + 4 : end])


def _overwritten(film: bytes, holes: dict[int, bytes]) -> Damage:
    """Without `moov`, and with these bytes at these places."""
    data = bytearray(without_moov(film).data)
    for at, hole in holes.items():
        data[at : at + len(hole)] = hole
    return Damage(bytes(data), 0, [(at, at + len(hole)) for at, hole in holes.items()])


def _sector(film: bytes, part: float, sector: int = 512) -> int:
    """Where a sector begins, so far into the media."""
    _, body, end = mdat_of(film)
    return (body + int((end - body) * part)) // sector * sector


def _noise(length: int) -> bytes:
    return np.random.default_rng(5).bytes(length)


def zeros_inside(film: bytes) -> Damage:
    return _overwritten(film, {_sector(film, 0.5): bytes(BAD)})


def noise_inside(film: bytes) -> Damage:
    return _overwritten(film, {_sector(film, 0.5): _noise(BAD)})


def bare_payload(film: bytes) -> Damage:
    """No header: what is left when the file system has lost the first block."""
    _, body, end = mdat_of(film)
    return Damage(film[body:end], -body)


def zeros_behind(film: bytes) -> Damage:
    left = cut(film).data
    return Damage(left + bytes(1 << 16), 0, [(len(left), len(left) + (1 << 16))])


def start_lost(film: bytes) -> Damage:
    """A tenth of the media."""
    _, body, end = mdat_of(film)
    lost = (end - body) // 10 // 512 * 512
    return Damage(film[:body] + film[body + lost : end], -lost, [(0, body)])


def two_sectors(film: bytes) -> Damage:
    return _overwritten(film, {_sector(film, 0.3): _noise(512), _sector(film, 0.6): bytes(512)})


def many_zeros(film: bytes) -> Damage:
    return _overwritten(film, {_sector(film, 0.5, 1 << 12): bytes(1 << 16)})


DAMAGES: dict[str, Callable[[bytes], Damage]] = {
    "moov gone": without_moov,
    "cut at 70 %": cut,
    "mdat size 0": size_zero,
    "mdat size wrong": size_wrong,
    "4 KiB zeros": zeros_inside,
    "4 KiB noise": noise_inside,
    "bare payload": bare_payload,
    "zeros behind": zeros_behind,
}
OTHER_DAMAGES: dict[str, Callable[[bytes], Damage]] = {
    "a tenth lost at the start": start_lost,
    "two bad sectors": two_sectors,
    "64 KiB zeros": many_zeros,
}

# What is made of it


@dataclass(frozen=True)
class Stream:
    """What FFmpeg reads of a track; PCM frame by frame.

    `kind`  codec and type of stream, as FFmpeg names them
    """

    kind: tuple[str, str]
    offset: np.ndarray
    size: np.ndarray
    shown_s: np.ndarray
    key: np.ndarray


def streams(path: Path) -> list[Stream]:
    with av.open(str(path)) as container:
        rows: list[list[tuple[int, ...]]] = [[] for _ in container.streams]
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                row = (packet.pos, packet.size, packet.pts, packet.is_keyframe, packet.duration)
                rows[packet.stream.index].append(row)
        return [
            _stream(stream, some)
            for stream, some in zip(container.streams, rows, strict=True)
            if some
        ]


def _stream(stream: av.stream.Stream, rows: list[tuple[int, ...]]) -> Stream:
    offset, size, shown, key, frames = np.array(rows, np.int64).T
    name = stream.codec_context.name if stream.codec_context is not None else ""
    if name.startswith("pcm"):  # a packet holds many frames, one where time has gaps
        frame = int(size[0] // frames[0])
        count = size // frame
        place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        offset = np.repeat(offset, count) + place * frame
        shown = np.repeat(shown, count) + place
        size, key = np.full(len(offset), frame), np.ones(len(offset), np.int64)
    shown_s = shown * float(stream.time_base)
    return Stream((stream.type, name), offset, size, shown_s, key > 0)


@dataclass(frozen=True)
class Tally:
    """Of some tracks: samples that survived, that were found of them, and how right these are.

    `junk`  samples that never were
    """

    there: int = 0
    found: int = 0
    matched: int = 0
    in_time: int = 0
    wrong_key: int = 0
    junk: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    @property
    def recovered(self) -> float:
        """Per cent."""
        return 100 * self.found / self.there if self.there else 100.0

    @property
    def times(self) -> float:
        """Per cent of those that were found."""
        return 100 * self.in_time / self.matched if self.matched else 100.0

    @property
    def right(self) -> bool:
        """Whether all is there, and nothing else."""
        perfect = self.found == self.there and self.in_time == self.matched
        return perfect and not self.wrong_key and not self.junk


@dataclass(frozen=True)
class Verdict:
    """Of one repaired film; `apart_s` is how far sound or motion has moved against the pictures."""

    video: Tally = field(default_factory=Tally)
    other: Tally = field(default_factory=Tally)
    apart_s: float = 0.0

    @property
    def right(self) -> bool:
        return self.video.right and self.other.right and self.apart_s <= TOLERANCE_S

    @property
    def times(self) -> float:
        return (self.video + self.other).times

    def __str__(self) -> str:
        def share(tally: Tally) -> str:
            return f"{tally.recovered:6.2f} %" if tally.there else "       -"

        junk = self.video.junk + self.other.junk
        return (
            f"video {share(self.video)}  other {share(self.other)}  times {self.times:6.2f} %  "
            f"junk {junk:3}  apart {self.apart_s * 1e3:6.1f} ms  {'right' if self.right else ''}"
        )


def repaired(film: Path, reference: Path, damage: Callable[[bytes], Damage]) -> Verdict:
    """Damage a film, repair it by the reference, and judge what comes out."""
    damaged = damage(film.read_bytes())
    path, out = film.with_name(f"damaged{film.suffix}"), film.with_name(f"repaired{film.suffix}")
    path.write_bytes(damaged.data)
    found = rescue(path, reference)
    found.require_recovered()
    write_new(found.rescued, out)
    assert path.read_bytes() == damaged.data
    further = mdat_of(out.read_bytes())[2] - found.rescued.media[1]
    return judge(streams(film), streams(out), damaged, further)


def judge(
    healthy: Sequence[Stream], found: Sequence[Stream], damage: Damage, further: int
) -> Verdict:
    """Of streams that lie `further` bytes further on than in the damaged file."""
    left = [*found]
    tallies = {"video": Tally(), "other": Tally()}
    moved: dict[str, list[float]] = {"video": [], "other": []}
    for stream in healthy:
        mine = next((n for n, other in enumerate(left) if other.kind == stream.kind), None)
        group = "video" if stream.kind[0] == "video" else "other"
        survives = damage.survives(stream.offset, stream.size)
        if mine is None:
            tallies[group] += Tally(there=int(survives.sum()))
            continue
        tally, later_s = _compare(stream, left.pop(mine), survives, damage.moved + further)
        tallies[group] += tally
        moved[group].append(later_s)
    apart = [abs(other - moved["video"][0]) for other in moved["other"] if moved["video"]]
    return Verdict(tallies["video"], tallies["other"], max(apart, default=0.0))


def _compare(
    healthy: Stream, found: Stream, survives: np.ndarray, moved: int
) -> tuple[Tally, float]:
    """Of one stream, and by how much it is later."""
    order = np.argsort(found.offset, kind="stable")
    place = found.offset[order] - moved
    row = np.minimum(np.searchsorted(place, healthy.offset), len(place) - 1)
    same = (place[row] == healthy.offset) & (found.size[order][row] == healthy.size)
    mine = order[row[same]]
    late = found.shown_s[mine] - healthy.shown_s[same]
    later_s = float(np.median(late)) if len(late) else 0.0
    pictures = healthy.kind[0] == "video"
    wrong_key = pictures * int((found.key[mine] != healthy.key[same]).sum())
    tally = Tally(
        int(survives.sum()),
        int((same & survives).sum()),
        len(mine),
        int((np.abs(late - later_s) <= TOLERANCE_S).sum()),
        wrong_key,
        len(place) - len(mine),
    )
    return tally, later_s
