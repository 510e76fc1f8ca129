"""AAC and Apple Lossless are divided exactly where the encoder began each frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import StreamFormat
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.salvage.codecs.elements import ElementFiller
from muxer.sample_entries import coding

UNKNOWN = range(0)
NOISE = np.random.default_rng(4).bytes(50_000)


class Sound:
    """Frames one behind the other, and what divides them."""

    def __init__(self, codec, frames, configuration, learned=None):
        stream = StreamFormat(
            "audio", codec, 1, sample_rate=48_000, channels=2, extradata=configuration
        )
        self.entry = coding(stream).entry
        self.frames = frames
        self.data = b"".join(frames)
        self.begins = np.append(0, np.cumsum([len(frame) for frame in frames]))
        self.filler = ElementFiller(self.entry, learned or frames[:50])

    def between(self, first, last):
        return self.data[self.begins[first] : self.begins[last]]


@pytest.fixture(scope="module", params=["aac", "aac mono", "aac 5.1", "alac"])
def sound(request, encode_sound):
    codec, _, layout = request.param.partition(" ")
    return Sound(codec, *encode_sound(codec, layout=layout or "stereo"))


def due(count):
    return range(count, count + 1)


def head(sound, data):
    return sound.filler.head(Memory(data), 0, len(data)).tolist()


def tail(sound, data):
    return sound.filler.tail(Memory(data), 0, len(data)).tolist()


@pytest.mark.parametrize("hint", ["right", "wrong", "none"])
def test_all_sound_at_once_is_divided_where_its_frames_begin(sound, hint):
    count = len(sound.frames)
    hints = {"right": due(count), "wrong": due(count - 3), "none": UNKNOWN}
    found = sound.filler.divide(Memory(sound.data), 0, len(sound.data), hints[hint])
    assert found.tolist() == sound.begins[:-1].tolist()


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("known", [True, False])
def test_so_are_gaps_of_a_few_frames(sound, frames, known):
    media = Memory(sound.data)
    for first in range(0, len(sound.frames) - frames, frames):
        start, end = sound.begins[[first, first + frames]].tolist()
        found = sound.filler.divide(media, start, end, due(frames) if known else UNKNOWN)
        assert found.tolist() == sound.begins[first : first + frames].tolist()


def test_what_is_no_whole_frames_is_not_divided(sound):
    data = sound.between(4, 8)
    for broken in (data[:-1], data[1:], data + b"\0", data[:-300] + bytes(300)):
        assert sound.filler.divide(Memory(broken), 0, len(broken), due(4)) is None


def test_nothing_is_no_frames(sound):
    assert sound.filler.divide(Memory(b""), 0, 0, UNKNOWN).tolist() == []
    assert head(sound, b"") == [0]


@pytest.mark.parametrize("damage", [bytes(500), np.random.default_rng(3).bytes(500)])
def test_frames_before_a_damage_are_found(sound, damage):
    whole = sound.between(5, 9)
    cut = sound.frames[9][: len(sound.frames[9]) // 2]
    assert head(sound, whole + cut + damage) == (sound.begins[5:10] - sound.begins[5]).tolist()


@pytest.mark.parametrize("damage", [bytes(500), np.random.default_rng(3).bytes(500)])
def test_frames_behind_a_damage_are_found_from_their_end(sound, damage):
    rest = damage + sound.frames[8][len(sound.frames[8]) // 2 :]
    found = tail(sound, rest + sound.between(9, 14))
    assert found == (sound.begins[9:15] - sound.begins[9] + len(rest)).tolist()


def test_frames_are_found_back_to_the_start(sound):
    assert tail(sound, sound.data) == sound.begins.tolist()


def test_so_is_the_first_one_behind_a_picture(sound):
    """Whatever stands before it, and whatever looks like a begin inside of a frame."""
    rng = np.random.default_rng(5)
    for first in range(1, len(sound.frames) - 2):
        picture = rng.bytes(1500) + bytes([int(rng.integers(0, 256)) & 0xFE or 2])
        found = tail(sound, picture + sound.between(first, first + 2))
        edges = sound.begins[first : first + 3] - sound.begins[first] + len(picture)
        assert found == edges.tolist()


@pytest.mark.parametrize("damage", [bytes(70_000), np.random.default_rng(3).bytes(70_000)])
@pytest.mark.parametrize("cut", [0, 0.5])
def test_sound_behind_a_damage_is_found(sound, damage, cut):
    rest = sound.frames[8][int(cut * len(sound.frames[8])) :]
    data = damage + rest + sound.between(9, 23)
    behind = len(damage) + len(rest)
    assert sound.filler.find(Memory(data), 0, len(data)) in {behind, behind + len(sound.frames[9])}
    assert sound.filler.find(Memory(data), behind - 1, len(data)) >= behind - 1


def test_what_is_no_sound_is_not_found(sound):
    for data in (b"", bytes(50_000), NOISE, NOISE + sound.between(5, 8) + NOISE):
        assert sound.filler.find(Memory(data), 0, len(data)) == len(data)


def test_sound_is_found_where_blocks_of_the_search_meet(sound):
    begin = len(sound.frames[8])
    for before in ((1 << 20) - begin, (1 << 20) - begin - 1, (1 << 20) - begin - 700):
        data = bytes(before) + sound.between(8, 20)
        assert sound.filler.find(Memory(data), 0, len(data)) == before + begin


def test_frames_are_recognised_by_their_first_bits_and_few_other_places_are(sound):
    media = Memory(sound.data)
    assert min(sound.filler.begins(media, at) for at in sound.begins[:-1].tolist()) >= 5
    anywhere = [sound.filler.begins(media, at) > 0 for at in range(5000)]
    assert sum(anywhere) < 250
    assert sound.filler.begins(media, len(sound.data)) == 0


def test_frames_that_follow_no_pattern_are_divided_by_the_decoder_alone(encode_sound):
    frames, configuration = encode_sound("aac")
    unlike = [*frames[20:40], frames[20] + b"\x01"]  # its end is none of a frame
    sound = Sound("aac", frames[20:60], configuration, unlike)
    found = sound.filler.divide(Memory(sound.data), 0, len(sound.data), UNKNOWN)
    assert found.tolist() == sound.begins[:-1].tolist()
    assert tail(sound, sound.between(0, 6)) == sound.begins[:7].tolist()
    assert sound.filler.find(Memory(sound.data), 0, len(sound.data)) == len(sound.data)


def test_a_reference_whose_frames_do_not_decode_is_refused(sound):
    with pytest.raises(Mp4Error, match="PyAV 18"):
        ElementFiller(sound.entry, [b"\x21" * 300])
    with pytest.raises(Mp4Error, match="to learn from"):
        ElementFiller(sound.entry, [])


def test_other_sound_in_mp4a_is_refused(encode_sound):
    frames, configuration = encode_sound("aac", seconds=0.2)
    entry = Sound("aac", frames, configuration).entry
    mp3 = entry.replace(b"\x40\x15", b"\x6b\x15")
    with pytest.raises(Mp4Error, match="0x6b"):
        ElementFiller(mp3, frames)
    with pytest.raises(Mp4Error, match="esds"):
        ElementFiller(entry[:40], frames)


@given(st.data())
def test_no_bytes_make_it_fail(sound, data):
    start = data.draw(st.integers(0, len(sound.data)))
    piece = bytearray(sound.data[start : start + data.draw(st.integers(0, 2000))])
    for _ in range(data.draw(st.integers(0, 4))):
        piece[data.draw(st.integers(0, len(piece))) :][:1] = data.draw(st.binary(max_size=20))
    media, end = Memory(bytes(piece)), len(piece) + data.draw(st.integers(-2, 2))
    end = max(end, 0)
    sound.filler.begins(media, data.draw(st.integers(0, end)))
    places = sound.filler.head(media, 0, end)
    assert places[0] == 0
    assert (np.diff(places) > 0).all()
    assert places[-1] <= len(piece)
    assert sound.filler.tail(media, 0, end)[-1] == end
    assert 0 <= sound.filler.find(media, 0, end) <= end
    found = sound.filler.divide(media, 0, end, range(data.draw(st.integers(0, 3)), 3))
    if found is not None:
        assert places.tolist() == [*found.tolist(), end]
