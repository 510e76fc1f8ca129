"""Samples of delimited codecs are found wherever they lie, and nothing else is taken for one."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.file_boxes import Memory
from muxer.salvage.carve import Carver
from muxer.salvage.codecs.h264 import h264_scanner
from muxer.salvage.codecs.scanner import plain_run

FRAME = 16
"""Bytes of a frame of the sound: all begin with 0xA5."""


class Counted(Memory):
    """Counts the bytes that are read."""

    def __init__(self, data):
        super().__init__(data)
        self.bytes_read = 0

    def read(self, offset, length):
        found = super().read(offset, length)
        self.bytes_read += len(found)
        return found


class Letters:
    """Samples that are a zero, a letter, their length in two bytes, and a body."""

    wrap = 0

    def __init__(self, letter, bits=24.0):
        self._head = b"\0" + letter
        self._bits = bits
        self.signature = re.compile(re.escape(self._head), re.DOTALL)

    def run(self, media, at, most):
        start, sizes = at, []
        while len(sizes) < most:
            head = media.read(at, 4)
            size = 4 + int.from_bytes(head[2:])
            if len(head) < 4 or head[:2] != self._head or at + size > media.size:
                break
            sizes.append(size)
            at += size
        return plain_run(start, sizes, self._bits * len(sizes))


class Sound:
    """Frames of a fixed size, the first byte of which is always the same."""

    refuses = True

    def begins(self, media, at):
        return 8.0 if media.read(at, 1) == b"\xa5" else 0.0

    def divide(self, media, start, end, due):
        starts = np.arange(start, end, FRAME)
        whole = (end - start) % FRAME == 0 and all(self.begins(media, at) for at in starts.tolist())
        return starts if whole else None


def letter(name, body):
    return b"\0" + name + len(body).to_bytes(2) + body


def noise(length, seed=0):
    """Without the bytes that mean anything to these codecs."""
    octets = np.random.default_rng(seed).integers(128, 256, length)
    return octets.astype(np.uint8).tobytes().replace(b"\xa5", b"\xa6")


def sound(frames, seed=0):
    return b"".join(b"\xa5" + noise(FRAME - 1, seed + n) for n in range(frames))


def carve(data, *scanners, fillers=(), start=0, end=None, media=None):
    media = media or Memory(data)
    stop = len(data) if end is None else end
    return Carver(media, scanners, fillers, start, stop).carve(lambda _: None)


def places(samples):
    return [*zip(samples.offset.tolist(), samples.size.tolist(), strict=True)]


def laid_out(*parts):
    """The parts one behind the other, and the begin and size of each."""
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return b"".join(parts), [
        (end - len(part), len(part)) for end, part in zip(ends, parts, strict=True)
    ]


def assert_tiled(carved, start, end):
    """Samples and gaps lie one behind the other from start to end and nowhere twice."""
    ranges = [(at, at + size) for samples in carved.found for at, size in places(samples)]
    ranges = sorted(ranges + [tuple(gap) for gap in carved.gaps.tolist()])
    for begin, behind in ranges:
        assert begin < behind
    edges = [start, *(behind for _, behind in ranges)]
    assert [begin for begin, _ in ranges] == edges[:-1]
    assert edges[-1] == end


def test_samples_that_follow_one_another_are_found():
    data, there = laid_out(*(letter(b"S", noise(30 * n, n)) for n in range(1, 20)))
    carved = carve(data, Letters(b"S"))
    assert places(carved.found[0]) == there
    assert not len(carved.gaps)


def test_samples_of_two_codecs_take_turns():
    parts = [letter(b"ST"[n % 2 : n % 2 + 1], noise(50, n)) for n in range(20)]
    data, there = laid_out(*parts)
    carved = carve(data, Letters(b"S"), Letters(b"T"))
    assert places(carved.found[0]) == there[::2]
    assert places(carved.found[1]) == there[1::2]


def test_sound_between_samples_is_a_gap():
    parts = [letter(b"S", noise(90, n)) if n % 2 == 0 else sound(5, n) for n in range(15)]
    data, there = laid_out(*parts)
    carved = carve(data, Letters(b"S"), fillers=[Sound()])
    assert places(carved.found[0]) == there[::2]
    assert carved.gaps.tolist() == [[at, at + size] for at, size in there[1::2]]


@pytest.mark.parametrize(
    "damage", [noise(3_000, 99), bytes(3_000), bytes(1)], ids=["noise", "zeros", "one byte"]
)
def test_damage_between_samples_is_a_gap(damage):
    before = [letter(b"S", noise(90, n)) for n in range(5)]
    data, there = laid_out(*before, damage, *before)
    carved = carve(data, Letters(b"S"))
    assert places(carved.found[0]) == there[:5] + there[6:]
    assert carved.gaps.tolist() == [[there[5][0], there[6][0]]]


def test_a_sample_whose_end_is_overwritten_is_none():
    parts = [letter(b"S", noise(90, n)) for n in range(12)]
    data, there = laid_out(*parts)
    (begin, _), (behind, _) = there[5], there[7]
    data = data[: begin + 40] + bytes(behind - begin - 60) + data[behind - 20 :]
    carved = carve(data, Letters(b"S"), fillers=[Sound()])
    assert set(there[:5] + there[7:]) <= set(places(carved.found[0]))
    assert len(carved.found[0]) <= 11  # whether what it breaks off in was whole, nobody knows


def test_only_the_range_is_carved():
    data, there = laid_out(*(letter(b"S", noise(90, n)) for n in range(10)))
    start, end = there[3][0], there[7][0]
    carved = carve(data, Letters(b"S"), start=start, end=end, media=Memory(data[:end]))
    assert places(carved.found[0]) == there[3:7]


def test_nothing_holds_nothing():
    carved = carve(b"", Letters(b"S"))
    assert not len(carved.found[0])
    assert not len(carved.gaps)


def test_media_without_any_sample_are_one_gap():
    carved = carve(noise(20_000), Letters(b"S"), fillers=[Sound()])
    assert not len(carved.found[0])
    assert carved.gaps.tolist() == [[0, 20_000]]


def test_what_looks_like_a_sample_inside_of_sound_is_none():
    false = b"\xa5" + noise(5) + letter(b"S", b"\xb0" * 5) + noise(1)
    assert len(false) == FRAME
    parts = []
    for n in range(10):
        parts += [letter(b"S", noise(200, n)), sound(4, n) + false + sound(4, n + 1)]
    data, there = laid_out(*parts)
    carved = carve(data, Letters(b"S", 21.0), fillers=[Sound()])
    assert places(carved.found[0]) == there[::2]


def test_a_sample_that_the_end_of_the_file_cuts_is_none():
    data, there = laid_out(*(letter(b"S", noise(90, n)) for n in range(6)))
    carved = carve(data[:-1], Letters(b"S"), fillers=[Sound()])
    assert places(carved.found[0]) == there[:-1]
    assert carved.gaps.tolist() == [[there[-1][0], len(data) - 1]]


@pytest.mark.parametrize("stronger", [0, 1])
def test_of_two_codecs_at_one_place_the_one_with_more_evidence_has_it(stronger):
    data, there = laid_out(*(letter(b"S", noise(60, n)) for n in range(9)))
    bits = [18.0, 18.0]
    bits[stronger] = 30.0
    carved = carve(data, *(Letters(b"S", much) for much in bits))
    assert places(carved.found[stronger]) == there
    assert not len(carved.found[1 - stronger])


def test_a_weak_codec_does_not_take_the_first_sample_of_another():
    """A type of sample whose length happens to reach over the next of another codec."""
    strong, weak = Letters(b"T", 40.0), Letters(b"S", 9.0)
    parts = [letter(b"T", noise(60, n)) for n in range(6)]
    data, there = laid_out(letter(b"S", b""), *parts)
    carved = carve(data, weak, strong)
    assert places(carved.found[1]) == there[1:]


@pytest.mark.parametrize(
    "damage",
    [bytes, noise, lambda n: sound(64) * (n // 64 // FRAME)],
    ids=["zeros", "noise", "sound"],
)
def test_no_byte_is_read_many_times(damage):
    """However long the damage is: a walk that looked ahead anew from each place would never end."""
    samples = b"".join(letter(b"S", noise(90, n)) for n in range(10))
    cost = []
    for length in (1 << 18, 1 << 20):
        data = samples + damage(length) + samples
        media = Counted(data)
        carved = carve(data, Letters(b"S"), fillers=[Sound()], media=media)
        assert len(carved.found[0]) == 20
        cost.append(media.bytes_read / len(data))
    assert cost[1] < 3
    assert cost[1] < 1.5 * cost[0]


def test_lures_cost_no_more_than_a_look_each():
    """Begins of samples all over the damage, of which none holds what it says."""
    samples = b"".join(letter(b"S", noise(90, n)) for n in range(10))
    lure = letter(b"S", b"")[:3] + b"\x40" + noise(28)
    cost = []
    for count in (1_000, 4_000):
        media = Counted(samples + lure * count + samples)
        carved = carve(media.read(0, media.size), Letters(b"S", 8.0), media=media)
        assert_tiled(carved, 0, media.size)
        cost.append(media.bytes_read / media.size)
    assert cost[1] < 1.5 * cost[0]


def test_whoever_watches_is_told_how_far_it_has_come():
    data = b"".join(letter(b"S", noise(90, n)) + noise(200, n) for n in range(20))
    told = []
    Carver(Memory(data), [Letters(b"S")], [], 0, len(data)).carve(told.append)
    assert {294 * n + 94 for n in range(20)} <= {*told}
    assert told[-1] >= len(data)


# Pictures of H.264, made by hand


def ue(number):
    """Exp-Golomb code (ITU-T H.264, 9.1) as a string of bits."""
    code = f"{number + 1:b}"
    return "0" * (len(code) - 1) + code


def unit(kind, bits, body=b""):
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    return bytes([kind]) + int(bits, 2).to_bytes(len(bits) // 8) + body


SPS = unit(
    0x67,
    f"{66:08b}{0:08b}{30:08b}{ue(0)}{ue(0)}{ue(2)}{ue(1)}0{ue(19)}{ue(14)}1110",
)
PPS = unit(0x68, f"{ue(0)}{ue(0)}00{ue(0)}{ue(0)}{ue(0)}000{ue(0)}{ue(0)}{ue(0)}000")


def avcc():
    return b"".join(
        [
            bytes([1, 66, 0, 30, 0xFF, 0xE1]),
            len(SPS).to_bytes(2),
            SPS,
            b"\1",
            len(PPS).to_bytes(2),
            PPS,
        ]
    )


def slice_of(number, first=0, *, key=False, size=100):
    """Of the picture with this number; `first` is its first macroblock."""
    kind, told = (0x65, ue(7)) if key else (0x41, ue(5))
    head = f"{ue(first)}{told}{ue(0)}{number % 16:04b}{ue(0) if key else ''}"
    whole = unit(kind, head, noise(size, 1_000 + number))
    return len(whole).to_bytes(4) + whole


def picture(number, slices=1, period=8):
    key = number % period == 0
    parts = [slice_of(number % period, 75 * n, key=key, size=60 + number) for n in range(slices)]
    return b"".join(parts)


@pytest.mark.parametrize("slices", [1, 4])
def test_pictures_are_found_whole_whatever_they_are_cut_into(slices):
    data, there = laid_out(*(picture(n, slices) for n in range(24)))
    (found,) = carve(data, h264_scanner(avcc())).found
    assert places(found) == there
    assert found.keyframe.tolist() == [n % 8 == 0 for n in range(24)]
    assert found.order.tolist() == [2 * (n % 8) for n in range(24)]
    assert found.fresh.tolist() == found.keyframe.tolist()


@pytest.mark.parametrize("slices", [1, 4])
def test_pictures_between_sound_are_found(slices):
    parts = [picture(n // 2, slices) if n % 2 == 0 else sound(6, n) for n in range(48)]
    data, there = laid_out(*parts)
    carved = carve(data, h264_scanner(avcc()), fillers=[Sound()])
    assert places(carved.found[0]) == there[::2]
    assert carved.gaps.tolist() == [[at, at + size] for at, size in there[1::2]]


@pytest.mark.parametrize("damage", [noise(5_000, 7), bytes(5_000)], ids=["noise", "zeros"])
def test_pictures_behind_damage_are_found(damage):
    pictures = [picture(n) for n in range(24)]
    data, there = laid_out(*pictures[:11], damage, *pictures[13:])
    carved = carve(data, h264_scanner(avcc()), fillers=[Sound()])
    assert places(carved.found[0]) == there[:11] + there[12:]
    assert carved.gaps.tolist() == [[there[11][0], there[12][0]]]


def test_what_is_left_of_a_slice_swallows_no_pictures():
    """A length of 0x41 before the header 0x41 looks like a length of 0x4141 one byte on."""
    left = slice_of(3, 219, size=60)
    assert left.startswith(b"\0\0\0\x41\x41\x01")
    pictures = [picture(n) for n in range(150)]
    data, there = laid_out(*pictures[:11], bytes(4_000), left, *pictures[13:])
    assert len(data) - there[12][0] > 0x4141
    carved = carve(data, h264_scanner(avcc()))
    assert places(carved.found[0]) == there[:11] + there[13:]


def test_a_picture_that_the_end_of_the_file_cuts_is_none():
    data, there = laid_out(*(picture(n, slices=3) for n in range(10)))
    for cut in (1, 80, there[-1][1] - 5):
        carved = carve(data[:-cut], h264_scanner(avcc()), fillers=[Sound()])
        assert places(carved.found[0]) == there[:-1]


# Whatever the bytes are

PIECES = st.one_of(
    st.binary(max_size=60),
    st.integers(1, 2_000).map(bytes),
    st.builds(noise, st.integers(1, 300), st.integers(0, 9)),
    st.builds(sound, st.integers(1, 6), st.integers(0, 9)),
    st.builds(lambda size, name: letter(name, noise(size)), st.integers(0, 200), st.just(b"S")),
    st.builds(letter, st.just(b"T"), st.binary(max_size=50)),
    st.builds(picture, st.integers(0, 20), st.integers(1, 3)),
    st.sampled_from([b"\0S", b"\0T\0", b"\0\0\0\x20\x41", b"\0\0\0\2\x09\xf0"]),
)


@given(st.lists(PIECES, max_size=12), st.integers(0, 50), st.booleans(), st.booleans())
def test_samples_and_gaps_tile_whatever_there_is(pieces, skipped, with_sound, telling):
    data = b"".join(pieces)
    start = min(skipped, len(data))
    scanners = [h264_scanner(avcc()), Letters(b"S"), Letters(b"T", 11.0)]
    fillers = [Sound()] if with_sound else []
    gaps = np.array([FRAME, 5 * FRAME]) if not telling else np.empty(0, np.int64)
    carver = Carver(Memory(data), scanners, fillers, start, len(data), telling, gaps)
    carved = carver.carve(lambda _: None)
    assert_tiled(carved, start, len(data))
