"""A track of camera motion metadata that is made anew: its payload in a file, its tables beside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

import numpy as np

from muxer.boxes import Piece
from muxer.disk import write_all
from muxer.errors import Mp4Error
from muxer.movie import Handler
from muxer.pauses import NOT_KNOWN, divided
from muxer.recording_file import METADATA_HEADER, TrackSpec
from muxer.records import Records
from muxer.sample_entries import CAMM_ENTRY
from muxer.sample_table import SampleTable, ticks_of
from muxer.written_table import WrittenTable

_LONGEST_NS = 10_000_000 * 1_000_000_000
"""Four months; damaged files claim centuries, whose pauses nobody wants to have divided."""

HANDLER = Handler(b"meta", "CameraMetadataMotionHandler")


class MotionTrack:
    """Takes records as they come, in order of time, and writes their packets to the file `spool`.

    `counts`  how many there are of each type, without what was added
    `size`    bytes of their packets

    Readers that know no edit lists take the first record for time zero, so there is one: where
    nothing stands at zero, one that says nothing, or with `held` the first one itself.
    """

    def __init__(self, spool: int, timescale: int, *, held: bool = False) -> None:
        self.counts: Counter[int] = Counter()
        self.size = 0
        self.timescale = timescale
        self._spool = spool
        self._held = held
        self._table = WrittenTable(CAMM_ENTRY)
        self._open: SampleTable | None = None  # until it is known how long its last record lasts

    def add(self, records: Records) -> None:
        """The next records, their payload one behind another.

        Mp4Error where they are out of all time.
        """
        if not len(records):
            return
        if records.t_ns[0] < -_LONGEST_NS or records.t_ns[-1] > _LONGEST_NS:
            first_s, last_s = records.t_ns[[0, -1]] / 1e9
            raise Mp4Error(
                f"records lie from {first_s:.3g} to {last_s:.3g} s: expected those of a film"
            )
        ticks = ticks_of(records.t_ns, self.timescale)
        if self._open is None and ticks[0] > 0:
            self._begin(records)
        table = SampleTable(
            self.size + records.place,
            records.size,
            ticks,
            np.zeros_like(ticks),
            0,
            np.full(len(records), True),
        )
        self._append(records.payload.tobytes())
        self._close_until(int(ticks[0]))
        self._open = table
        for kind, count in zip(*np.unique(records.kind, return_counts=True), strict=True):
            self.counts[int(kind)] += int(count)

    def end_at(self, end_ns: int) -> None:
        """All have come; the last one lasts until then, if that is later."""
        end = np.array([min(end_ns, _LONGEST_NS)])
        self._close_until(int(ticks_of(end, self.timescale)[0]))

    def trak(
        self, number: int, created: datetime | None, movie_timescale: int, payload_at: int
    ) -> tuple[list[Piece], int]:
        """Its `trak` box for packets from that byte on, and its duration in the movie's ticks."""
        spec = TrackSpec(number, HANDLER, METADATA_HEADER, self.timescale, CAMM_ENTRY)
        return spec.boxes(created).write(self._table, movie_timescale, shift=payload_at)

    def _begin(self, records: Records) -> None:
        packet = records.payload[: records.size[0]].tobytes() if self._held else NOT_KNOWN
        at, size = np.zeros(1, np.int64), np.array([len(packet)])
        self._open = SampleTable(at, size, at, at, 0, np.full(1, True))
        self._append(packet)

    def _append(self, packets: bytes) -> None:
        write_all(self._spool, packets, self.size)
        self.size += len(packets)

    def _close_until(self, tick: int) -> None:
        table, self._open = self._open, None
        if table is None:
            return
        table = replace(table, duration=max(tick - int(table.dts[-1]), 0))
        whole = divided(table, self.size, len(NOT_KNOWN))
        if len(whole) > len(table) and not self._held:
            self._append(NOT_KNOWN)
            table = whole
        self._table.add(table)
