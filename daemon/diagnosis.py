"""What figures of sensors mean: findings, in words, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.finding import Finding, error, warning
from daemon.readings import (
    BusReading,
    CameraReading,
    GpsReading,
    ImuReading,
    MagReading,
    SampledReading,
)

_FEW = 50  # samples, by which little can be said
_LIMIT, _OFF = 0.034, 0.03
"""How far a sensor's clock may be off: a clock fit takes 3.5 %, makers allow 1 to 3."""
_JITTER = 0.01  # of a period: what "Street View ready" asks for
_GRAVITY, _GRAVITY_OFF, _GRAVITY_WRONG = 9.80665, 0.05, 0.2
_NOISE_DEG_S, _NOISE_M_S2 = 0.5, 0.3  # at rest: several times that of the noisiest chip
_HOT_C = 70.0
_EARTH_UT = (22.0, 67.0)
_BUSY = 0.7  # of a bus: beyond that, sensors wait for each other
_SATURATED = 0.01
_POOR_M = 10.0
_SLOW = 0.8  # of the rate that was asked for


def judge_imu(reading: ImuReading) -> Iterator[Finding]:
    """What is wrong with a motion sensor."""
    yield from _judge_sampled(reading)
    chip = reading.chip
    if reading.saturated > _SATURATED:
        yield warning(
            f"{reading.saturated:.0%} of the samples of {chip} are at full scale",
            "",
            "choose a wider range, or fix it where it is shaken less",
        )
    if not reading.at_rest or reading.stuck:
        return
    off = abs(reading.gravity_m_s2 / _GRAVITY - 1)
    if off > _GRAVITY_OFF:
        kind = error if off > _GRAVITY_WRONG else warning
        yield kind(
            f"{chip} is at rest and measures {reading.gravity_m_s2:.2f} m/s², not {_GRAVITY:.2f}",
            "another chip than it says, such as an LSM6DSO32, or a damaged one",
            "fit another",
        )
    noise = reading.gyro_noise_deg_s, reading.accel_noise_m_s2
    if noise[0] > _NOISE_DEG_S or noise[1] > _NOISE_M_S2:
        yield warning(
            f"{chip} is at rest and its noise is {noise[0]:.2g} °/s and {noise[1]:.2g} m/s²",
            "a motor or a fan shakes it, or its supply is noisy",
            "keep it away from them",
        )


def judge_magnetometer(reading: MagReading) -> Iterator[Finding]:
    """What is wrong with a magnetometer."""
    yield from _judge_sampled(reading)
    if reading.saturated:
        yield too_strong(reading.chip, reading.saturated)
    least, most = _EARTH_UT
    if not reading.stuck and not least <= reading.field_ut <= most:
        yield warning(
            f"{reading.chip} measures {reading.field_ut:.0f} µT; the Earth's field is {least:.0f} "
            f"to {most:.0f} µT",
            "iron, a magnet or a current is near",
            "keep it away from loudspeakers, motors, batteries and supply cables",
        )


def too_strong(chip: str, samples: int) -> Finding:
    """Of a magnetometer whose samples were thrown away."""
    return error(
        f"the field is too strong for {chip} in {samples} samples",
        "a magnet is near",
        "keep it away from loudspeakers, motors and magnetic mounts",
    )


def judge_camera(reading: CameraReading) -> Iterator[Finding]:
    """What is wrong with a camera."""
    if reading.rate_hz < _SLOW * reading.asked_hz:
        yield warning(
            f"{reading.name} gives {reading.rate_hz:.1f} of {reading.asked_hz:g} pictures a second",
            "it exposes longer in the dark, or the host is too slow for the encoder",
            "more light, a smaller picture, or a lower fps",
        )
    elif reading.lost:
        yield warning(
            f"{reading.lost} of {reading.pictures + reading.lost} pictures of {reading.name} are "
            "missing",
            "the host is too slow for the encoder, or others are on the USB bus",
            "a smaller picture, or a lower fps",
        )


