"""Say what devices there are, read the sensors for two seconds, and tell what is wrong and why.

Without options it looks for whatever there is; with those of `record` it examines that rig.

Exit code 0 where a recording would do well (warnings are told and do not count), 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cammcorder.commands.record import add_rig_arguments

if TYPE_CHECKING:
    from rich.progress import Progress

    from daemon.doctor import Examination, Offer
    from daemon.finding import Finding
    from daemon.host import HostReading
    from daemon.readings import (
        BusReading,
        CameraReading,
        GpsReading,
        ImuReading,
        MagReading,
        SampledReading,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `doctor` can be told."""
    rig = parser.add_argument_group("the rig (default: whatever there is)")
    rig.add_argument("--sim", metavar="SCENARIO", help='a simulated rig: "walk" or a TOML file')
    add_rig_arguments(rig)
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")


def run(options: argparse.Namespace) -> int:
    """Examine, print, and say in the exit code how it is."""
    from daemon.doctor import well

    host, buses, cameras, examinations, findings = _examine(options)
    findings += [finding for examination in examinations for finding in examination.findings]
    buses += [examination.bus for examination in examinations if examination.bus is not None]
    if options.json:
        sys.stdout.write(_json(host, buses, cameras, examinations, findings))
    else:
        _print(host, buses, cameras, examinations, findings)
    return 0 if well(findings) else 1


