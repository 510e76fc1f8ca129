"""The doctor: looks what a host has, reads the sensors of a rig for a while, says what is wrong.

Sensors are read as in a recording, all at once, by the same drivers and clock fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from camm import CammError, Samples
from daemon.configuration import Configuration, GpsSettings, ImuSettings, MagnetometerSettings
from daemon.diagnosis import (
    judge_camera,
    judge_imu,
    judge_load,
    judge_magnetometer,
    judge_receiver,
    too_strong,
)
from daemon.finding import Finding, Severity, error, warning
from daemon.gps_source import GpsSource
from daemon.host import HostReading
from daemon.readings import (
    BusReading,
    CameraReading,
    GpsReading,
    ImuReading,
    MagReading,
    read_camera,
    read_imu,
    read_magnetometer,
    read_receiver,
)
from daemon.rig import Rig, hardware_rig
from daemon.sampled_source import ImuSource, MagSource
from daemon.sources import CameraSource, Delivery, Inertial, Magnetic, Source
from drivers.bus import I2CBus, open_bus
from drivers.clock import Clock, HostClock
from drivers.errors import BusError, DeviceError
from drivers.fifo import FifoImu
from drivers.find import FoundImu, find_imu
from drivers.find_magnetometer import find_magnetometer
from drivers.survey import answers, bit_rate, imu_load, magnetometer_load
from drivers.v4l2_formats import identity, modes
from drivers.videodev2 import VideoNode

_LOOK_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Examination:
    """What was measured, None for a part that is not there, and what is wrong."""

    bus: BusReading | None
    imu: ImuReading | None
    mag: MagReading | None
    gps: GpsReading | None
    findings: tuple[Finding, ...]
    camera: CameraReading | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a video device has to offer: its name, and its modes in words."""

    path: str
    card: str
    modes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """The rigs that a host seems to have, its buses without a motion sensor, its cameras, and what
    is wrong.
    """

    rigs: tuple[Configuration, ...]
    other_buses: tuple[BusReading, ...]
    findings: tuple[Finding, ...]
    cameras: tuple[Offer, ...] = ()


def well(findings: Iterable[Finding]) -> bool:
    """Whether nothing is so wrong that a recording would be of no use."""
    return all(finding.severity is not Severity.ERROR for finding in findings)


def discover(host: HostReading) -> Discovery:
    """A rig for each bus with a motion sensor, the first with the receiver too."""
    rigs: list[Configuration] = []
    others: list[BusReading] = []
    findings: list[Finding] = []
    gps = _receiver(host)
    for path in host.i2c:
        try:
            with open_bus(path) as bus:
                if (imu := _imu_on(bus)) is not None:
                    mag = None if imu.magnetometer else _magnetometer_on(bus)
                    rigs.append(Configuration(ImuSettings(path), mag, None if rigs else gps))
                else:
                    reading, troubles = survey(bus, HostClock())
                    others.append(reading)
                    findings += troubles
        except CammError as trouble:
            findings.append(error(str(trouble)))
    if not host.i2c:
        findings.append(
            error(
                "there is no I2C bus",
                "it is switched off",
                "sudo raspi-config nonint do_i2c 0, or dtparam=i2c_arm=on in config.txt; reboot",
            )
        )
    elif not rigs:
        findings.append(error("there is no motion sensor", "", "wire one as docs/HARDWARE.md says"))
    if not rigs:
        rigs = [] if gps is None else [Configuration(gps=gps)]
    if gps is None:
        findings.append(
            warning("no GPS receiver is known", "", "name its port if there is one: --gps PORT")
        )
    cameras = tuple(offer for path, _ in host.cameras for offer in _offers(path))
    return Discovery(tuple(rigs), tuple(others), tuple(findings), cameras)


def _offers(path: str) -> Iterator[Offer]:
    """Of a video device; nothing of one that is no camera."""
    with suppress(DeviceError), closing(VideoNode(path)) as node:
        who = identity(node, path)
        yield Offer(path, who.card, tuple(map(str, modes(node))))


def survey(bus: I2CBus, clock: Clock) -> tuple[BusReading, list[Finding]]:
    """Who is on a bus, and how fast it is where that can be timed. BusError if it does not work."""
    found = tuple(answers(bus))
    imu = _imu_on(bus)
    rate = None
    if isinstance(imu, FifoImu):
        with suppress(BusError):  # adapters on USB may refuse long reads
            rate = bit_rate(bus, clock, imu)
    held = [f"0x{answer.address:02x}" for answer in found if answer.held]
    trouble = warning(
        f"the kernel holds {', '.join(held)} on {bus.name}",
        "a driver of its own is bound to what is there",
        "if that is a sensor of the rig: lsmod, rmmod, and remove its dtoverlay",
    )
    return BusReading(bus.name, found, rate), [trouble] if held else []


def examine_devices(
    configuration: Configuration, watch: Callable[[float], None] = lambda part: None
) -> Examination:
    """The same of a rig of real devices; where its motion sensor is not there, of what is."""
    try:
        with hardware_rig(configuration) as rig:
            return examine(rig, configuration.gps, watch=watch)
    except CammError as trouble:
        findings = [error(str(trouble))]
    if configuration.imu is None:
        return Examination(None, None, None, None, tuple(findings))
    bus: BusReading | None = None
    with suppress(CammError), open_bus(configuration.imu.bus) as opened:
        bus, more = survey(opened, HostClock())
        findings += more
    rest = Examination(None, None, None, None, ())
    others = Configuration(gps=configuration.gps, camera=configuration.camera)
    if others != Configuration():
        rest = examine_devices(others, watch)
    return replace(rest, bus=bus, findings=(*findings, *rest.findings))


