"""What the writer's thread does with deliveries: fuse, turn into camera axes, hand on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from camm import Packet, PacketType, Samples, UsageError
from camm.frames import rotate_to_camera
from daemon.account import Account
from daemon.positioning import GPS, Positioning
from daemon.rig import Rig
from daemon.sources import Delivery, Filming, Inertial, Magnetic, Tracked
from fusion.chip_orientation import ChipOrientation
from fusion.chosen_times import ChosenTimes
from fusion.declination import DeclinationError, magnetic_declination
from fusion.fuser import OrientationFuser
from fusion.orientation import CHIP, SIX_AXES, TRACKER
from muxer.extract.track import with_fix

_ARBITRARY, _MAGNETIC = "arbitrary", "magnetic north"
_FIXES = (PacketType.GPS, PacketType.MIN_GPS)
_FOR_EVER_NS = 1 << 62


class Sink(Protocol):
    """Where packets and samples go: `muxer.recording.Recording`, `muxer.reel.Reel`."""

    def add_packets(self, packets: Sequence[Packet]) -> None: ...

    def add_samples(
        self, source: str, blocks: Sequence[Samples], complete_until_ns: int | None
    ) -> None: ...

    def end_video(self) -> None: ...

    def advance(self, now_ns: int) -> None: ...


class Recorder:
    """Turns deliveries of a rig's sources into packets and samples of a clip. One thread.

    `output` says when there is a pose: "imu" at each inertial sample, "frame" at each picture, or
    so many times a second. Where `position` is "gps" it has a position as well as an orientation.

    UsageError for a filter that there is not, a calibration of another rig, for the pictures of one
    without a camera, and the positions of one that cannot tell them.
    """

    def __init__(
        self,
        rig: Rig,
        sink: Sink,
        account: Account,
        filter_name: str,
        output: str | float = "imu",
        position: str = "off",
    ) -> None:
        rig.check_calibration()
        self._rig = rig
        self.sink = sink
        self._account = account
        self._fuser: OrientationFuser | ChipOrientation | None = None
        has_north = rig.mag is not None and filter_name != SIX_AXES
        self._heading = _MAGNETIC if has_north else _ARBITRARY
        if filter_name == CHIP:
            self._heading = _heading_of_chip(rig)
            self._fuser = ChipOrientation(rig.mount)
        elif filter_name == TRACKER:
            self._heading = _ARBITRARY
            if rig.tracker is None:
                raise UsageError(f"filter {TRACKER!r} is for the service: a tracker connects to it")
        elif rig.imu is not None:
            self._fuser = rig.fuser(filter_name)
        if output == "frame" and rig.camera is None:
            raise UsageError('output "frame" wants a camera: leave it out, or say how many Hz')
        self._by_frame = output == "frame"
        self._filming = rig.camera is not None and bool(rig.camera.formats)
        self._chosen: ChosenTimes | None = None
        if output != "imu":
            self._chosen = ChosenTimes(None if isinstance(output, str) else output)
        self._position: Positioning | None = None
        if position == GPS:
            if rig.gps is None or self._heading == _ARBITRARY:
                raise UsageError(
                    f"position {GPS!r} wants a receiver, and a magnetometer: without north nobody "
                    "knows which way the accelerometer felt"
                )
            self._position = Positioning(output)
        self._fused_until_ns = 0
        self._filmed_until_ns = 0
        self._declination: float | None = None
        self.newest: dict[PacketType, Samples] = {}
        """The last sample of each kind, for a person who watches; any thread may look."""
        self.newest_picture: Packet | None = None
        """The last key frame."""

    @property
    def fusion(self) -> Mapping[str, Any]:
        """How the poses came about, for the clip's metadata; empty where there are none."""
        told: dict[str, Any] = {}
        tracker = self._rig.tracker
        if self._fuser is not None:
            told = {
                **asdict(self._fuser.statistics),
                "heading": self._heading,
                "declination_deg": math.degrees(self._declination or 0.0),
            }
        elif tracker is not None and tracker.orientation:
            told = {"filter": TRACKER, "heading": self._heading}
        if self._position is not None:
            told["position"] = self._position.told()
        elif tracker is not None and tracker.position:
            told["position"] = {"filter": TRACKER}
        return told

    def take(self, delivery: Delivery) -> None:
        """One delivery, in the order in which they were handed over."""
        blocks = self._blocks(delivery)
        complete_ns = delivery.complete_until_ns
        if delivery.source == "camera":
            self._filmed_until_ns = _FOR_EVER_NS if complete_ns is None else complete_ns
            if complete_ns is None:
                self.sink.end_video()
        else:
            if isinstance(delivery.content, Inertial) and self._fuser is not None:
                complete_ns = self._oriented_until_ns
            self._tell(delivery.source, blocks, complete_ns)
        if self._position is not None:
            self._tell_positions(self._position, delivery)
        self.sink.advance(delivery.at_ns)

    def _blocks(self, delivery: Delivery) -> Sequence[Samples]:
        """The records that come of a delivery; its packets are handed on."""
        match delivery.content:
            case Inertial() as inertial:
                return self._inertial(self._rig.correction.inertial(inertial))
            case Magnetic(t_ns) as magnetic:
                field = self._rig.correction.magnetic(magnetic).field
                if isinstance(self._fuser, OrientationFuser):
                    self._fuser.add_mag(t_ns, field)
                turned = rotate_to_camera(self._rig.mount, field)
                return [Samples(PacketType.MAGNETIC_FIELD, t_ns, turned)]
            case Samples() as samples:
                if samples.kind in _FIXES:
                    self._locate(with_fix(samples))
                return [samples]
            case Tracked(blocks):
                return blocks
            case Filming(formats, packets):
                self._filming = bool(formats)
                self.newest_picture = None  # of another camera, perhaps
                self._film(packets)
            case None:
                if delivery.complete_until_ns is None and delivery.source == "imu":
                    return self._fused(last=True)
            case packets:
                self._film(packets)
        return ()

    def _tell(self, source: str, blocks: Sequence[Samples], complete_ns: int | None) -> None:
        self.newest.update((block.kind, block[-1:]) for block in blocks)
        self.sink.add_samples(source, blocks, complete_ns)

    def _tell_positions(self, position: Positioning, delivery: Delivery) -> None:
        """Hand on what has become known with a delivery."""
        if delivery.source == "gps":
            position.fixes_are_told(delivery.complete_until_ns)
        blocks, until_ns = position.take(self._filmed_until_ns if self._by_frame else _FOR_EVER_NS)
        ended = delivery.source == "imu" and delivery.complete_until_ns is None
        self._tell("position", blocks, None if ended else until_ns)

    def _film(self, packets: Sequence[Packet]) -> None:
        if not self._filming:
            return  # sound without a picture
        if self._by_frame:
            shown_ns = np.array([p.pts_ns for p in packets if p.stream == 0], np.int64)
            for chosen in (self._chosen, self._position):
                if chosen is not None:
                    chosen.want(shown_ns)
        keys = (p for p in packets if p.stream == 0 and p.keyframe)
        self.newest_picture = next(keys, self.newest_picture)
        self.sink.add_packets(packets)

    def _inertial(self, inertial: Inertial) -> list[Samples]:
        mount, t_ns = self._rig.mount, inertial.t_ns
        accel = rotate_to_camera(mount, inertial.accel)
        blocks = [
            Samples(PacketType.GYRO, t_ns, rotate_to_camera(mount, inertial.gyro)),
            Samples(PacketType.ACCELERATION, t_ns, accel),
        ]
        if self._position is not None:
            self._position.add_force(t_ns, accel)
        match self._fuser:
            case OrientationFuser() as fuser:
                fuser.add_imu(t_ns, inertial.gyro, inertial.accel, inertial.period_ns)
            case ChipOrientation() as chip if inertial.orientation is not None:
                chip.add(t_ns, inertial.orientation)
        return blocks + self._fused()

    def _fused(self, *, last: bool = False) -> list[Samples]:
        if self._fuser is None:
            return []
        orientation = self._fuser.flush() if last else self._fuser.take()
        if orientation is not None and len(orientation):
            self._fused_until_ns = int(orientation.t_ns[-1]) + 1
            if self._position is not None:
                self._position.add_orientation(orientation)
        if self._chosen is not None:
            if orientation is not None:
                self._chosen.add(orientation)
            orientation = self._chosen.take(_FOR_EVER_NS if last else self._oriented_until_ns)
        return [] if orientation is None or not len(orientation) else [orientation]

    @property
    def _oriented_until_ns(self) -> int:
        """No orientation of a time before this will follow."""
        if self._by_frame:
            return min(self._fused_until_ns, self._filmed_until_ns)
        return self._fused_until_ns

    def _locate(self, fixes: Samples) -> None:
        """With the first fix the declination of the place is known, and headings become true."""
        if len(fixes) and self._position is not None:
            self._position.add_fixes(fixes)
        known = self._declination is not None or self._heading == _ARBITRARY
        if not len(fixes) or self._fuser is None or known:
            return
        fix = fixes.data[0]
        try:
            self._declination = magnetic_declination(
                float(fix["latitude"]),
                float(fix["longitude"]),
                float(fix["altitude"]) if math.isfinite(fix["altitude"]) else 0.0,
                self._account.utc(int(fixes.t_ns[0])),
            )
            self._heading = "true north"
        except DeclinationError as error:
            self._declination = 0.0
            self._heading = f"{_MAGNETIC}: {error}"
        self._fuser.set_declination(self._declination)


def _heading_of_chip(rig: Rig) -> str:
    """What the heading of a sensor's own orientation is relative to; UsageError without one."""
    about = rig.imu.describe() if rig.imu is not None else {}
    if "orientation" not in about:
        raise UsageError(
            f"filter {CHIP!r}: {about.get('chip', 'a rig without a motion sensor')} works out no "
            "orientation by itself, a BNO055 or BNO085 does; leave the filter out for vqf"
        )
    return str(about["orientation"])
