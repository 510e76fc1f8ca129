"""AAC and Apple Lossless: sound whose frames are rows of elements and do not say how long they are.

A frame begins with the 3-bit type of its first element and 4 bits that number it; it ends with the
type `111` and zeros up to the byte. A place with one pattern before it and the other behind it may
be a boundary. The decoder tells whether it is: it refuses a frame that is not whole, and gives a
frame as soon as it is, whatever follows. ISO/IEC 14496-3, 4.4.2.1 (raw_data_block) and 4.4.2.7.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import av
import numpy as np

from muxer.errors import Mp4Error
from muxer.salvage.codecs.esds import decoder_configuration
from muxer.salvage.codecs.scanner import Readable
from muxer.sample_table import Ints

_Name: TypeAlias = Literal["aac", "alac"]

_WINDOW = 1 << 18
_SEARCHED = 1 << 20
_LONGEST = {"aac": 768, "alac": 1 << 15}
"""Bytes a channel: AAC has at most 6144 bits, Apple Lossless at most what PCM would take."""
_BEGIN = 8
"""Bytes that tell whether a frame may begin."""
_TESTED = 16
_CHAIN = 5
"""Frames behind one another that are no coincidence."""


def _any_of(octets: Iterable[int]) -> bytes:
    return b"[%b]" % b"".join(re.escape(bytes([octet])) for octet in octets)


_BEHIND = 2
_ENDS = (
    _any_of(n for n in range(256) if n and (n // (n & -n)) & 7 == 7),
    _any_of(range(1, 256, 2)) + rb"\xc0",
    _any_of(range(3, 256, 4)) + rb"\x80",
)
"""The last bytes of a frame, at most two: `111` and up to seven zeros."""


class ElementFiller:
    """Divides raw AAC or Apple Lossless.

    `entry` is the sample entry of the reference's track, `samples` are some of its frames. What is
    known of the patterns is tried on them: where it does not hold (AAC-LD has no elements), the
    decoder alone finds the ends. Mp4Error where the decoder does not tell them either.
    """

    refuses = True

    def __init__(self, entry: bytes, samples: Sequence[bytes]) -> None:
        samples = [sample for sample in samples if len(sample) > 2]
        if not samples:
            raise Mp4Error(f"the reference has no sound in its {entry[4:8]!r} track to learn from")
        name, configuration = _decoder_of(entry)
        self._decoder = _Decoder(name, configuration)
        tested = samples[:: -(-len(samples) // _TESTED)]
        exact = [sample for sample in tested if self._decoder.ends(sample)]
        if len(exact) <= len(tested) // 2:
            raise Mp4Error(
                f"the {name} decoder does not tell where frames of the reference end: "
                "repairing this sound needs PyAV 18 or later and a codec that it decodes"
            )
        self._decoder.example = exact[0]
        self._longest = _LONGEST[name] * self._decoder.channels
        starts = set().union(*(_starts(name, sample) for sample in samples))
        firsts = _any_of({first for first, _ in starts})
        begin = firsts + rb"(?!\0{%d})(?:%%b)" % (_BEGIN - 1) % b"|".join(
            b"(?<=%b)%b" % (re.escape(bytes([first])), rest) for first, rest in sorted(starts)
        )
        self._begin = re.compile(begin, re.DOTALL)
        self._end = re.compile(_behind(b""), re.DOTALL)
        self._boundary = re.compile(begin + _behind(b"."), re.DOTALL)
        self._bits = (8 if name == "aac" else 16) - math.log2(len(starts))
        self._has_pattern = all(self._end.match(sample, len(sample)) for sample in samples)

    def begins(self, media: Readable, at: int) -> float:
        return self._bits if self._begin.match(media.read(at, _BEGIN)) is not None else 0.0

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        if not 0 < end - start <= _WINDOW:
            places = self.head(media, start, end)
            return places[:-1] if places[-1] == end else None
        block = media.read(start, end - start)
        begins = self._as_due(block, self._bounds(block), due)
        return start + np.array(begins) if begins and len(block) == end - start else None

    def _as_due(self, block: bytes, bounds: list[int], due: range) -> list[int]:
        """Where frames begin that fill a block exactly: at the bounds, if they are as due."""
        if len(due) == 1 and self._has_pattern:
            ends = self._begin.match(block) and self._end.match(block, len(block))
            if ends and len(bounds) == due[0]:
                return [0, *bounds[:-1]]
            if due[0] == 1 and self._decoder.ends(block):
                return [0]
        places = [0, *self._follow(block, bounds, 1)]
        return places[:-1] if places[-1] == len(block) else []

    def head(self, media: Readable, start: int, end: int) -> Ints:
        places = self._frames(media, start, end)
        # A frame that is cut may be whole with noise behind it, but then no frame follows.
        if end != places[-1] != start and not self._begin.match(media.read(places[-1], _BEGIN)):
            del places[-1]
        return np.array(places, np.int64)

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        places = [end]
        while (begin := self._begin_of_last(media, start, places[-1])) is not None:
            places.append(begin)
        self._decoder.renew()  # it may have been fed what was no sound
        return np.array(places[::-1], np.int64)

    def find(self, media: Readable, start: int, end: int) -> int:
        """By the patterns: `end` for sound that has none."""
        for low in range(start, end, _SEARCHED):
            before = min(low - start, _BEHIND)
            reach = min(low + _SEARCHED + _CHAIN * self._longest, end)
            block = media.read(low - before, reach - low + before)
            bounds = self._bounds(block)[:-1]
            for place in bounds[: bisect_left(bounds, before + _SEARCHED)]:
                if place >= before and self._chained(block, place, bounds):
                    return low - before + place
        return end

    def _chained(self, block: bytes, place: int, bounds: list[int]) -> bool:
        """Whether some frames follow one another from one of the bounds on."""
        for _ in range(_CHAIN):
            reach = slice(bisect_right(bounds, place), bisect_right(bounds, place + self._longest))
            ends = (end for end in bounds[reach] if self._decoder.ends(block[place:end]))
            behind = next(ends, None)
            if behind is None:
                self._decoder.renew()
                return False
            place = behind
        return True

    def _frames(self, media: Readable, start: int, end: int) -> list[int]:
        """Where frames begin that follow one another from `start` on, and where the last ends."""
        places, window, found = [start], 2 * self._longest, [0]
        while found and (here := places[-1]) < end:
            block = media.read(here, min(window, end - here))
            window = _WINDOW
            needed = 1 if here + len(block) >= min(end, media.size) else self._longest
            found = list(self._follow(block, self._bounds(block), needed))
            places += [here + place for place in found]
        return places

    def _follow(self, block: bytes, bounds: list[int], needed: int) -> Iterator[int]:
        """Where the frames end that follow one another in a block, while it has so many bytes."""
        at: int | None = 0
        while at is not None and len(block) - at >= needed:
            at = self._frame_end(block, at, bounds)
            if at is not None:
                yield at

    def _bounds(self, block: bytes) -> list[int]:
        """Where, by the patterns, a frame may end or begin; where `block` does in any case."""
        places = self._boundary.finditer(block) if self._has_pattern else ()
        return [*(place.start() for place in places), len(block)]

    def _frame_end(self, block: bytes, at: int, bounds: list[int]) -> int | None:
        """Where the frame ends that begins at `at`; None where none does."""
        refused, limit = at, min(at + self._longest, len(block))
        for index in range(bisect_right(bounds, at), len(bounds)):
            place = min(bounds[index], limit)
            if self._decoder.takes(block[at:place]):
                return self._shortest(block, at, refused, place)
            if place == limit:
                break
            refused = place
        self._decoder.renew()
        if self._decoder.takes(block[at:limit]):
            return self._shortest(block, at, at, limit)
        self._decoder.renew()
        return None

    def _shortest(self, block: bytes, at: int, refused: int, taken: int) -> int:
        """How far the decoder needs the frame: beyond `refused`, at most up to `taken`."""
        middle = taken - 1
        while refused < middle:
            if not self._decoder.takes(block[at:middle]):
                refused = middle
            else:
                taken = middle
            middle = (refused + taken) // 2
        return taken

    def _begin_of_last(self, media: Readable, start: int, end: int) -> int | None:
        """Where the frame begins that ends at `end`; None where none does.

        What is before it need not be sound, so that only what stands behind the place counts.
        """
        low = max(start, end - self._longest)
        block = media.read(low, end - low)
        if len(block) < end - low:
            return None
        places = [place.start() for place in self._begin.finditer(block)]
        exact = (low + place for place in reversed(places) if self._decoder.ends(block[place:]))
        return next(exact, None)


class _Decoder:
    """Tells whether bytes begin with a whole frame. `example` is one that it decodes."""

    def __init__(self, name: _Name, configuration: bytes) -> None:
        self._name, self._configuration = name, configuration
        self.example = b""
        self._open()

    def _open(self) -> None:
        self._context = av.CodecContext.create(self._name, "r")
        self._context.extradata = self._configuration

    def renew(self) -> None:
        """Forget what it was fed: noise may have changed its configuration for good.

        A new one takes ten times as long as seeing whether it still decodes what is sound.
        """
        if not self.ends(self.example):
            self._open()

    @property
    def channels(self) -> int:
        """Of the sound it has decoded."""
        return max(self._context.layout.nb_channels, 1)

    def takes(self, data: bytes) -> bool:
        try:
            return bool(self._context.decode(av.Packet(data)))
        except av.FFmpegError as error:
            # The first frame of a packet is decoded when it is sent: then it is a later one's.
            return error.filename == "avcodec_receive_frame()"

    def ends(self, frame: bytes) -> bool:
        """Whether a frame is all that these bytes are."""
        return self.takes(frame) and not self.takes(frame[:-1])


def _decoder_of(entry: bytes) -> tuple[_Name, bytes]:
    """FFmpeg's name of the decoder, and what it has to be told."""
    if entry[4:8] == b"alac":
        cookie = entry.find(b"alac", 8) - 4
        size = int.from_bytes(entry[max(cookie, 0) : cookie + 4])
        if cookie < 0 or not 36 <= size <= len(entry) - cookie:
            raise Mp4Error("the sample entry 'alac' comes without its magic cookie")
        return "alac", entry[cookie : cookie + size]
    kind, configuration = decoder_configuration(entry)
    if kind not in {0x40, 0x66, 0x67, 0x68}:
        raise Mp4Error(f"the sound in 'mp4a' is of object type {kind:#x}, expected AAC (0x40)")
    return "aac", configuration


def _behind(then: bytes) -> bytes:
    """A pattern for the place behind the end of a frame and `then`."""
    return b"(?:%b)" % b"|".join(b"(?<=%b%b)" % (end, then) for end in _ENDS)


def _starts(name: _Name, sample: bytes) -> set[tuple[int, bytes]]:
    """First bytes that frames like this one have, each with a pattern for what follows.

    Of Apple Lossless two bytes stay the same: its element has twelve unused bits. Of AAC the
    element does, and a bit that is always zero in the description of its windows (ics_info).
    """
    same = {(sample[0], rb"(?=%b)" % re.escape(sample[1:2]))}
    if name == "alac":
        return same
    alone, shared = sample[0] & 0xFE, sample[0] | 1
    match sample[0] >> 5:
        case 0 | 3:  # one channel: eight bits of gain come first
            zero = rb"(?=%b)" % _any_of(range(0, 256, 2))
            return {(alone, zero), (shared, zero)}
        case 1:  # a pair of channels: the gain comes first unless they share their windows
            return {(alone, rb"(?=.[\0-\x7f])"), (shared, rb"(?=[\0-\x7f])")}
    return same  # what stands before the sound: fill elements, data