def examine(
    rig: Rig,
    gps: GpsSettings | None = None,
    seconds: float = 2.0,
    watch: Callable[[float], None] = lambda part: None,
) -> Examination:
    """Read the sensors and the camera of a rig for a time and judge them.

    `gps` is what its receiver was asked for, where that is known; `watch` is told how far it is.
    """
    findings: list[Finding] = []
    bus: BusReading | None = None
    if rig.bus is not None:
        try:
            bus, findings = survey(rig.bus, rig.clock)
        except BusError as trouble:
            findings = [error(str(trouble))]
    heard = _listen(rig, seconds, findings, watch)
    imu: ImuReading | None = None
    mag: MagReading | None = None
    receiver: GpsReading | None = None
    needed_bits = 0.0
    if isinstance(rig.imu, ImuSource) and rig.imu.device is not None:
        settings = rig.settings
        blocks = [d.content for d in heard["imu"] if isinstance(d.content, Inertial)]
        imu = read_imu(rig.imu, blocks, settings.gyro_range_dps, settings.accel_range_g)
        findings += judge_imu(imu) if imu else [_dumb(rig.imu)]
        if isinstance(rig.imu.device, FifoImu):
            needed_bits += imu_load(rig.imu.device)
    if isinstance(rig.mag, MagSource) and (device := rig.mag.device) is not None:
        fields = [d.content for d in heard["mag"] if isinstance(d.content, Magnetic)]
        mag = read_magnetometer(rig.mag, fields)
        away = rig.mag.saturated
        if mag is not None:
            findings += judge_magnetometer(mag)
        else:
            findings.append(too_strong(device.name, away) if away else _dumb(rig.mag))
        if bus is not None and device.description["bus"] == bus.name:
            needed_bits += magnetometer_load(device)
    elif rig.imu is not None and rig.mag is None:
        findings.append(
            warning(
                "there is no magnetometer",
                "headings have an arbitrary north",
                "add one, or use an IMU with one inside",
            )
        )
    if isinstance(rig.gps, GpsSource) and "gps" in heard:
        fixes = [d.content for d in heard["gps"] if isinstance(d.content, Samples)]
        asked_hz = 0 if gps is None else gps.rate_hz
        wired = gps is not None and gps.pps is not None
        receiver = read_receiver(rig.gps, fixes, asked_hz, wired=wired)
        findings += judge_receiver(receiver)
    camera: CameraReading | None = None
    if rig.camera is not None and "camera" in heard:
        camera, troubles = _filmed(rig.camera, heard["camera"])
        findings += troubles
    if bus is not None:
        findings += judge_load(bus, needed_bits)
    return Examination(bus, imu, mag, receiver, tuple(findings), camera)


def _filmed(
    source: CameraSource, heard: Sequence[Delivery]
) -> tuple[CameraReading | None, list[Finding]]:
    shown = [delivery.content for delivery in heard if isinstance(delivery.content, Sequence)]
    reading = read_camera(source, [packet for packets in shown for packet in packets])
    if reading is not None:
        return reading, list(judge_camera(reading))
    name = source.describe()["device"]
    return None, [error(f"{name} shows nothing", "", "check its cable and its mode")]


def _listen(
    rig: Rig, seconds: float, findings: list[Finding], watch: Callable[[float], None]
) -> dict[str, list[Delivery]]:
    """What the sources have to say; those that cannot be opened are findings and say nothing."""
    clock = rig.clock
    heard: dict[str, list[Delivery]] = {}
    opened: list[Source] = []
    try:
        for source in rig.all_sources:
            opened.append(source)
            try:
                source.open()
            except (CammError, OSError) as trouble:
                findings.append(error(f"{source.name}: {trouble}"))
                continue
            heard[source.name] = []
            source.start(heard[source.name].append)
        begin_ns, span_ns = clock.now_ns(), round(seconds * 1e9)
        while (passed_ns := clock.now_ns() - begin_ns) < span_ns:
            watch(passed_ns / span_ns)
            clock.sleep_until(min(begin_ns + span_ns, clock.now_ns() + _LOOK_NS))
    finally:
        for source in opened:
            source.stop()
        for source in opened:
            source.join()
            source.close()
    findings += [
        error(f"{source.name} failed on its way: {source.statistics.error}")
        for source in opened
        if source.statistics.failures
    ]
    return heard


def _dumb(source: ImuSource | MagSource) -> Finding:
    """Of a chip that has given no sample."""
    return error(
        f"{source.describe()['chip']} answers and gives no sample",
        "it is broken, or something on the bus resets it",
        "cut its power for a moment, check its supply and ground",
    )


def _receiver(host: HostReading) -> GpsSettings | None:
    """gpsd, which has the receiver for itself, or else the first port where there should be one."""
    if host.gpsd:
        return GpsSettings("gpsd://localhost:2947")
    ports = [port.path for port in host.serial if port.receiver]
    return GpsSettings(ports[0], pps=host.pps[0] if host.pps else None) if ports else None


def _imu_on(bus: I2CBus) -> FoundImu | None:
    try:
        return find_imu(bus)
    except CammError:
        return None


def _magnetometer_on(bus: I2CBus) -> MagnetometerSettings | None:
    try:
        find_magnetometer(bus)
    except CammError:
        return None
    return MagnetometerSettings()
