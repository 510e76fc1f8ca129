"""What comes from the sources, sorted into the pieces that become the fragments of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from camm import Packet, PacketType, Samples, StreamFormat, empty_values

_SHORTEST_NS = 500_000_000
_LONGEST_NS = 1_000_000_000
_DEADLINE_NS = 2_000_000_000
_PRIMING_NS = 100_000_000
"""Sound from so long before the first picture may be what a decoder has to begin with."""
_KEPT_NS = 10_000_000_000
"""By so much a camera's first picture may come later than it was taken: encoders look ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Everything from one cut to the next.

    `start_ns`, `cut_ns`  where it begins and ends: no sample, no picture's shutter in it is later
    `packets`  of each stream, in decoding order
    `samples`  a block of each kind, in the order of kinds
    """

    start_ns: int
    cut_ns: int
    packets: Sequence[Sequence[Packet]]
    samples: Sequence[Samples]

    @property
    def zero_ns(self) -> int | None:
        """Where a clip that begins with this piece has its time zero: with its first picture.

        None where a clip cannot begin: nobody could decode a picture before a key frame.
        """
        if not self.packets:
            return self.start_ns
        pictures = self.packets[0]
        return pictures[0].pts_ns if pictures and pictures[0].keyframe else None


class Assembly:
    """Takes packets and sample blocks as they come and gives them back in pieces.

    Times are CLOCK_MONOTONIC nanoseconds. `zero_ns` is the presentation time of the first video
    frame (`start_ns` where there is no video).

    A piece ends at a key frame, at least half a second after that with which it began, or after one
    second wherever that is. It is due once every live source has said that nothing earlier will
    follow, or two seconds later if one of them hangs; samples that come still later are counted in
    `late` and given up, for presentation times never run backwards.
    """

    def __init__(
        self,
        formats: Sequence[StreamFormat],
        *,
        sources: Iterable[str] = (),
        start_ns: int | None = None,
    ) -> None:
        self.zero_ns = start_ns if not formats else None
        self.late: Counter[PacketType] = Counter()
        self._pending: list[list[Packet]] = [[] for _ in formats]
        self._samples: list[Samples] = []
        self._exposed: list[Packet] = []  # pictures whose shutter is not among the samples yet
        self._complete: dict[str, int | None] = dict.fromkeys(sources)
        self._filming = bool(formats)
        self._cuts: list[tuple[int, int]] = []  # (time, number of the picture behind it)
        self._last_cut_ns = 0
        self._begins_with_key = True  # the piece in the making
        self._wanted_cut_ns: int | None = None
        self._given = 0  # pictures
        self._given_until_ns: int | None = None
        self._end_ns: int | None = None

    def add_packets(self, packets: Sequence[Packet]) -> None:
        """Encoded pictures and audio, each stream in its decoding order."""
        for packet in packets:
            if self._end_ns is not None and packet.dts_ns >= self._end_ns:
                continue
            if packet.stream >= len(self._pending):
                continue  # sound that goes on while the camera is away
            if packet.stream == 0:
                if self.zero_ns is None and not packet.keyframe:
                    continue  # nobody could decode it
                self._add_picture(packet)
            self._pending[packet.stream].append(packet)
            if packet.stream and self.zero_ns is None:
                self._forget_sound_before(packet.pts_ns - _KEPT_NS)

    def _add_picture(self, packet: Packet) -> None:
        if self.zero_ns is None:
            self.zero_ns = self._last_cut_ns = packet.pts_ns
        at = _shutter_ns(packet)
        length = at - self._last_cut_ns
        wanted = self._wanted_cut_ns is not None and at >= self._wanted_cut_ns
        whole = length >= _SHORTEST_NS or not self._begins_with_key
        if wanted or length >= _LONGEST_NS or (packet.keyframe and whole and length > 0):
            self._cuts.append((at, self._pictures))
            self._last_cut_ns = at
            self._begins_with_key = packet.keyframe
            if wanted:
                self._wanted_cut_ns = None
        if packet.exposure_start_ns is not None:
            self._exposed.append(packet)

    def add_samples(
        self, source: str, blocks: Sequence[Samples], complete_until_ns: int | None
    ) -> None:
        """Measurements of one source, which says up to when it has now told everything.

        A source counts as live from its first word (or from the start, if it was announced) until
        it says None: nothing will follow.
        """
        self._samples.extend(block for block in blocks if len(block))
        if self._given_until_ns is None:
            self._forget_what_is_long_past()
        if complete_until_ns is None:
            self._complete.pop(source, None)
        else:
            self._complete[source] = complete_until_ns

    def cut_at(self, t_ns: int) -> None:
        """Have a piece end with the last picture before a moment, which is not long ago."""
        self._wanted_cut_ns = t_ns

    def end_at(self, end_ns: int) -> None:
        """Say when everything is to end: pictures and cuts behind that are not wanted."""
        self._end_ns = end_ns
        self._cuts = [cut for cut in self._cuts if cut[0] < end_ns]
        self._drop_from(end_ns)

    def end_video(self) -> None:
        """Say that no packets will follow: from now on the clock alone cuts pieces."""
        self._filming = False

    def take_due(self, now_ns: int) -> list[Piece]:
        """Every piece that is due at `now_ns`."""
        # A camera that hangs is given as long as any other source, then the clock takes over.
        self._cut_by_clock(now_ns - _DEADLINE_NS if self._filming else now_ns)
        due = []
        while self._cuts:
            cut_ns, picture = self._cuts[0]
            complete = all(
                until is not None and until >= cut_ns for until in self._complete.values()
            )
            if not complete and now_ns < cut_ns + _DEADLINE_NS:
                break
            due.append(self._take(cut_ns, picture))
            del self._cuts[0]
        return due

    def take_rest(self, end_ns: int) -> list[Piece]:
        """All that is left from before `end_ns`.

        Tell `end_at` before, as soon as the end is known: what is given away stays so.
        """
        self.end_at(end_ns)
        rest = [self._take(*cut) for cut in [*self._cuts, (end_ns, self._pictures)]]
        self._cuts = []
        return rest

    def _cut_by_clock(self, now_ns: int) -> None:
        if self.zero_ns is not None:
            self._last_cut_ns = max(self._last_cut_ns, self.zero_ns)
            last_ns = now_ns if self._end_ns is None else min(now_ns, self._end_ns - 1)
            if self._wanted_cut_ns is not None and last_ns >= self._wanted_cut_ns:
                if self._wanted_cut_ns > self._last_cut_ns:
                    self._cut_between_pictures(self._wanted_cut_ns)
                self._wanted_cut_ns = None
            while last_ns >= self._last_cut_ns + _LONGEST_NS:
                self._cut_between_pictures(self._last_cut_ns + _LONGEST_NS)

    def _cut_between_pictures(self, cut_ns: int) -> None:
        self._cuts.append((cut_ns, self._pictures))
        self._last_cut_ns = cut_ns
        self._begins_with_key = False

    def _forget_what_is_long_past(self) -> None:
        """Before the first frame samples come and go; the last of them are needed for time zero."""
        newest_ns = max((int(block.t_ns[-1]) for block in self._samples), default=0)
        start_ns = newest_ns if self.zero_ns is None else min(newest_ns, self.zero_ns)
        horizon_ns = start_ns - _KEPT_NS
        self._samples = [block for block in self._samples if block.t_ns[-1] >= horizon_ns]

    def _forget_sound_before(self, t_ns: int) -> None:
        """What comes before the first picture nobody will hear."""
        for pending in self._pending[1:]:
            early = next((n for n, p in enumerate(pending) if p.pts_ns >= t_ns), len(pending))
            del pending[:early]

    @property
    def _pictures(self) -> int:
        """How many have come."""
        return self._given + len(self._pending[0]) if self._pending else 0

    def _drop_from(self, end_ns: int) -> None:
        """Forget what is due after the end, and what the dropped pictures said of their shutter."""
        shutter_ns = end_ns
        for stream, pending in enumerate(self._pending):
            for packet in pending:
                if packet.dts_ns >= end_ns and packet.exposure_start_ns is not None:
                    shutter_ns = min(shutter_ns, packet.exposure_start_ns)
            self._pending[stream] = [packet for packet in pending if packet.dts_ns < end_ns]
        self._sample_exposures()
        self._samples = [
            block[block.t_ns < shutter_ns] if block.kind is PacketType.EXPOSURE else block
            for block in self._samples
        ]

    def _take(self, cut_ns: int, picture: int) -> Piece:
        """All before `cut_ns`, of the video the pictures before number `picture`."""
        if self._given_until_ns is None and self.zero_ns is not None:
            self._forget_sound_before(self.zero_ns - _PRIMING_NS)
        packets = []
        for stream, pending in enumerate(self._pending):
            count = picture - self._given
            if stream:
                count = sum(packet.dts_ns < cut_ns for packet in pending)
            packets.append(pending[:count])
            self._pending[stream] = pending[count:]
        self._given = max(self._given, picture)
        samples = self._take_samples(cut_ns)
        if self._given_until_ns is not None:
            samples = self._without_late(samples, self._given_until_ns)
        start_ns = self._given_until_ns or self.zero_ns or cut_ns
        if self._pending or samples:
            self._given_until_ns = cut_ns
        return Piece(start_ns, cut_ns, packets, samples)

    def _take_samples(self, cut_ns: int) -> list[Samples]:
        self._sample_exposures()
        came: dict[PacketType, list[Samples]] = {}
        for block in self._samples:
            came.setdefault(block.kind, []).append(block)
        due, left = [], []
        for kind in sorted(came):
            samples = Samples.concatenate(kind, came[kind])
            early = samples.t_ns < cut_ns
            due.append(samples[early])
            left.append(samples[~early])
        self._samples = [samples for samples in left if len(samples)]
        return [samples for samples in due if len(samples)]

    def _sample_exposures(self) -> None:
        """Put what pictures have told of their shutter among the samples, as one block."""
        told, self._exposed = self._exposed, []
        if told:
            exposure = empty_values(PacketType.EXPOSURE, len(told))
            exposure["pixel_exposure_time"] = [packet.exposure_ns for packet in told]
            exposure["rolling_shutter_skew_time"] = [packet.skew_ns for packet in told]
            t_ns = np.array([packet.exposure_start_ns for packet in told], np.int64)
            self._samples.append(Samples(PacketType.EXPOSURE, t_ns, exposure))

    def _without_late(self, blocks: Sequence[Samples], given_until_ns: int) -> list[Samples]:
        kept = []
        for block in blocks:
            in_time = block.t_ns >= given_until_ns
            self.late[block.kind] += len(block) - int(in_time.sum())
            kept.append(block[in_time])
        return [block for block in kept if len(block)]


def _shutter_ns(picture: Packet) -> int:
    """A moment before which nothing is said of this picture or of those that follow it.

    Nothing that comes after it is shown before it is decoded, and the exposure that is told of a
    picture began before it is shown.
    """
    if picture.exposure_start_ns is None:
        return picture.dts_ns
    return picture.dts_ns - (picture.pts_ns - picture.exposure_start_ns)
