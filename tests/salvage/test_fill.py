"""Gaps between pictures are divided among the codecs of sound, frame by frame."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.boxes import box
from muxer.file_boxes import Memory
from muxer.salvage.carve import Carved, Samples
from muxer.salvage.codecs.pcm import PcmFiller
from muxer.salvage.codecs.scanner import UNORDERED
from muxer.salvage.fill import Filling, fill
from muxer.salvage.reference import Reference

PICTURE = b"\x11" * 200
PICTURE_S = 1 / 25
SOWT = box(b"sowt", struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, 48_000 << 16))
"""16 bits, stereo: frames of four bytes."""


class Frames:
    """Sound in frames of a fixed size, the first byte of which is always the same."""

    refuses = True

    def __init__(self, mark, size):
        self.mark, self.size = mark, size

    def frame(self, seed):
        octets = np.random.default_rng(seed).integers(128, 256, self.size - 1, np.uint8)
        return self.mark + octets.tobytes().replace(self.mark, b"\x80")

    def begins(self, media, at):
        return 8.0 if media.read(at, 1) == self.mark else 0.0

    def _is_frame(self, media, at, end):
        frame = media.read(at, self.size)
        whole = at + self.size <= end and len(frame) == self.size
        return whole and frame[:1] == self.mark and b"\0" not in frame and b"\x11" not in frame

    def divide(self, media, start, end, due):
        edges = self.head(media, start, end)
        return edges[:-1] if edges[-1] == end else None

    def head(self, media, start, end):
        edges = [start]
        while self._is_frame(media, edges[-1], end):
            edges.append(edges[-1] + self.size)
        return np.array(edges)

    def tail(self, media, start, end):
        edges = [end]
        while edges[0] - self.size >= start and self._is_frame(media, edges[0] - self.size, end):
            edges.insert(0, edges[0] - self.size)
        return np.array(edges)

    def find(self, media, start, end):
        return end


class Anything(Frames):
    """Takes all but zeros: as many parts as are due, or one from mark to mark."""

    refuses = False

    def divide(self, media, start, end, due):
        if bytes(8) in media.read(start, end - start):
            return None
        if len(due) == 1 and due[0]:
            return np.linspace(start, end, due[0] + 1).astype(int)[:-1]
        return self.head(media, start, end)[:-1]

    def head(self, media, start, end):
        data = media.read(start, end - start)
        marks = [start + n for n in range(len(data)) if data[n : n + 1] == self.mark]
        if bytes(8) in data:
            lost = start + data.index(bytes(8))
            return np.array([at for at in marks if at < lost] or [start])
        return np.array([*marks, end])

    def tail(self, media, start, end):
        return np.array([end])


AAC = Frames(b"\xa5", 16)
OTHER = Frames(b"\xc3", 24)
THIRD = Frames(b"\xd7", 20)


class Film:
    """Sound of one codec or more is written up to the time of each picture that follows."""

    def __init__(self, reference_track, *codecs, count=30, pcm=False):
        self.parts, self.sound = [], [[] for _ in codecs]
        at, written = 0, [0] * len(codecs)
        chunks = [[] for _ in codecs]
        self.pictures, shown = [], []
        for picture in range(count):
            for n, codec in enumerate(codecs):
                rate = 48_000 if pcm else 48_000 / 1024
                each = 4 if pcm else codec.size
                due = int(picture * PICTURE_S * rate + 1e-6) + 1 - written[n]
                if due <= 0:
                    continue
                frames = [
                    np.random.default_rng(written[n]).bytes(due * each)
                    if pcm
                    else b"".join(codec.frame(written[n] + k) for k in range(due))
                ]
                data = b"".join(frames)
                step = len(data) if pcm else each
                self.sound[n] += [(at + k, step) for k in range(0, len(data), step)]
                chunks[n].append((at, at + len(data), written[n] / rate, (written[n] + due) / rate))
                self.parts.append(data)
                at, written[n] = at + len(data), written[n] + due
            self.pictures.append((at, len(PICTURE)))
            shown.append((at, at + len(PICTURE), picture * PICTURE_S, (picture + 1) * PICTURE_S))
            self.parts.append(PICTURE)
            at += len(PICTURE)
        self.data = b"".join(self.parts)
        video = reference_track(
            b"vide", box(b"avc1"), timescale=25, duration=1, chunks=np.array(shown)
        )
        sounds = [
            reference_track(
                entry=SOWT if pcm else box(b"mp4a"),
                duration=1 if pcm else 1024,
                number=n + 2,
                chunks=np.array(chunks[n]),
                samples=tuple(self.data[a : a + size] for a, size in self.sound[n][:20]),
                sizes=np.array([size for _, size in self.sound[n]]),
            )
            for n in range(len(codecs))
        ]
        self.reference = Reference("", b"", b"", (video, *sounds))
        self.fillings = [
            Filling(codec, (track,)) for codec, track in zip(codecs, sounds, strict=True)
        ]

    def fill(self, data=None, pictures=None, *, open_ended=False):
        """What becomes of the gaps; `pictures` are those that the carver has found."""
        data = self.data if data is None else data
        pictures = self.pictures if pictures is None else pictures
        if open_ended:
            ends = [*(at for at, _ in pictures[1:]), len(data)]
            pictures = [(at, end - at) for (at, _), end in zip(pictures, ends, strict=True)]
        gaps, at = [], 0
        for begin, size in pictures:
            if begin > at:
                gaps.append((at, begin))
            at = begin + size
        if at < len(data):
            gaps.append((at, len(data)))
        carved = Carved((samples(pictures),), np.array(gaps, np.int64).reshape(-1, 2))
        media, nobody = Memory(data), lambda at: None
        return fill(media, carved, [open_ended], self.fillings, self.reference, 0, nobody)


def samples(rows):
    offset, size = np.array(rows, np.int64).reshape(-1, 2).T
    yes = np.ones(len(offset), bool)
    return Samples(offset, size, yes, np.full(len(offset), UNORDERED), ~yes, yes)


def rows(found):
    return [*zip(found.offset.tolist(), found.size.tolist(), strict=True)]


def overwritten(data, at, hole):
    return data[:at] + hole + data[at + len(hole) :]


def test_frames_between_pictures_are_found_one_by_one(reference_track):
    film = Film(reference_track, AAC)
    filled = film.fill()
    assert rows(filled.found[0]) == film.sound[0]
    assert rows(filled.carved[0]) == film.pictures
    assert not len(filled.lost)


def test_pcm_fills_its_gaps_and_is_one_row_in_each(reference_track):
    film = Film(reference_track, PcmFiller(SOWT), pcm=True)
    filled = film.fill()
    assert rows(filled.found[0]) == film.sound[0]
    assert not len(filled.lost)


def test_pcm_ends_where_as_many_frames_as_are_due_have_come(reference_track):
    """Not even the bytes of a lost picture look like no sound."""
    film = Film(reference_track, PcmFiller(SOWT), pcm=True)
    kept = film.pictures[:12] + film.pictures[13:]
    at, size = film.pictures[12]
    behind = film.sound[0][13]
    filled = film.fill(overwritten(film.data, at, bytes(size)), kept)
    assert rows(filled.found[0]) == film.sound[0][:13] + film.sound[0][14:]
    assert filled.lost.tolist() == [[at, sum(behind)]]


def test_a_damaged_gap_is_filled_from_both_its_ends(reference_track):
    film = Film(reference_track, AAC)
    kept = film.pictures[:12] + film.pictures[13:]
    at, size = film.pictures[12]
    begin, behind = at - 8, at + size + 8  # with halves of the frames beside it
    filled = film.fill(overwritten(film.data, begin, bytes(behind - begin)), kept)
    whole = [row for row in film.sound[0] if sum(row) <= begin or row[0] >= behind]
    assert rows(filled.found[0]) == whole
    assert filled.lost.tolist() == [[begin - 8, behind + 8]]


def test_noise_inside_of_sound_costs_the_frames_it_touches(reference_track):
    film = Film(reference_track, AAC)
    place = film.sound[0][20][0] + 5
    filled = film.fill(overwritten(film.data, place, b"\0"))
    left = [row for row in film.sound[0] if not row[0] <= place < sum(row)]
    assert rows(filled.found[0]) == left
    assert filled.lost.tolist() == [[place - 5, place + 11]]


@pytest.mark.parametrize("codecs", [[AAC, OTHER], [AAC, OTHER, THIRD]])
def test_codecs_behind_one_another_are_told_apart(reference_track, codecs):
    film = Film(reference_track, *codecs)
    filled = film.fill()
    assert [rows(found) for found in filled.found] == film.sound
    assert not len(filled.lost)


def test_of_what_could_be_anything_the_count_that_is_due_decides(reference_track):
    film = Film(reference_track, Anything(b"\xa5", 16))
    filled = film.fill()
    assert len(filled.found[0]) == len(film.sound[0])
    assert not len(filled.lost)


def test_behind_lost_sound_the_count_is_taken_anew(reference_track):
    film = Film(reference_track, Anything(b"\xa5", 16))
    (at, _), begin = film.pictures[10], sum(film.pictures[9])
    filled = film.fill(overwritten(film.data, begin, bytes(at - begin)))
    assert rows(filled.found[0]) == [row for row in film.sound[0] if not begin <= row[0] < at]
    assert filled.lost.tolist() == [[begin, at]]


def test_a_gap_that_is_far_too_long_is_not_all_sound(reference_track):
    film = Film(reference_track, Anything(b"\xa5", 16))
    at, _ = film.pictures[10]
    data = film.data[:at] + bytes(20_000) + film.data[at:]
    moved = [(begin + 20_000 * (begin >= at), size) for begin, size in film.pictures]
    filled = film.fill(data, moved)
    last = [row for row in film.sound[0] if row[0] < at][-1]
    assert filled.lost.tolist() == [[last[0], at + 20_000]]
    assert len(filled.found[0]) == len(film.sound[0]) - 1


def test_sound_behind_the_last_picture_is_kept_up_to_the_cut(reference_track):
    film = Film(reference_track, AAC)
    tail = b"".join(AAC.frame(n) for n in range(6))
    filled = film.fill(film.data + tail[:-1])
    end = len(film.data)
    assert rows(filled.found[0])[-5:] == [(end + 16 * n, 16) for n in range(5)]
    assert filled.lost.tolist() == [[end + 80, end + 95]]


def test_sound_alone_needs_no_pictures(reference_track):
    track = reference_track(samples=(AAC.frame(0),), sizes=np.array([16]))
    data = b"".join(AAC.frame(n) for n in range(200))
    carved = Carved((), np.array([[0, len(data)]]))
    fillings = [Filling(AAC, (track,))]
    reference = Reference("", b"", b"", (track,))
    filled = fill(Memory(data), carved, [], fillings, reference, None, lambda at: None)
    assert rows(filled.found[0]) == [(16 * n, 16) for n in range(200)]


def test_a_picture_that_does_not_say_where_it_ends_gives_up_the_sound_behind_it(reference_track):
    film = Film(reference_track, AAC)
    filled = film.fill(open_ended=True)
    assert rows(filled.carved[0]) == film.pictures
    assert rows(filled.found[0]) == film.sound[0]


def test_a_picture_that_ends_as_sound_does_keeps_its_end_if_no_more_sound_is_due(reference_track):
    film = Film(reference_track, AAC)
    at, size = film.pictures[10]
    filled = film.fill(overwritten(film.data, at + size - 16, AAC.frame(999)), open_ended=True)
    assert rows(filled.carved[0]) == film.pictures
    assert rows(filled.found[0]) == film.sound[0]


def test_a_picture_with_damaged_sound_behind_it_is_not_kept(reference_track):
    """It would be one with the damage in it."""
    film = Film(reference_track, AAC)
    (at, _), behind = film.pictures[10], film.pictures[11][0]
    last = max(row for row in film.sound[0] if row[0] < behind)
    filled = film.fill(overwritten(film.data, last[0] + 3, bytes(4)), open_ended=True)
    assert rows(filled.carved[0]) == film.pictures[:10] + film.pictures[11:]
    assert filled.lost.tolist() == [[at, behind]]


@pytest.mark.parametrize("codecs", [[AAC], [AAC, OTHER], [Anything(b"\xa5", 16)]])
def test_whoever_watches_is_told_how_far_it_has_come(reference_track, codecs):
    film = Film(reference_track, *codecs)
    told = []
    gaps = np.array([[0, film.pictures[0][0]]])
    carved = Carved((samples(film.pictures),), gaps)
    fill(Memory(film.data), carved, [False], film.fillings, film.reference, 0, told.append)
    assert told == [film.pictures[0][0]]


@given(
    st.sampled_from(["frames", "two", "anything", "pcm", "open"]),
    st.lists(st.tuples(st.integers(0, 7_000), st.binary(min_size=1, max_size=400)), max_size=4),
    st.sets(st.integers(0, 29)),
)
def test_everything_is_sound_or_picture_or_lost(reference_track, kind, holes, missed):
    codecs = {
        "two": [AAC, OTHER],
        "anything": [Anything(b"\xa5", 16)],
        "pcm": [PcmFiller(SOWT)],
    }.get(kind, [AAC])
    film = Film(reference_track, *codecs, pcm=kind == "pcm")
    data = film.data
    for at, hole in holes:
        data = overwritten(data, at, hole[: len(data) - at] if at < len(data) else b"")
    kept = [row for n, row in enumerate(film.pictures) if n not in missed]
    filled = film.fill(data, kept, open_ended=kind == "open")
    parts = [row for found in (*filled.found, *filled.carved) for row in rows(found)]
    parts = sorted([(at, at + size) for at, size in parts] + [*map(tuple, filled.lost.tolist())])
    edges = [at for part in parts for at in part]
    skipped = kept[0][0] if kind == "open" and kept else 0
    gap_in_front = [at for at, _ in parts[:1]] != [0]
    assert not gap_in_front or skipped
    assert all(begin < end for begin, end in parts)
    assert edges[1:-1:2] == edges[2::2]
    assert edges[-1] == len(data)
