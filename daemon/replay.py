"""A rig of recorded logs: what was measured once, through the doors of what is measured now."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from camm import PacketType
from daemon.configuration import ImuSettings
from daemon.gps_source import GpsSource
from daemon.log_sources import LogGps, LogImu, LogMag, LogSource
from daemon.logs import (
    MOTION,
    MotionSurvey,
    Recorded,
    motion_pieces,
    motion_streams,
    open_logs,
    survey_motion,
)
from daemon.rig import BOOTED_NS, Rig
from daemon.sampled_source import ImuSource
from daemon.sources import CameraSource, Delivery
from drivers.bmi160 import Bmi160
from drivers.camera_file import FileCamera
from drivers.clock import Clock, HostClock
from drivers.errors import EndOfSource
from drivers.fifo import FifoImu
from drivers.find import find_imu
from drivers.gps import GpsReceiver
from drivers.gps_fix import Latency
from drivers.icm20948 import Icm20948
from drivers.icm42688p import Icm42688P
from drivers.imu import Imu
from drivers.lsm6dsox import Lsm6dsox
from drivers.mpu import Mpu
from hw_sim.clock import VirtualClock
from hw_sim.replay.receiver import ReplayedReceiver

_WARM_UP_NS = 3_500_000_000
"""So long before its first sample a chip is set up; then clock and filter have settled."""
_EMPTIED_NS = 200_000_000
"""So long after the last sample was measured it has come out of the FIFO."""
_BAUD = 115_200

_CHIPS: Mapping[str, type[FifoImu]] = {
    "ICM-42688-P": Icm42688P,
    "LSM6DSOX": Lsm6dsox,
    "ICM-20948": Icm20948,
    "BMI160": Bmi160,
    "MPU-6500": Mpu,
}
"""Chips that recorded samples are played through: the first that has their rate and range."""
_FASTEST_HZ = 1100.0  # what I2C at 400 kHz carries with ease
_RATE_TOLERANCE = 0.03  # chips of one kind differ by as much
_USED = 0.99  # of full scale

_GPS = frozenset({PacketType.GPS, PacketType.MIN_GPS})


class _ReplayedImu(ImuSource):
    """A simulated chip that plays a recording: it ends when that has ended."""

    def __init__(self, clock: Clock, make: Callable[[Clock], Imu], end_ns: int) -> None:
        super().__init__("imu", clock, make)
        self._end_ns = end_ns

    def read(self) -> Delivery | None:
        delivery = super().read()
        if delivery is None and self.clock.now_ns() > self._end_ns:
            raise EndOfSource(0, "all of the recording has been read")
        return delivery


@dataclass(frozen=True, slots=True)
class _Setting:
    """A chip that can have measured what was recorded, and what it is set to."""

    chip: str
    rate_hz: float
    gyro_range_dps: float
    accel_range_g: float


def _fitting(motion: MotionSurvey) -> _Setting | str:
    """The chip to play it through; or why there is none."""
    if motion.unfit:
        return motion.unfit
    rate_hz = 1e9 / motion.period_ns
    most_dps, most_g = math.degrees(motion.most_rad_s), motion.most_m_s2 / 9.80665
    for chip, driver in _CHIPS.items():
        nearest = min(driver.rates, key=lambda rate: abs(rate - rate_hz))
        gyro = [dps for dps in driver.gyro_ranges if dps * _USED >= most_dps]
        accel = [g for g in driver.accel_ranges if g * _USED >= most_g]
        near = abs(nearest / rate_hz - 1) <= _RATE_TOLERANCE
        if near and gyro and accel and rate_hz <= _FASTEST_HZ:
            return _Setting(chip, nearest, min(gyro), min(accel))
    return f"no chip for {rate_hz:.1f} Hz, {most_dps:.0f} deg/s and {most_g:.1f} g"


def replay_rig(
    logs: Sequence[Path], video: Path | None, speed: float | None, *, exact: bool = False
) -> Rig:
    """A rig of recorded logs, at `speed` times real time (None: as fast as it goes).

    A receiver's bytes go over a terminal into its driver. Angular rates and forces go through the
    registers of a simulated chip that can have measured them, and a new orientation is made of
    them; where there is no such chip, or `exact` is wanted, they are handed over as they are, as
    all the rest is. The film is `video`, or that of the logs.
    UsageError where the logs cannot be read, hold nothing, or hold something twice.
    """
    with ExitStack() as opened:
        recorded = open_logs(logs, opened)
        motion = survey_motion(recorded)
        setting = None if motion is None or exact else _fitting(motion)
        through_chip = isinstance(setting, _Setting)
        created = next((log.created for log in recorded.logs.values() if log.created), None)
        utc_ns = HostClock().utc_ns() if created is None else int(created.timestamp() * 1e6) * 1000
        warm_up_ns = _WARM_UP_NS if through_chip else 0
        clock = VirtualClock(BOOTED_NS, utc_ns - warm_up_ns)
        film = video or recorded.film
        rig = Rig(clock, model="replay", begins_ns=BOOTED_NS + warm_up_ns)
        rig.about = {"replay": _account(logs, film, motion, setting)}
        _add_sensors(rig, clock, recorded, motion, setting)
        receiver = _add_receiver(rig, clock, recorded, opened)
        if film is not None:
            rig.camera = CameraSource(FileCamera(film, clock), clock)

        def begin() -> None:
            clock.speed = speed
            if receiver is not None:
                receiver.start()

        rig.begin = begin
        rig.holds = opened.pop_all()
    return rig


def _account(
    logs: Sequence[Path],
    film: Path | None,
    motion: MotionSurvey | None,
    setting: _Setting | str | None,
) -> dict[str, str]:
    """What the clip should remember of where its records come from."""
    account = {"log": ", ".join(log.name for log in logs)} if logs else {}
    if film is not None:
        account["video"] = film.name
    match setting:
        case _Setting():
            account["imu"] = f"registers of {setting.chip}"
        case str():
            account |= {"imu": "blocks", "because": setting}
        case None if motion is not None:
            account |= {"imu": "blocks", "because": "asked for"}
    return account


def _add_sensors(
    rig: Rig,
    clock: VirtualClock,
    recorded: Recorded,
    motion: MotionSurvey | None,
    setting: _Setting | str | None,
) -> None:
    """A source for each kind of record, and never two for one."""
    zero_ns, kinds = rig.start_ns(), frozenset(recorded.logs)
    if motion is not None and isinstance(setting, _Setting):
        rig.settings = ImuSettings(
            chip=setting.chip,
            rate_hz=setting.rate_hz,
            gyro_range_dps=setting.gyro_range_dps,
            accel_range_g=setting.accel_range_g,
        )
        rig.imu = _chip_source(rig, clock, recorded, motion)
        kinds -= {PacketType.ANGLE_AXIS}  # a new one is made of what the chip says
    elif motion is not None and motion.paired and setting and PacketType.ANGLE_AXIS not in kinds:
        rig.settings = ImuSettings(gyro_range_dps=math.inf, accel_range_g=math.inf)
        rig.imu = LogImu(clock, recorded, zero_ns, motion.period_ns)
    if rig.imu is not None:
        kinds -= set(MOTION)
        if field := kinds & {PacketType.MAGNETIC_FIELD}:
            rig.mag = LogMag("mag", clock, recorded, field, zero_ns)
            kinds -= field
    if fixes := kinds & _GPS:
        rig.gps = LogGps("gps", clock, recorded, fixes, zero_ns)
        kinds -= fixes
    if kinds:
        rig.log = LogSource("log", clock, recorded, kinds, zero_ns)


def _chip_source(
    rig: Rig, clock: VirtualClock, recorded: Recorded, motion: MotionSurvey
) -> ImuSource:
    """A simulated chip that plays the recording, behind its driver."""
    from hw_sim.bus import SimulatedI2C  # late: not every replay needs the whole simulator
    from hw_sim.replay.chip import RecordedMotion, Rows, recorded_chip

    settings, zero_ns = rig.settings, rig.start_ns()
    first_ns = zero_ns + motion.start_ns

    def rows() -> Iterator[Rows]:
        for gyro, accel in motion_pieces(motion_streams(recorded, zero_ns)):
            taken = gyro.t_ns >= first_ns
            if taken.any():
                yield Rows(gyro.t_ns[taken], gyro.data[taken], accel.data[taken])

    address = _CHIPS[settings.chip].addresses[0]
    played = RecordedMotion(rows(), motion.period_ns)
    chip = recorded_chip(settings.chip, address, played, clock.now_ns())
    bus = SimulatedI2C(clock, {address: chip})

    def make(clock: Clock) -> Imu:
        device = find_imu(bus, settings.chip)
        device.configure(
            clock,
            rate_hz=settings.rate_hz,
            gyro_range_dps=settings.gyro_range_dps,
            accel_range_g=settings.accel_range_g,
        )
        return device

    return _ReplayedImu(clock, make, zero_ns + motion.end_ns + _EMPTIED_NS)


def _add_receiver(
    rig: Rig, clock: VirtualClock, recorded: Recorded, opened: ExitStack
) -> ReplayedReceiver | None:
    if recorded.receiver is None:
        return None
    receiver = ReplayedReceiver(clock, recorded.receiver, _BAUD)
    opened.callback(receiver.close)
    path = receiver.path
    rig.gps = GpsSource(
        clock,
        "replayed receiver",
        lambda clock: GpsReceiver(path, _BAUD, clock),
        Latency(),
        ended=lambda: receiver.done,
    )
    return receiver