def judge_receiver(reading: GpsReading) -> Iterator[Finding]:
    """What is wrong with a receiver."""
    port = reading.port
    if reading.messages == 0:
        if reading.stray_bytes:
            yield error(
                f"{port} gives {reading.stray_bytes} bytes and no message",
                f"{reading.baud} baud is not its rate, or it speaks neither UBX nor NMEA",
                "name its rate with --baud",
            )
        else:
            yield error(
                f"{port} is silent",
                "no power, or its TX does not lead to our RX",
                "check the wiring; on the header, switch the serial console off (raspi-config)",
            )
        return
    if reading.damaged:
        yield warning(
            f"{reading.damaged} of {reading.messages + reading.damaged} messages from {port} came "
            "damaged",
            "another program reads there too, or the wires are too long",
            "stop gpsd or the serial console, shorten the wires",
        )
    if reading.fixes == 0:
        yield _no_fix(reading)
        return
    if not reading.accuracies:
        yield warning(
            f"the fixes of {port} have neither accuracies nor velocities",
            "its NMEA has no GST",
            "have it send GST and RMC, or use a receiver of u-blox",
        )
    if reading.horizontal_m is not None and reading.horizontal_m > _POOR_M:
        yield warning(
            f"fixes are good to {reading.horizontal_m:.0f} m only",
            "the antenna sees little of the sky",
            "give it a free view upwards, away from the camera and USB 3 cables",
        )
    if reading.rate_hz is not None and reading.rate_hz < _SLOW * reading.asked_hz:
        yield warning(
            f"{port} gives {reading.rate_hz:.1f} fixes a second, asked for {reading.asked_hz}",
            "it is not set up, or is no u-blox",
            "wire our TX to its RX, or ask for less with --gps-rate",
        )
    if reading.pulses is False:
        yield warning(
            f"no time pulse of {port} has come",
            "the wire, or the receiver gives none before it has a fix",
            "check its PPS pin and dtoverlay=pps-gpio,gpiopin=18",
        )


def judge_load(bus: BusReading, needed_bits: float) -> Iterator[Finding]:
    """Whether the bus carries what its sensors need, bits a second on the wire."""
    available = bus.bit_rate_hz
    if available is None or needed_bits < _BUSY * available:
        return
    kind = error if needed_bits > available else warning
    yield kind(
        f"the sensors on {bus.name} need {needed_bits / 9e3:.1f} kB/s, at "
        f"{available / 1e3:.0f} kHz it carries {available / 9e3:.1f}",
        "nine bits a byte, addresses and looks at the FIFO counted in",
        "dtparam=i2c_arm_baudrate=400000 in config.txt and reboot, or a lower --imu-rate",
    )


def _judge_sampled(reading: SampledReading) -> Iterator[Finding]:
    chip = reading.chip
    if reading.stuck:
        yield error(
            f"{chip} gives the same values again and again for {', '.join(reading.stuck)}",
            "it sleeps or is broken",
            "cut its power for a moment; then fit another",
        )
    off = reading.rate_hz / reading.nominal_hz - 1
    if reading.samples >= _FEW and abs(off) > _OFF:
        kind = error if abs(off) > _LIMIT else warning
        yield kind(
            f"the clock of {chip} is {100 * off:+.1f} % off",
            "makers allow 1 to 3 %: a counterfeit, or samples are lost unseen",
            "fit another",
        )
    if reading.lost:
        yield error(
            f"{chip} lost {reading.lost} of {reading.lost + reading.samples} samples",
            "its bus or this host does not keep up",
            "a faster bus, a lower rate, or less running beside",
        )
    if reading.jitter_s * reading.nominal_hz > _JITTER:
        yield warning(
            f"the period of {chip} is steady to {1e6 * reading.jitter_s:.0f} µs only",
            "this host is too busy to look in time",
            "let less run beside a recording",
        )
    if reading.temperature_c is not None and reading.temperature_c > _HOT_C:
        yield warning(
            f"{chip} is at {reading.temperature_c:.0f} °C",
            "something heats it",
            "keep it away from the processor and the camera",
        )


def _no_fix(reading: GpsReading) -> Finding:
    seen = "" if reading.satellites is None else f" and uses {reading.satellites:.0f} satellites"
    return error(
        f"the receiver at {reading.port} has no fix{seen}",
        "its antenna does not see the sky, or it has been on for less than a minute",
        "go outside, plug the antenna in, wait",
    )
