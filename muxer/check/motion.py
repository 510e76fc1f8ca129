"""Rules for the values of the motion sensors, each by itself: numbers, units, signs of life."""

from __future__ import annotations

from collections.abc import Iterator

from camm import PacketType, is_vector
from muxer.check.evidence import Evidence
from muxer.check.finding import number
from muxer.check.rule import Fault, rule

_STANDARD_GRAVITY = 9.81
_FAR_FROM_GRAVITY = 1.5
_MOST_TURNING = 15.0
"""rad/s in the mean of a clip: two turns a second, all the time; no camera is turned like that."""
_FASTEST = 80.0
"""rad/s: beyond the range of every motion sensor that cameras have (4000 deg/s is 70 rad/s)."""
_WEAKEST_UT, _STRONGEST_UT = 10.0, 150.0
"""The Earth's field has 22 to 67 uT; iron near the sensor adds to it or takes from it."""
_FEWEST = 10
_STILL_NS = 2_000_000_000
_SENSORS = (PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD)


@rule("specification", "error", "leave out samples that are no numbers")
def finite_vectors(evidence: Evidence) -> Iterator[Fault]:
    """No NaN and no infinity: one of them spoils every filter that it goes through."""
    for stream in evidence.of(*filter(is_vector, PacketType)):
        if stream.broken.count:
            yield Fault(
                f"{number(stream.broken.count, 'record')} of {stream.kind.label} with NaN or "
                "infinity",
                stream.broken.first_ns,
            )


@rule("readers", "error", "write 1e-9 in place of 0")
def orientation_never_zero(evidence: Evidence) -> Iterator[Fault]:
    """Telemetry-parser divides by the length of the angle-axis and makes NaN of 0."""
    for stream in evidence.of(PacketType.ANGLE_AXIS):
        if stream.zero.count:
            yield Fault(
                f"{number(stream.zero.count, 'record')} of angle_axis exactly zero: readers that "
                "divide by the angle make NaN of them",
                stream.zero.first_ns,
            )


@rule("specification", "warning", "take 2 pi off the angle, and turn the axis round")
def orientation_within_half_turn(evidence: Evidence) -> Iterator[Fault]:
    """Every rotation has an angle of at most pi, and readers may expect that one."""
    for stream in evidence.of(PacketType.ANGLE_AXIS):
        if stream.beyond.count:
            yield Fault(
                f"{number(stream.beyond.count, 'record')} of angle_axis beyond a half turn, up to "
                f"{stream.longest:.3f} rad",
                stream.beyond.first_ns,
            )


@rule("specification", "error", "write rad/s: degrees times 0.017453")
def gyro_in_si_units(evidence: Evidence) -> Iterator[Fault]:
    """Angular rate is in rad/s; in degrees it would be 57 times as much."""
    for stream in evidence.of(PacketType.GYRO):
        if stream.mean_length > _MOST_TURNING:
            yield Fault(
                f"the angular rate is {stream.mean_length:.1f} in the mean, expected rad/s: is it "
                "in degrees?"
            )
        elif stream.longest > _FASTEST:
            yield Fault(
                f"the angular rate is up to {stream.longest:.1f} rad/s, more than sensors measure",
                severity="warning",
                remedy="leave out what is no measurement",
            )


@rule("specification", "error", "write m/s^2 with gravity in it: g times 9.80665")
def gravity_in_si_units(evidence: Evidence) -> Iterator[Fault]:
    """Acceleration is specific force in m/s^2, gravity included."""
    for stream in evidence.of(PacketType.ACCELERATION):
        mean = stream.mean_length
        if abs(mean - _STANDARD_GRAVITY) > _FAR_FROM_GRAVITY:
            # Hard motion moves the mean a little; a factor of two is another unit or no gravity.
            strange = not 0.5 < mean / _STANDARD_GRAVITY < 2
            yield Fault(
                f"the acceleration is {mean:.2f} m/s^2 in the mean, expected about 9.81: is it in "
                "another unit, or gravity taken off?",
                severity="error" if strange else "warning",
            )


@rule("specification", "warning", "write microtesla (gauss times 100), and calibrate it in place")
def field_of_the_earth(evidence: Evidence) -> Iterator[Fault]:
    """The magnetic field is in microtesla, and not far from the Earth's 22 to 67."""
    for stream in evidence.of(PacketType.MAGNETIC_FIELD):
        mean = stream.mean_length
        if stream.count >= _FEWEST and not _WEAKEST_UT < mean < _STRONGEST_UT:
            yield Fault(
                f"the magnetic field is {mean:.3g} in the mean, expected 22 to 67 uT: is it in "
                "another unit, or is there iron or a magnet near the sensor?"
            )


@rule("readers", "warning", "look at the sensor: its values were held, or it hangs")
def sensors_alive(evidence: Evidence) -> Iterator[Fault]:
    """A sensor that measures is never the same to the last digit for two seconds."""
    for stream in evidence.of(*_SENSORS):
        still_ns = stream.still.end_ns - stream.still.start_ns
        if still_ns > _STILL_NS:
            yield Fault(
                f"{stream.kind.label} does not change at all for {still_ns / 1e9:.1f} s",
                stream.still.start_ns,
            )


RULES = (
    finite_vectors,
    orientation_never_zero,
    orientation_within_half_turn,
    gyro_in_si_units,
    gravity_in_si_units,
    field_of_the_earth,
    sensors_alive,
)