def _examine(
    options: argparse.Namespace,
) -> tuple[HostReading | None, list[BusReading], Sequence[Offer], list[Examination], list[Finding]]:
    """The host, the buses without a rig on them, the cameras, what was examined, and what is wrong
    besides.
    """
    from camm.errors import UsageError
    from cammcorder.commands.record import configuration
    from daemon.doctor import discover, examine, examine_devices
    from daemon.host import Places, examine_host
    from daemon.rig import simulated_rig

    wired = configuration(options)
    told = wired.imu is not None or wired.gps is not None or wired.camera is not None
    if options.sim is not None and told:
        raise UsageError("--sim is a rig of its own: leave --i2c, --gps and --camera out")
    with _progress() as progress:
        task = progress.add_task("reading the sensors", total=1.0)

        def watch(part: float) -> None:
            progress.update(task, completed=part)

        if options.sim is not None:
            with simulated_rig(options.sim, None) as rig:
                return None, [], (), [examine(rig, watch=watch)], []
        host, findings = examine_host(Places())
        buses: list[BusReading] = []
        cameras: Sequence[Offer] = ()
        rigs = [wired]
        if not told:
            discovery = discover(host)
            rigs, buses = list(discovery.rigs), list(discovery.other_buses)
            cameras = discovery.cameras
            findings += discovery.findings
        examinations = [examine_devices(each, watch) for each in rigs]
    return host, buses, cameras, examinations, findings


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _json(
    host: HostReading | None,
    buses: Sequence[BusReading],
    cameras: Sequence[Offer],
    examinations: Sequence[Examination],
    findings: Sequence[Finding],
) -> str:
    """The object that docs/HARDWARE.md describes."""
    import json
    from dataclasses import asdict

    from daemon.doctor import well

    parts = ("imu", "mag", "gps", "camera")
    facts = {
        "well": well(findings),
        "host": asdict(host) if host is not None else None,
        "buses": [asdict(bus) for bus in buses],
        "cameras": [asdict(camera) for camera in cameras],
        "rigs": [
            {part: asdict(found) if (found := getattr(each, part)) else None for part in parts}
            for each in examinations
        ],
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(facts, indent=2, allow_nan=False) + "\n"


def _print(
    host: HostReading | None,
    buses: Sequence[BusReading],
    cameras: Sequence[Offer],
    examinations: Sequence[Examination],
    findings: Sequence[Finding],
) -> None:
    """One table of what there is, a sentence for each sensor, then what is wrong."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for head in ("device", "where", "what"):
        table.add_column(head, overflow="fold")
    for row in [*_bus_rows(buses), *_host_rows(host), *_camera_rows(cameras)]:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if table.row_count:
        console.print(table)
    for examination in examinations:
        for sentence in _sentences(examination):
            console.print(sentence, soft_wrap=True)
    for finding in sorted(findings, key=lambda finding: finding.severity):
        colour = "red" if finding.severity == "error" else "yellow"
        console.print(f"{finding.severity}: {finding}", style=colour, soft_wrap=True)
    if not findings:
        console.print("all is well", style="green")


def _bus_rows(buses: Sequence[BusReading]) -> Iterator[tuple[str, str, str]]:
    for bus in buses:
        speed = f"{bus.bit_rate_hz / 1e3:.0f} kHz" if bus.bit_rate_hz else ""
        yield "I2C bus", bus.name, speed or ("nobody answers" if not bus.answers else "")
        for answer in bus.answers:
            name = "held by the kernel" if answer.held else answer.name or "not known to us"
            yield "", f"0x{answer.address:02x}", name


def _camera_rows(cameras: Sequence[Offer]) -> Iterator[tuple[str, str, str]]:
    for camera in cameras:
        yield "camera", camera.path, camera.card
        for mode in camera.modes:
            yield "", "", mode


def _host_rows(host: HostReading | None) -> Iterator[tuple[str, str, str]]:
    if host is None:
        return
    for port in host.serial:
        yield "serial port", port.path, port.name
    if host.gpsd:
        yield "gpsd", "localhost:2947", ""
    for kind, paths in (("time pulse", host.pps), ("GPIO", host.gpio)):
        for path in paths:
            yield kind, path, ""
    for path, name in host.cameras:
        yield "video", path, name
    for called, name in host.microphones:
        yield "microphone", called, name
    sync = "" if host.sync_s is None else f", a megabyte is safe in {host.sync_s:.2f} s"
    yield "disk", "this folder", f"{host.free_bytes / 1e9:.0f} GB free{sync}"


def _sentences(examination: Examination) -> Iterator[str]:
    if examination.imu is not None:
        yield _imu_sentence(examination.imu)
    if examination.mag is not None:
        yield _mag_sentence(examination.mag)
    if examination.gps is not None:
        yield _gps_sentence(examination.gps)
    if examination.camera is not None:
        yield _camera_sentence(examination.camera)


def _sampled(kind: str, reading: SampledReading) -> str:
    warm = "" if reading.temperature_c is None else f", {reading.temperature_c:.0f} °C"
    return (
        f"{kind} {reading.chip} on {reading.bus} at {reading.address}: {reading.rate_hz:.1f} of "
        f"{reading.nominal_hz:g} Hz, period steady to {1e6 * reading.jitter_s:.1f} µs, "
        f"{reading.lost} of {reading.lost + reading.samples} samples lost{warm}"
    )


def _imu_sentence(reading: ImuReading) -> str:
    return (
        f"{_sampled('imu', reading)}; {'at rest' if reading.at_rest else 'moving'}, "
        f"{reading.gravity_m_s2:.2f} m/s², {reading.up} up; noise {reading.gyro_noise_deg_s:.3f} "
        f"°/s and {reading.accel_noise_m_s2:.3f} m/s²"
    )


def _mag_sentence(reading: MagReading) -> str:
    return f"{_sampled('mag', reading)}; {reading.field_ut:.1f} µT, noise {reading.noise_ut:.2f} µT"


def _gps_sentence(reading: GpsReading) -> str:
    def told(form: Callable[[Any], str], value: float | None) -> str:
        return form(value) if value is not None else ""

    parts = (
        f"{reading.messages} messages, {reading.fixes} fixes",
        told("{:.1f} Hz".format, reading.rate_hz),
        told("{:.0f} satellites".format, reading.satellites),
        told("PDOP {:.1f}".format, reading.pdop),
        told("good to {:.1f} m".format, reading.horizontal_m),
        told("{:.1f} m in height".format, reading.vertical_m),
        f"{1e3 * reading.latency_s[0]:.0f} to {1e3 * reading.latency_s[1]:.0f} ms late"
        if reading.latency_s
        else "",
        "stamped by its time pulse" if reading.pulses else "",
    )
    name = f" {reading.name}" if reading.name else ""
    baud = f" at {reading.baud} baud" if reading.baud else ""
    return f"gps{name} at {reading.port}{baud}: {', '.join(filter(None, parts))}"


def _camera_sentence(reading: CameraReading) -> str:
    shutter = (
        "nothing told of its shutter"
        if reading.exposure_s is None or reading.skew_s is None
        else f"exposed {1e3 * reading.exposure_s:.1f} ms, "
        f"{1e3 * reading.skew_s:.1f} ms from the first line to the last"
    )
    return (
        f"camera {reading.name}: {', '.join(reading.streams)}, {reading.rate_hz:.2f} of "
        f"{reading.asked_hz:g} pictures a second, steady to {1e3 * reading.jitter_s:.2f} ms, "
        f"{reading.lost} of {reading.lost + reading.pictures} missing, "
        f"{reading.bits_per_second / 1e6:.1f} Mbit/s; {shutter}"
    )
