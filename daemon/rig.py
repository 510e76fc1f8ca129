"""The rig: which devices a recording draws on, real or simulated; `daemon.replay`: or replayed."""

from __future__ import annotations

import logging
import math
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from camm import CammError
from camm.frames import Array
from daemon.calibration import NOTHING, Calibration, load
from daemon.configuration import (
    Configuration,
    GpsSettings,
    ImuSettings,
    MagnetometerSettings,
    Mount,
)
from daemon.correction import SensorCorrection, check_chips
from daemon.gps_source import GpsSource
from daemon.motion_sensors import MotionSensors
from daemon.sound import SoundSource
from daemon.sources import CameraSource, Source
from daemon.tracker import TrackerSource
from drivers.bus import I2CBus, open_bus
from drivers.clock import Clock, HostClock
from drivers.errors import DeviceError
from drivers.find_camera import find_camera
from drivers.gps import GpsReceiver
from drivers.gps_fix import Latency
from drivers.gpsd import GpsdReceiver
from drivers.interrupt import GpioLine, Interrupt
from drivers.microphone import Microphone, MicrophoneOptions
from drivers.pps import PpsDevice
from drivers.receiver import Receiver
from fusion.fuser import OrientationFuser
from fusion.orientation import TRACKER

if TYPE_CHECKING:
    from daemon.log_sources import LogGps  # whoever replays nothing does without its readers

_log = logging.getLogger(__name__)

