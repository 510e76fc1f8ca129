"""The rig: which devices a recording draws on, real or simulated or replayed."""

from __future__ import annotations

import logging
import math
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from camm.frames import Array
from daemon.configuration import (
    Configuration,
    GpsSettings,
    ImuSettings,
    Mount,
)
from daemon.sources import CameraSource, GpsSource, ImuSource, MagSource, Source
from drivers.bus import I2CBus, LinuxI2C
from drivers.camera_file import FileCamera
from drivers.clock import Clock, HostClock
from drivers.fifo import FifoImu
from drivers.find import find_imu
from drivers.gps import GpsReceiver
from drivers.gps_fix import Latency
from drivers.gpsd import GpsdReceiver
from drivers.imu import Imu, Magnetometer
from drivers.pps import PpsDevice
from drivers.receiver import Receiver
from fusion.fuser import OrientationFuser

_log = logging.getLogger(__name__)

_MAG_RANGE_UT = 4912.0
_NEARLY = 0.999  # of full scale: what reads more has probably been more
_WARM_UP_NS = 3_000_000_000
"""After this long the clock fits hold to 0.1 ms and the filter knows up, down and north."""
_DEFAULT_BAUD = 115_200


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Rig:
    """Sources and what must be known of them. A context manager: leaving it closes what it holds.

    `mount`       R_camera,sensor of the inertial sensor (3, 3)
    `settings`    what that sensor is set to
    `serial`      number of the rig, where it has one
    `about`       what the clip should remember of the rig besides its sources
    `warm_up_ns`  how long the sensors run before the camera starts
    `begin`       called when it does
    """

    clock: Clock
    imu: ImuSource | None = None
    mag: MagSource | None = None
    gps: GpsSource | None = None
    camera: CameraSource | None = None
    mount: Array = field(default_factory=lambda: np.eye(3))
    settings: ImuSettings = field(default_factory=ImuSettings)
    make: str = "cammcorder"
    model: str = "rig"
    serial: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    warm_up_ns: int = _WARM_UP_NS
    begin: Callable[[], None] = _nothing
    save_truth: Callable[[Path], None] | None = None
    holds: ExitStack = field(default_factory=ExitStack)

    @property
    def sensors(self) -> list[Source]:
        """All sources but the camera."""
        found = (self.imu, self.mag, self.gps)
        return [source for source in found if source is not None]

    @property
    def all_sources(self) -> list[Source]:
        """All sources, in the order in which they must be opened."""
        return [*self.sensors, *([self.camera] if self.camera is not None else [])]

    def fuser(self, filter_name: str) -> OrientationFuser:
        """What makes an orientation of the samples of this rig's sensors."""
        return OrientationFuser(
            filter_name,
            self.mount,
            gyro_limit=_NEARLY * math.radians(self.settings.gyro_range_dps),
            accel_limit=_NEARLY * self.settings.accel_range_g * 9.80665,
            mag_limit=_NEARLY * _MAG_RANGE_UT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.holds.close()


def _imu_source(bus: I2CBus, clock: Clock, settings: ImuSettings) -> tuple[FifoImu, ImuSource]:
    """The motion sensor on the bus, as it was found, and what reads it.

    CammError where there is none, or another than the one asked for.
    """
    found = find_imu(bus, settings.chip)

    def imu(clock: Clock) -> Imu:
        device = find_imu(bus, found.name)
        device.configure(
            clock,
            rate_hz=settings.rate_hz,
            gyro_range_dps=settings.gyro_range_dps,
            accel_range_g=settings.accel_range_g,
        )
        return device

    return found, ImuSource("imu", clock, imu)


def _packaged_magnetometer(bus: I2CBus, clock: Clock, imu: FifoImu) -> MagSource | None:
    """What reads the magnetometer in the package of a motion sensor, where it has one."""
    probe = imu.magnetometer
    if probe is None:
        _log.warning("%s has no magnetometer: which way is north remains unknown", imu.name)
        return None

    def mag(clock: Clock) -> Magnetometer:
        device = probe(bus)
        device.configure(clock)
        return device

    return MagSource("mag", clock, mag)


def hardware_rig(configuration: Configuration, video: Path | None = None) -> Rig:
    """A rig of real devices: a motion sensor on I2C, a GPS receiver on a serial port, a film."""
    clock = HostClock()
    model, serial = _device_tree("model"), _device_tree("serial-number")
    host = {"name": platform.node(), "model": model, "system": platform.platform()}
    rig = Rig(
        clock,
        model=model or "rig",
        serial=serial,
        about={"host": _known(host), "configuration": _said(configuration)},
    )
    if configuration.imu is not None:
        rig.settings = configuration.imu
        rig.mount = rig.settings.mount.matrix()
        bus = rig.holds.enter_context(LinuxI2C(configuration.imu.bus))
        imu, rig.imu = _imu_source(bus, clock, rig.settings)
        rig.mag = _packaged_magnetometer(bus, clock, imu)
    if configuration.gps is not None:
        rig.gps = _gps_source(clock, configuration.gps)
    if video is not None:
        rig.camera = CameraSource(FileCamera(video, clock), clock)
    return rig


def _gps_source(clock: Clock, settings: GpsSettings) -> GpsSource:
    """What reads a receiver at a serial port, or that of the gpsd at `gpsd://HOST:PORT`."""
    port, least_ms, most_ms = settings.port, *settings.latency_ms

    def open_receiver(clock: Clock) -> Receiver:
        if port.startswith("gpsd://"):
            return GpsdReceiver(port, clock)
        pulse = None if settings.pps is None else partial(PpsDevice, settings.pps)
        return GpsReceiver(port, settings.baud, clock, settings.rate_hz, pulse)

    latency = Latency(round(least_ms * 1e6), round(most_ms * 1e6))
    return GpsSource(clock, port, open_receiver, latency, identity=_usb_device(port))


def simulated_rig(scenario_name: str, speed: float | None) -> Rig:
    """A rig in software, at `speed` times real time (None: as fast as it goes).

    The sensors warm up as fast as the host can; only the filming keeps to the speed.
    """
    from hw_sim.clock import VirtualClock
    from hw_sim.rig import SimulatedRig
    from hw_sim.scenario import load_scenario

    scenario = load_scenario(scenario_name)
    clock = VirtualClock(_BOOTED_NS, int(scenario.start.timestamp() * 1e6) * 1000)
    simulated = SimulatedRig(scenario, clock)
    settings = ImuSettings(mount=Mount(**asdict(scenario.mount)))
    rig = Rig(
        clock,
        mount=settings.mount.matrix(),
        settings=settings,
        model="simulated rig",
        about={"simulation": {"scenario": scenario.name, "seed": scenario.seed}},
        save_truth=simulated.save_truth,
    )

    def begin() -> None:
        clock.speed = speed

    rig.begin = begin
    rig.holds.callback(simulated.close)
    simulated.start()
    imu, rig.imu = _imu_source(simulated.bus, clock, settings)
    rig.mag = _packaged_magnetometer(simulated.bus, clock, imu)
    baud, time_pulse = scenario.gps.baud, simulated.time_pulse
    rig.gps = GpsSource(
        clock,
        "simulated receiver",
        lambda clock: GpsReceiver(
            simulated.gps_port,
            baud,
            clock,
            scenario.gps.rate_hz,
            None if time_pulse is None else lambda: time_pulse,
        ),
        Latency(),
    )
    rig.camera = CameraSource(simulated.camera, clock)
    return rig


def replay_rig(log: Path | None, video: Path | None, speed: float | None) -> Rig:
    """Recorded input through the same doors: receiver bytes over a pty, a film packet by packet."""
    from hw_sim.clock import VirtualClock
    from hw_sim.replay import ReplayedReceiver

    clock = VirtualClock(_BOOTED_NS, HostClock().utc_ns())
    about = {"log": log.name if log else None, "video": video.name if video else None}
    rig = Rig(
        clock,
        model="replay",
        about={"replay": _known(about)},
        warm_up_ns=0,
    )
    receiver = ReplayedReceiver(clock, log, _DEFAULT_BAUD) if log is not None else None

    def begin() -> None:
        clock.speed = speed
        if receiver is not None:
            receiver.start()

    rig.begin = begin
    if receiver is not None:
        rig.holds.callback(receiver.close)
        path = receiver.path
        rig.gps = GpsSource(
            clock,
            "replayed receiver",
            lambda clock: GpsReceiver(path, _DEFAULT_BAUD, clock),
            Latency(),
            ended=lambda: receiver.done,
        )
    if video is not None:
        rig.camera = CameraSource(FileCamera(video, clock), clock)
    return rig


_BOOTED_NS = 3_600_000_000_000
"""CLOCK_MONOTONIC of a simulated host: up for an hour, so that nothing starts at zero."""


def _device_tree(name: str) -> str:
    """What the host says of itself: `model` "Raspberry Pi 5 Model B Rev 1.0", `serial-number`.

    Empty where it has no device tree, as PCs have none.
    """
    try:
        return (_DEVICE_TREE / name).read_text().rstrip("\0")
    except OSError:
        return ""


_DEVICE_TREE = Path("/proc/device-tree")


def _usb_device(port: str) -> Mapping[str, str]:
    """What a device at a USB port says of itself; nothing of one that is wired to the host."""
    from serial.tools.list_ports import comports

    for found in comports():
        if os.path.realpath(port) == os.path.realpath(found.device):
            texts = {name: getattr(found, name) for name in ("manufacturer", "product")}
            return _known({**texts, "serial": found.serial_number})
    return {}


def _said(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - any declared table
    """A declared table as the clip keeps it: without what was left out."""
    return asdict(
        settings,
        dict_factory=lambda items: {key: value for key, value in items if value is not None},
    )


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "")}
