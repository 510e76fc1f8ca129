"""What the writer's thread does with deliveries: fuse, turn into camera axes, write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from camm import PacketType, Samples
from camm.frames import rotate_to_camera
from camm.gps_time import utc_from_gps
from daemon.rig import Rig
from daemon.sources import Delivery, Inertial, Magnetic
from fusion.declination import DeclinationError, magnetic_declination
from fusion.fuser import OrientationFuser
from muxer.errors import Mp4Error
from muxer.clip_writer import RecordingStatistics
from muxer.recording import Recording
from muxer.recording_file import MovieDescription


class Recorder:
    """Turns deliveries of a rig's sources into a recording. One thread."""

    def __init__(
        self,
        rig: Rig,
        path: Path,
        start_ns: int,
        *,
        version: str,
        filter_name: str,
        timescale: int,
    ) -> None:
        self._rig = rig
        self._utc_offset_ns = rig.clock.utc_ns() - rig.clock.now_ns()
        self._fuser: OrientationFuser | None = None
        if rig.imu is not None:
            self._fuser = rig.fuser(filter_name)
        self._fused_until_ns = 0
        self._declination: float | None = None
        self._heading = "arbitrary" if rig.mag is None else "magnetic north"
        self._writer = {"name": "cammcorder", "version": version}
        self.metadata: Mapping[str, Any] = {
            "writer": self._writer,
            "unfinished": True,
            **rig.about,
        }
        self.recording = Recording(
            path,
            rig.camera.formats if rig.camera is not None else (),
            self._description(start_ns),
            sources=[source.name for source in rig.sensors],
            start_ns=start_ns,
            timescale=timescale,
        )

    @property
    def zero_ns(self) -> int:
        """CLOCK_MONOTONIC at movie time zero; Mp4Error before there is one."""
        zero_ns = self.recording.zero_ns
        if zero_ns is None:
            raise Mp4Error("the camera delivered no picture: nothing was recorded")
        return zero_ns

    def take(self, delivery: Delivery) -> None:
        """One delivery, in the order in which they were handed over."""
        complete_ns = delivery.complete_until_ns
        blocks: Sequence[Samples] = ()
        match delivery.content:
            case Inertial() as inertial:
                blocks = self._inertial(inertial)
                complete_ns = self._fused_until_ns
            case Magnetic(t_ns, field):
                if self._fuser is not None:
                    self._fuser.add_mag(t_ns, field)
                turned = rotate_to_camera(self._rig.mount, field)
                blocks = [Samples(PacketType.MAGNETIC_FIELD, t_ns, turned)]
            case Samples() as fixes:
                self._find_true_north(fixes)
                blocks = [fixes]
            case None:
                if complete_ns is None and delivery.source == "imu":
                    blocks = self._fused(last=True)
            case packets:
                self.recording.add_packets(packets)
        if delivery.source != "camera":
            self.recording.add_samples(delivery.source, blocks, complete_ns)
        elif complete_ns is None:
            self.recording.end_video()
        self.recording.advance(delivery.at_ns)

    def finish(self, end_ns: int, *, copy: bool) -> RecordingStatistics:
        """Write the rest and finalise the file; the sources have ended."""
        self.metadata = self._metadata()
        return self.recording.finish(end_ns, self._description(self.zero_ns), copy=copy)

    def _inertial(self, inertial: Inertial) -> list[Samples]:
        mount, t_ns = self._rig.mount, inertial.t_ns
        blocks = [
            Samples(PacketType.GYRO, t_ns, rotate_to_camera(mount, inertial.gyro)),
            Samples(PacketType.ACCELERATION, t_ns, rotate_to_camera(mount, inertial.accel)),
        ]
        if self._fuser is not None:
            self._fuser.add_imu(t_ns, inertial.gyro, inertial.accel, inertial.period_ns)
        return blocks + self._fused()

    def _fused(self, *, last: bool = False) -> list[Samples]:
        if self._fuser is None:
            return []
        orientation = self._fuser.flush() if last else self._fuser.take()
        if orientation is None or not len(orientation):
            return []
        self._fused_until_ns = int(orientation.t_ns[-1]) + 1
        return [orientation]

    def _find_true_north(self, fixes: Samples) -> None:
        """With the first fix the declination of the place is known, and headings become true."""
        if self._fuser is None or self._rig.mag is None or self._declination is not None:
            return
        fix = fixes.data[0]
        try:
            self._declination = magnetic_declination(
                float(fix["latitude"]),
                float(fix["longitude"]),
                float(fix["altitude"]) if math.isfinite(fix["altitude"]) else 0.0,
                self._day(fixes),
            )
            self._heading = "true north"
        except DeclinationError as error:
            self._declination = 0.0
            self._heading = f"magnetic north: {error}"
        self._fuser.set_declination(self._declination)

    def _day(self, fixes: Samples) -> datetime:
        """When a fix was, by its own account or else the host's."""
        if fixes.kind is PacketType.GPS:
            return utc_from_gps(float(fixes.data["time_gps_epoch"][0]))
        return self._host_utc(int(fixes.t_ns[0]))

    def _host_utc(self, t_ns: int) -> datetime:
        unix_us = (t_ns + self._utc_offset_ns) // 1000
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_us)

    def _utc(self, t_ns: int) -> datetime:
        """UTC of a moment of CLOCK_MONOTONIC: by GPS if there was a fix, else by the host."""
        gps = self._rig.gps
        gps_ns = gps.gps_time_ns_at(t_ns) if gps is not None else None
        if gps_ns is not None:
            return utc_from_gps(gps_ns / 1e9)
        return self._host_utc(t_ns)

    def _description(self, zero_ns: int) -> MovieDescription:
        rig = self._rig
        return MovieDescription(
            self._utc(zero_ns),
            rig.make,
            rig.model,
            self.metadata,
            serial=rig.serial,
            firmware=" ".join(self._writer.values()),
        )

    def _metadata(self) -> dict[str, Any]:
        """The clip's own account of itself; docs/FILE-FORMAT.md describes the keys."""
        rig = self._rig
        gps = rig.gps
        by_gps = gps is not None and gps.gps_time_ns_at(self.zero_ns) is not None
        statistics = self.recording.statistics()
        metadata: dict[str, Any] = {
            "writer": self._writer,
            "movie": {
                "zero_monotonic_ns": self.zero_ns,
                "zero_utc": self._utc(self.zero_ns).isoformat(timespec="microseconds"),
                "utc_from": "gps" if by_gps else "host clock",
            },
            "sources": {
                source.name: {**source.describe(), **asdict(source.statistics)}
                for source in rig.all_sources
            },
            "late": {kind.label: count for kind, count in statistics.late.items() if count},
            **rig.about,
        }
        if self._fuser is not None:
            metadata["mount"] = rig.mount.tolist()
            metadata["calibration"] = "none"  # the chips' own values, only turned
            metadata["fusion"] = {
                **asdict(self._fuser.statistics),
                "heading": self._heading,
                "declination_deg": math.degrees(self._declination or 0.0),
            }
        return metadata