_NEARLY = 0.999  # of full scale: what reads more has probably been more
_WARM_UP_NS = 3_000_000_000
"""After this long the clock fits hold to 0.1 ms and the filter knows up, down and north."""


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Rig:
    """Sources and what must be known of them. A context manager: leaving it closes what it holds.

    `mount`       R_camera,sensor of the inertial sensor (3, 3)
    `settings`    what that sensor is set to
    `calibration`, `correction`  its errors and those of the rest, and what takes them away
    `serial`      number of the rig, where it has one
    `about`       what the clip should remember of the rig besides its sources
    `bus`         that the inertial sensor is on, where it is on one
    `log`         records of other kinds than those of a sensor
    `tracker`     a program beside ours that tells poses
    `warm_up_ns`  how long the sensors run before the camera starts
    `begins_ns`   when it starts, where that is known beforehand
    `begin`       called when it does
    """

    clock: Clock
    imu: Source | None = None
    mag: Source | None = None
    gps: GpsSource | LogGps | None = None
    log: Source | None = None
    tracker: TrackerSource | None = None
    camera: CameraSource | None = None
    sound: SoundSource | None = None
    bus: I2CBus | None = None
    mount: Array = field(default_factory=lambda: np.eye(3))
    settings: ImuSettings = field(default_factory=ImuSettings)
    calibration: Calibration = NOTHING
    correction: SensorCorrection = field(default_factory=SensorCorrection)
    make: str = "cammcorder"
    model: str = "rig"
    serial: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    warm_up_ns: int = _WARM_UP_NS
    begins_ns: int | None = None
    begin: Callable[[], None] = _nothing
    save_truth: Callable[[Path], None] | None = None
    holds: ExitStack = field(default_factory=ExitStack)

    def calibrate(self, calibration: Calibration) -> None:
        """Have what is recorded from now on corrected so."""
        self.calibration = calibration
        self.correction = SensorCorrection(calibration, self._temperature_c)
        if calibration.mount is not None:
            self.mount = np.array(calibration.mount.matrix)
        if calibration.sync is not None and self.camera is not None:
            self.camera.shift_ns = round(calibration.sync.offset_ms * 1e6)

    def check_calibration(self) -> None:
        """UsageError where it is of other chips than those that were found."""
        imu, mag = (
            "" if source is None else str(source.describe().get("chip", ""))
            for source in (self.imu, self.mag)
        )
        tables = ("gyro", "accel", "noise", "mount", "sync")
        check_chips(self.calibration, {**dict.fromkeys(tables, imu), "mag": mag})

    def _temperature_c(self) -> float | None:
        return None if self.imu is None else self.imu.describe().get("temperature_c")

    @property
    def sensors(self) -> list[Source]:
        """The sources of motion and place."""
        found = (self.imu, self.mag, self.gps, self.log, self.tracker)
        return [source for source in found if source is not None]

    @property
    def beside_camera(self) -> list[Source]:
        """All sources but the camera."""
        return [*self.sensors, *([self.sound] if self.sound is not None else [])]

    @property
    def all_sources(self) -> list[Source]:
        """All sources, in the order in which they must be opened."""
        return [*self.beside_camera, *([self.camera] if self.camera is not None else [])]

    def add_sound(self, microphone: Microphone) -> None:
        """Have the camera's pictures accompanied by what a microphone hears."""
        if self.camera is not None:
            self.sound = SoundSource(microphone, self.clock)
            self.camera.sound = microphone.format

    def start_ns(self) -> int:
        """When the camera starts, the sensors being open now."""
        return self.clock.now_ns() + self.warm_up_ns if self.begins_ns is None else self.begins_ns

    def fuser(self, filter_name: str) -> OrientationFuser:
        """What makes an orientation of the samples of this rig's sensors, which are open.

        Magnetometers keep back what saturates them.
        """
        about = {} if self.imu is None else self.imu.describe()
        gyro_dps = float(about.get("gyro_range_dps", self.settings.gyro_range_dps))
        accel_g = float(about.get("accel_range_g", self.settings.accel_range_g))
        return OrientationFuser(
            filter_name,
            self.mount,
            gyro_limit=self.correction.gyro_limit(_NEARLY * math.radians(gyro_dps)),
            accel_limit=self.correction.accel_limit(_NEARLY * accel_g * 9.80665),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.holds.close()


def make_rig(configuration: Configuration) -> Rig:
    """The rig that a file declares: of devices, or the simulator in their place."""
    simulator = configuration.simulator
    if simulator is None:
        rig = hardware_rig(configuration)
    else:
        rig = simulated_rig(simulator.scenario, simulator.speed, with_truth=False)
    fusion = configuration.fusion
    position, orientation = fusion.position == TRACKER, fusion.filter == TRACKER
    if position or orientation:
        rig.tracker = TrackerSource(rig.clock, position=position, orientation=orientation)
    return rig


def hardware_rig(configuration: Configuration) -> Rig:
    """A rig of real devices: a motion sensor on I2C, a GPS receiver on a serial port, a camera."""
    imu = configuration.imu
    named = None if imu is None else imu.calibration
    calibration = NOTHING if named is None else load(Path(named))
    clock = HostClock()
    model, serial = _device_tree("model"), _device_tree("serial-number")
    host = {"name": platform.node(), "model": model, "system": platform.platform()}
    rig = Rig(
        clock,
        model=model or "rig",
        serial=serial,
        about={"host": _known(host), "configuration": _devices(configuration)},
    )
    if configuration.imu is not None:
        _add_motion_sensors(rig, configuration.imu, configuration.magnetometer)
    if configuration.gps is not None:
        rig.gps = _gps_source(clock, configuration.gps)
    if (settings := configuration.camera) is not None:
        rig.camera = CameraSource(find_camera(settings.options(), clock), clock)
        rig.camera.required = settings.required
        rig.camera.projection = settings.projection
        if settings.audio is not None:
            rig.add_sound(Microphone(settings.audio.options(), clock))
    rig.calibrate(calibration)
    return rig


def _add_motion_sensors(
    rig: Rig, settings: ImuSettings, magnetometer: MagnetometerSettings | None
) -> None:
    """Those that are there; what is not required may come later."""
    rig.settings = settings
    rig.mount = settings.mount.rotation()

    def bus(device: str) -> I2CBus:
        opened = rig.holds.enter_context(open_bus(device))
        if device == settings.bus:
            rig.bus = opened
        return opened

    def line() -> Interrupt | None:
        if settings.interrupt is None:
            return None
        return rig.holds.enter_context(closing(GpioLine(settings.interrupt)))

    sensors = MotionSensors(settings, magnetometer, bus, line)
    try:
        with_mag = sensors.look()
    except CammError as error:
        if settings.required or not isinstance(error, DeviceError):
            rig.holds.close()
            raise
        _log.warning("imu: %s", error)
        with_mag = True
    rig.imu = sensors.imu_source(rig.clock)
    if with_mag:
        rig.mag = sensors.mag_source(rig.clock)


def _gps_source(clock: Clock, settings: GpsSettings) -> GpsSource:
    """What reads a receiver at a serial port, or that of the gpsd at `gpsd://HOST:PORT`."""
    port, least_ms, most_ms = settings.port, *settings.latency_ms

    def open_receiver(clock: Clock) -> Receiver:
        if port.startswith("gpsd://"):
            return GpsdReceiver(port, clock)
        pulse = None if settings.pps is None else partial(PpsDevice, settings.pps)
        return GpsReceiver(port, settings.baud, clock, settings.rate_hz, pulse, settings.model)

    latency = Latency(round(least_ms * 1e6), round(most_ms * 1e6))
    source = GpsSource(clock, port, open_receiver, latency, identity=_usb_device(port))
    source.required = settings.required
    return source


def simulated_rig(scenario_name: str, speed: float | None, *, with_truth: bool = True) -> Rig:
    """A rig in software, at `speed` times real time (None: as fast as it goes).

    What was true all the time is remembered `with_truth`, and fills the memory in the course of
    days. The sensors warm up as fast as the host can; only the filming keeps to the speed.
    """
    from hw_sim.clock import VirtualClock
    from hw_sim.rig import SimulatedRig
    from hw_sim.scenario import load_scenario

    scenario = load_scenario(scenario_name)
    clock = VirtualClock(BOOTED_NS, int(scenario.start.timestamp() * 1e6) * 1000)
    simulated = SimulatedRig(scenario, clock)
    settings = ImuSettings(mount=Mount(**asdict(scenario.mount)))
    rig = Rig(
        clock,
        mount=settings.mount.rotation(),
        settings=settings,
        model="simulated rig",
        about={"simulation": {"scenario": scenario.name, "seed": scenario.seed}},
        save_truth=simulated.save_truth if with_truth else None,
    )

    def begin() -> None:
        clock.speed = speed

    if not with_truth:
        simulated.forget_truth()
    rig.begin = begin
    rig.holds.callback(simulated.close)
    simulated.start()
    rig.bus = simulated.bus
    wired = simulated.interrupt if scenario.imu.interrupt else None
    magnetometer = None
    if scenario.mag.chip != "internal":
        mount = scenario.mag.mount
        magnetometer = MagnetometerSettings(
            chip=scenario.mag.chip, mount=None if mount is None else Mount(**asdict(mount))
        )
    sensors = MotionSensors(settings, magnetometer, lambda _: simulated.bus, lambda: wired)
    with_mag = sensors.look()
    rig.imu = sensors.imu_source(clock)
    rig.mag = sensors.mag_source(clock) if with_mag else None
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
    rig.gps.required = False
    rig.camera = CameraSource(simulated.camera, clock)
    if (heard := simulated.microphone) is not None:
        options = MicrophoneOptions("simulated", heard.rate_hz, heard.channels)
        rig.add_sound(Microphone(options, clock, heard.open))
    return rig


BOOTED_NS = 3_600_000_000_000
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


def _devices(configuration: Configuration) -> dict[str, Any]:
    """What was asked of the devices, as the clip keeps it: without what was left out."""
    said = asdict(
        configuration, dict_factory=lambda items: {k: v for k, v in items if v is not None}
    )
    return {key: said[key] for key in ("imu", "magnetometer", "gps", "camera") if key in said}


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "")}
