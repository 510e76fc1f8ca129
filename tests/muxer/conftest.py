"""Judges of MP4 files that share no line with the code: a box walker, a writer, a film."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from muxer import reader

RECORD_LAYOUTS = {
    0: "<HH3f",
    1: "<HH2i",
    2: "<HH3f",
    3: "<HH3f",
    4: "<HH3f",
    5: "<HH3d",
    6: "<HHdidd7f",
    7: "<HH3f",
}


def boxes(data, at=0):
    """(kind, start, content) of the boxes side by side in `data`."""
    found = []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        assert header <= size <= len(data) - at, (kind, size)
        found.append((kind, at, data[at + header : at + size]))
        at += size
    return found


def inside(data, *path):
    """The content of the first box along the path."""
    for kind in path:
        data = next(content for found, _, content in boxes(data) if found == kind)
    return data


def samples(data, entry=b"camm"):
    """(ticks, bytes) of every sample of the track with this sample entry, by its tables alone."""
    traks = [content for kind, _, content in boxes(inside(data, b"moov")) if kind == b"trak"]
    stbls = [inside(trak, b"mdia", b"minf", b"stbl") for trak in traks]
    (stbl,) = (stbl for stbl in stbls if entry in kinds(inside(stbl, b"stsd")[8:]))
    tables = {kind: content for kind, _, content in boxes(stbl)}

    def rows(kind, layout, at=8):
        return list(struct.iter_unpack(layout, tables[kind][at:]))

    constant, count = struct.unpack_from(">II", tables[b"stsz"], 4)
    sizes = [constant] * count if constant else [size for (size,) in rows(b"stsz", ">I", 12)]
    durations = [length for run, length in rows(b"stts", ">II") for _ in range(run)]
    assert len(durations) == count
    stsc = rows(b"stsc", ">III")
    found, time = [], 0
    for chunk, (start,) in enumerate(
        rows(b"co64", ">Q") if b"co64" in tables else rows(b"stco", ">I"), start=1
    ):
        at = start
        for _ in range(next(held for first, held, _ in reversed(stsc) if first <= chunk)):
            size = sizes[len(found)]
            found.append((time, data[at : at + size]))
            time += durations[len(found) - 1]
            at += size
    assert len(found) == count
    return found


def kinds(data):
    return [kind for kind, _, _ in boxes(data)]


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def record(kind, *values):
    """A CAMM packet."""
    return struct.pack(RECORD_LAYOUTS[kind], 0, kind, *values)


def table(kind, *rows, layout=">I"):
    body = b"".join(struct.pack(layout, *np.atleast_1d(row).tolist()) for row in rows)
    return full(kind, 0, 0, struct.pack(">I", len(rows)), body)


def write_mp4(
    samples,
    durations,
    *,
    handler=b"meta",
    entries=(b"camm",),
    timescale=1_000_000,
    movie_timescale=1000,
    version=1,
    edits=None,
    per_chunk=1,
    co64=False,
    moov_first=True,
    gap=0,
    before=b"",
    replace=None,
    udta=b"",
    extra=b"",
):
    """A file of one track, with any of the habits that makers have.

    `gap` bytes lie between two chunks; `before` stands between ftyp and the rest; `replace` puts a
    box of the sample table in place of the one of its kind; `extra` ends `moov`.
    """
    chunks = [samples[n : n + per_chunk] for n in range(0, len(samples), per_chunk)]
    media = bytes(gap).join(b"".join(chunk) for chunk in chunks)
    times = ">QQ" if version else ">II"
    ticks = ">Q" if version else ">I"
    clock = 3_600_000_000  # 2018-01-28 16:00 UTC

    def moov(data_at):
        offsets, at = [], data_at
        for chunk in chunks:
            offsets.append(at)
            at += sum(map(len, chunk)) + gap
        last = [(len(chunks), len(chunks[-1]), 1)] if chunks and len(chunks[-1]) < per_chunk else []
        stsc = [(1, per_chunk, 1)] if len(chunks) > len(last) else []
        parts = {
            b"stsd": full(
                b"stsd",
                0,
                0,
                struct.pack(">I", len(entries)),
                *(box(entry, struct.pack(">6xH", 1)) for entry in entries),
            ),
            b"stts": table(b"stts", *((1, duration) for duration in durations), layout=">2I"),
            b"stsc": table(b"stsc", *stsc, *last, layout=">3I"),
            b"stsz": full(
                b"stsz",
                0,
                0,
                struct.pack(">II", 0, len(samples)),
                *(struct.pack(">I", len(sample)) for sample in samples),
            ),
            b"stco": (table(b"co64", *offsets, layout=">Q") if co64 else table(b"stco", *offsets)),
            **(replace or {}),
        }
        header = struct.pack(times, clock, clock)
        matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
        edts = b""
        if edits is not None:
            row = ">Qq4s" if version else ">Ii4s"
            rows = [struct.pack(row, *edit, b"\0\1\0\0") for edit in edits]
            edts = box(b"edts", full(b"elst", version, 0, struct.pack(">I", len(rows)), *rows))
        return box(
            b"moov",
            full(
                b"mvhd",
                version,
                0,
                header + struct.pack(">I", movie_timescale) + struct.pack(ticks, 0),
                struct.pack(">IH10x", 1 << 16, 1 << 8) + matrix + bytes(24) + struct.pack(">I", 2),
            ),
            box(
                b"trak",
                full(
                    b"tkhd",
                    version,
                    7,
                    header + struct.pack(">I4x", 1) + struct.pack(ticks, 0) + bytes(16),
                    matrix + bytes(8),
                ),
                edts,
                box(
                    b"mdia",
                    full(
                        b"mdhd",
                        version,
                        0,
                        header + struct.pack(">I", timescale),
                        struct.pack(ticks, sum(durations)) + b"\x55\xc4\0\0",
                    ),
                    full(b"hdlr", 0, 0, bytes(4) + handler + bytes(12) + b"Motion\0"),
                    box(
                        b"minf",
                        full(b"nmhd", 0, 0),
                        box(b"dinf", full(b"dref", 0, 0, b"\0\0\0\1", full(b"url ", 0, 1))),
                        box(b"stbl", *parts.values()),
                    ),
                ),
            ),
            udta,
            extra,
        )

    ftyp = box(b"ftyp", b"isom\0\0\2\0isom")
    head = len(ftyp) + len(before)
    if moov_first:
        size = len(moov(0))
        return ftyp + before + moov(head + size + 8) + box(b"mdat", media)
    return ftyp + before + box(b"mdat", media) + moov(head + 8)


def tracks_joined(*files):
    """One file of the tracks of several, whose moov lies at their end; media one behind another."""
    ftyp, media, traks = b"", b"", []
    for number, data in enumerate(files, start=1):
        found = {kind: (at, content) for kind, at, content in boxes(data)}
        ftyp = box(b"ftyp", found[b"ftyp"][1])
        shift = len(ftyp) + 8 + len(media) - (found[b"mdat"][0] + 8)
        media += found[b"mdat"][1]
        trak = inside(data, b"moov", b"trak")
        at = trak.index(b"tkhd") + 4
        trak = trak[: at + 20] + struct.pack(">I", number) + trak[at + 24 :]
        at = trak.index(b"stco") + 12
        count = struct.unpack_from(">I", trak, at - 4)[0]
        offsets = [n + shift for n in struct.unpack_from(f">{count}I", trak, at)]
        trak = trak[:at] + struct.pack(f">{count}I", *offsets) + trak[at + 4 * count :]
        traks.append(box(b"trak", trak))
    mvhd = box(b"mvhd", inside(files[0], b"moov", b"mvhd"))
    return ftyp + box(b"mdat", media) + box(b"moov", mvhd, *traks)


@pytest.fixture(scope="session")
def mp4():
    """The walker and the writer."""
    return SimpleNamespace(
        boxes=boxes,
        inside=inside,
        kinds=kinds,
        samples=samples,
        box=box,
        full=full,
        table=table,
        record=record,
        write=write_mp4,
        joined=tracks_joined,
    )


@pytest.fixture
def opened(tmp_path):
    """Opens bytes as a clip; closed at the end."""
    clips = []

    def write_and_open(data):
        path = tmp_path / f"{len(clips)}.mp4"
        path.write_bytes(data)
        clips.append(reader.open(path))
        return clips[-1]

    yield write_and_open
    for clip in clips:
        clip.close()


@pytest.fixture
def gyro(mp4):
    """Ten gyro records that count from 0."""
    return [mp4.record(2, n, 0, 0) for n in range(10)]


@pytest.fixture(scope="session")
def film(tmp_path_factory):
    """Two seconds of H.264 with B-frames and AAC, as FFmpeg's own muxer put it into an MP4."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    rate = Fraction(30_000, 1001)
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=rate, options={"bf": "2", "b-adapt": "0", "g": "15", "threads": "1"}
        )
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48_000)
        noise = np.random.default_rng(1)
        for n in range(60):
            picture = noise.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            tone = noise.normal(0, 0.1, (2, 1600)).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(tone, format="fltp")
            sound.sample_rate, sound.pts = 48_000, n * 1600
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path
