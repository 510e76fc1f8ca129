"""Clip after clip of what the sources deliver all the time: when to begin one, when to end it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from camm import Packet, PacketType, Samples, StreamFormat
from muxer.assembly import Assembly, Piece
from muxer.clip_writer import ClipWriter, RecordingStatistics

_LONGEST_GROUP_NS = 30_000_000_000
"""Key frames are not further apart, or what is before the last of them is not held."""


class Clips(Protocol):
    """Where the clips of a reel go."""

    def begin(self, zero_ns: int) -> ClipWriter:
        """A new clip with its movie time zero. OSError where there is no room."""
        ...

    def end(self, clip: ClipWriter, statistics: RecordingStatistics, end_ns: int) -> None:
        """Finalise a clip: everything that was recorded before `end_ns` is in it."""
        ...

    def fail(self, clip: ClipWriter | None, error: OSError) -> None:
        """A clip can take no more (None: could not be begun). What is in it can be read."""
        ...


class Reel:
    """Takes packets and sample blocks as they come (see `Assembly`) and cuts clips out of them.

    While nothing is recorded it holds the last pieces. A clip begins at the last key frame that is
    `pre_roll_ns` or more before the moment it is asked for; even without any pre-roll the piece
    before that moment is in it, so that there is something in the file at once. A clip that has
    grown to `longest_ns` or `largest` bytes is followed by another at the next key frame: what was
    measured before that picture is in the one, all else in the other.

    Limits may be changed at any time. When the disk fails, recording halts until `resume`; pictures
    that no clip could take are counted in `missed`. All methods belong to one thread, which also
    waits for the disk.
    """

    def __init__(
        self,
        formats: Sequence[StreamFormat],
        clips: Clips,
        *,
        sources: Iterable[str] = (),
        start_ns: int | None = None,
        pre_roll_ns: int = 0,
        longest_ns: int | None = None,
        largest: int | None = None,
    ) -> None:
        self._assembly = Assembly(formats, sources=sources, start_ns=start_ns)
        self._clips = clips
        self.pre_roll_ns = pre_roll_ns
        self.longest_ns = longest_ns
        self.largest = largest
        self._held: deque[Piece] = deque()
        self._before: Sequence[Samples] = ()  # the last samples before what is held
        self._clip: ClipWriter | None = None
        self._late_before: Counter[PacketType] = Counter()
        self._written_until_ns = 0
        self._until_ns: int | None = None
        self.wanted = False
        self.halted = False
        self.missed = 0

    def add_packets(self, packets: Sequence[Packet]) -> None:
        """As `Assembly.add_packets`."""
        self._assembly.add_packets(packets)

    def add_samples(
        self, source: str, blocks: Sequence[Samples], complete_until_ns: int | None
    ) -> None:
        """As `Assembly.add_samples`."""
        self._assembly.add_samples(source, blocks, complete_until_ns)

    def end_video(self) -> None:
        """As `Assembly.end_video`."""
        self._assembly.end_video()

    def start(self, at_ns: int) -> None:
        """Record from `pre_roll_ns` before a moment on."""
        if not self.wanted:
            self._forget_before(at_ns - self.pre_roll_ns)
            while self._held and self._held[0].zero_ns is None:
                self._pass_on()
        self.wanted, self._until_ns = True, None

    def stop(self, at_ns: int) -> None:
        """Record up to a moment."""
        if self.halted:
            self.wanted, self._until_ns = False, None
        elif self.wanted:
            self._until_ns = at_ns
            self._assembly.cut_at(at_ns)

    def halt(self) -> None:
        """End the clip where it is, as when there is no more room; `resume` goes on."""
        if self.wanted:
            self.halted = True
            if self._clip is not None:
                self._end(self._written_until_ns)

    def resume(self) -> None:
        """Go on after `halt`, or after the disk has failed."""
        self.halted = False

    def advance(self, now_ns: int) -> None:
        """Do what is due at `now_ns`. May wait for the disk."""
        self._held.extend(self._assembly.take_due(now_ns))
        self._flow()

    def finish(self, end_ns: int) -> None:
        """Take what is left from before `end_ns`, and end the clip."""
        self._held.extend(self._assembly.take_rest(end_ns))
        self._flow()
        if self._clip is not None:
            self._end(end_ns)
        self.wanted = False

    def statistics(self) -> RecordingStatistics | None:
        """Of the clip in the making."""
        if self._clip is None:
            return None
        return self._clip.statistics(self._assembly.late - self._late_before)

    def _flow(self) -> None:
        """Write what is held, as far as it is wanted."""
        while self._held and self.wanted and not self.halted:
            piece = self._held[0]
            try:
                self._write(piece)
            except OSError as error:
                clip, self._clip = self._clip, None
                self._fail(clip, error)
                break
            if self.halted:
                break
            self._pass_on()
            if self._until_ns is not None and piece.cut_ns >= self._until_ns:
                self.wanted, self._until_ns = False, None
                self._end(piece.cut_ns)
        if self._held and self._clip is None:
            self._forget_before(self._held[-1].cut_ns - self.pre_roll_ns)

    def _write(self, piece: Piece) -> None:
        zero_ns = piece.zero_ns
        if self._clip is not None and zero_ns is not None and self._is_full(self._clip, zero_ns):
            self._clip.write(_tail(piece, zero_ns))
            self._end(zero_ns)
        if self._clip is not None:
            self._clip.write(piece)
        elif zero_ns is None:
            self.missed += len(piece.packets[0])
        elif not self.halted:
            self._clip = self._clips.begin(zero_ns)
            self._late_before = self._assembly.late.copy()
            self._clip.write(replace(piece, samples=[*self._before, *piece.samples]))

    def _is_full(self, clip: ClipWriter, now_ns: int) -> bool:
        if self.longest_ns is not None and now_ns - clip.zero_ns >= self.longest_ns:
            return True
        return self.largest is not None and clip.statistics({}).bytes >= self.largest

    def _end(self, end_ns: int) -> None:
        statistics, clip = self.statistics(), self._clip
        self._clip = None
        if clip is None or statistics is None:
            return
        try:
            self._clips.end(clip, statistics, end_ns)
        except OSError as error:
            self._fail(clip, error)

    def _fail(self, clip: ClipWriter | None, error: OSError) -> None:
        self.halted = True
        self._clips.fail(clip, error)

    def _forget_before(self, t_ns: int) -> None:
        """Let go of all before the last key frame that is not after a moment."""
        begins = (
            i for i, p in enumerate(self._held) if p.zero_ns is not None and p.start_ns <= t_ns
        )
        for _ in range(max(begins, default=0)):
            self._give_up_first()
        # A camera that hangs brings no key frame, and the sensors go on.
        while self._held and self._held[0].cut_ns < t_ns - _LONGEST_GROUP_NS:
            self._give_up_first()

    def _give_up_first(self) -> None:
        if self.wanted:
            self.missed += sum(len(packets) for packets in self._held[0].packets[:1])
        self._pass_on()

    def _pass_on(self) -> None:
        piece = self._held.popleft()
        self._written_until_ns = piece.cut_ns
        self._before = [s[-1:] for s in piece.samples if s.kind is not PacketType.EXPOSURE]


def _tail(piece: Piece, zero_ns: int) -> Piece:
    """What of a piece was measured before the first of its pictures was shown.

    That picture's own exposure, which began earlier, goes where the picture goes.
    """
    samples = (s[s.t_ns < zero_ns] for s in piece.samples if s.kind is not PacketType.EXPOSURE)
    return Piece(
        piece.start_ns, zero_ns, [[] for _ in piece.packets], [s for s in samples if len(s)]
    )
