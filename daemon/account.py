"""What a clip says of itself: when it began, what recorded it, and how the sources fared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from camm import PacketType
from camm.gps_time import utc_from_gps
from daemon.rig import Rig
from daemon.sources import SourceStatistics
from muxer.recording_file import MovieDescription


class Account:
    """Describes the clips of a rig. docs/FILE-FORMAT.md explains the keys of the metadata.

    What is counted is counted from the beginning of a clip, which is when its account is made.
    """

    def __init__(self, rig: Rig, version: str) -> None:
        self._rig = rig
        self._utc_offset_ns = rig.clock.utc_ns() - rig.clock.now_ns()
        self._writer = {"name": "cammcorder", "version": version}
        self._before = {source.name: source.statistics for source in rig.all_sources}

    def utc(self, t_ns: int) -> datetime:
        """UTC of a moment of CLOCK_MONOTONIC: by GPS if there was a fix, else by the host."""
        gps = self._rig.gps
        gps_ns = gps.gps_time_ns_at(t_ns) if gps is not None else None
        if gps_ns is not None:
            return utc_from_gps(gps_ns / 1e9)
        return self.host_utc(t_ns)

    def host_utc(self, t_ns: int) -> datetime:
        """UTC of a moment by the host's clock."""
        unix_us = (t_ns + self._utc_offset_ns) // 1000
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_us)

    def unfinished(self, zero_ns: int) -> MovieDescription:
        """What stands in the file until it is finalised."""
        about = {"writer": self._writer, "unfinished": True, **self._rig.about}
        return self._description(zero_ns, about)

    def finished(
        self,
        zero_ns: int,
        late: Mapping[PacketType, int],
        fusion: Mapping[str, Any],
        marks: Sequence[Mapping[str, Any]] = (),
    ) -> MovieDescription:
        """What stands in it then.

        `fusion` is the recorder's account of the orientation, `marks` are the moments that somebody
        has noted.
        """
        rig = self._rig
        by_gps = rig.gps is not None and rig.gps.gps_time_ns_at(zero_ns) is not None
        metadata: dict[str, Any] = {
            "writer": self._writer,
            "movie": {
                "zero_monotonic_ns": zero_ns,
                "zero_utc": self.utc(zero_ns).isoformat(timespec="microseconds"),
                "utc_from": "gps" if by_gps else "host clock",
            },
            "sources": {
                source.name: {
                    **source.describe(),
                    **asdict(
                        source.statistics.since(self._before.get(source.name, SourceStatistics()))
                    ),
                }
                for source in rig.all_sources
            },
            "late": {kind.label: count for kind, count in late.items() if count},
            **rig.about,
        }
        if fusion:
            metadata["mount"] = rig.mount.tolist()
            metadata["calibration"] = rig.correction.told
            metadata["fusion"] = fusion
        if marks:
            metadata["marks"] = marks
        return self._description(zero_ns, metadata)

    def _description(self, zero_ns: int, metadata: Mapping[str, Any]) -> MovieDescription:
        rig = self._rig
        return MovieDescription(
            self.utc(zero_ns),
            rig.make,
            rig.model,
            metadata,
            serial=rig.serial,
            firmware=" ".join(self._writer.values()),
        )
