"""The true motion of the simulated rig, in closed form.

Sums of sines on a way that is a circle or a spline: position and attitude have exact derivatives,
so the gyroscope, the accelerometer, the receiver and the camera all see one and the same motion at
any instant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camm import UsageError
from hw_sim.rotation import Floats, from_heading_pitch_roll, to_matrix
from hw_sim.route import CircleWay, RouteWay, Way, random_waypoints
from hw_sim.scenario import Band, MagneticField, TrajectoryParameters, Wave

_SINES = 24  # that make a band of random shaking


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where the camera is, how it is turned and how it moves, at N instants.

    `quaternion`      camera to world (X east, Y down, Z north), (N, 4), w first
    `angular_rate`    camera axes, rad/s
    `position`        east, north, up of the place, m; `velocity` likewise, m/s
    `specific_force`  camera axes, m/s^2: level at rest it is (0, -g, 0)
    """

    quaternion: Floats
    angular_rate: Floats
    position: Floats
    velocity: Floats
    specific_force: Floats

    @property
    def rotation(self) -> Floats:
        """The quaternions as matrices, (N, 3, 3)."""
        return to_matrix(self.quaternion)


class _Waves:
    """Several channels, each a sum of sines, with their first and second derivatives."""

    def __init__(self, channels: Sequence[tuple[Sequence[Wave], float]]) -> None:
        """Take each channel as its waves and the unit of their amplitudes."""
        rows = [wave for waves, _ in channels for wave in waves]
        self._omega = np.array([2 * math.pi * hertz for _, hertz, _ in rows])
        self._phase = np.array([math.radians(degrees) for _, _, degrees in rows])
        self._amplitude = np.zeros((len(rows), len(channels)))
        row = 0
        for channel, (waves, unit) in enumerate(channels):
            for amplitude, _, _ in waves:
                self._amplitude[row, channel] = amplitude * unit
                row += 1
        self._first = self._amplitude * self._omega[:, None]
        self._second = -self._first * self._omega[:, None]

    def at(self, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        """Values and both derivatives, each (N, channels)."""
        angle = np.multiply.outer(t_s, self._omega) + self._phase
        sine = np.sin(angle)
        return sine @ self._amplitude, np.cos(angle) @ self._first, sine @ self._second


class Trajectory:
    """How a scenario has the rig move. What is by chance in it, `seed` decides."""

    def __init__(
        self, parameters: TrajectoryParameters, gravity_m_s2: float, seed: int = 0
    ) -> None:
        self._parameters = p = parameters
        self._gravity = gravity_m_s2
        chance = np.random.default_rng(seed)
        self._way = _way(parameters, chance)
        degree = math.radians(1)
        waves = (p.sway_m, p.bob_m, p.yaw_deg, p.pitch_deg, p.roll_deg)
        bands = (p.shake_m, p.shake_m, p.shake_deg, p.shake_deg, p.shake_deg)
        units = (1.0, 1.0, degree, degree, degree)
        self._waves = _Waves(
            [
                ([*regular, *(wave for band in random for wave in _sines(band, chance))], unit)
                for regular, random, unit in zip(waves, bands, units, strict=True)
            ]
        )

    def pose(self, t_s: Floats) -> Pose:
        """The pose at each of the instants, seconds from the rig's beginning."""
        p = self._parameters
        (sway, bob, yaw, dip, tilt), rate, acceleration = (a.T for a in self._waves.at(t_s))
        way = self._way.at(t_s)
        towards, turn, turn_on = way.heading

        # Across the way is to its left, the outside of a turn to the right.
        left = np.exp(1j * (towards - math.pi / 2))
        place = way.place[0] + sway * left
        velocity = way.place[1] + (rate[0] + 1j * turn * sway) * left
        pull = way.place[2] + left * (
            acceleration[0] + 2j * turn * rate[0] + (1j * turn_on - turn * turn) * sway
        )
        rise = way.up[2] + acceleration[1]

        slope, d_slope = (a / self._gravity for a in way.pull)
        heading = towards + math.radians(p.yaw_mean_deg) + yaw
        pitch = math.radians(p.pitch_mean_deg) + dip
        roll = math.radians(p.roll_mean_deg) + tilt + p.lean * np.arctan(slope)
        quaternion = from_heading_pitch_roll(heading, pitch, roll)

        # Rates of heading, pitch and roll about the camera's own axes: each is turned by the
        # rotations that come after it in Ry(heading) Rx(pitch) Rz(roll).
        d_heading, d_pitch = turn + rate[2], rate[3]
        d_roll = rate[4] + p.lean * d_slope / (1 + slope * slope)
        cr, sr = np.cos(roll), np.sin(roll)
        across = d_heading * np.cos(pitch)
        angular_rate = np.stack(
            [
                cr * d_pitch + sr * across,
                cr * across - sr * d_pitch,
                d_roll - d_heading * np.sin(pitch),
            ],
            axis=-1,
        )
        # What an accelerometer feels is the acceleration less gravity; world Y is down.
        force = np.stack([pull.imag, -rise - self._gravity, pull.real], axis=-1)
        return Pose(
            quaternion,
            angular_rate,
            np.stack([place.imag, place.real, way.up[0] + bob], axis=-1),
            np.stack([velocity.imag, velocity.real, way.up[1] + rate[1]], axis=-1),
            to_camera(quaternion, force),
        )


def _way(parameters: TrajectoryParameters, chance: np.random.Generator) -> Way:
    if parameters.circle is not None:
        return CircleWay(parameters.circle)
    if parameters.route is not None:
        return RouteWay(parameters.route.waypoints)
    if parameters.random is not None:
        return RouteWay(random_waypoints(parameters.random, chance))
    raise UsageError("a trajectory needs a circle, a route or a random one")


def _sines(band: Band, chance: np.random.Generator) -> list[Wave]:
    """Waves that together are a random shaking of some rms within a band."""
    rms, low, high = band
    frequency, phase = chance.uniform(low, high, _SINES), chance.uniform(0, 360, _SINES)
    amplitude = rms * math.sqrt(2 / _SINES)
    return [(amplitude, float(f), float(p)) for f, p in zip(frequency, phase, strict=True)]


class Field:
    """The Earth's magnetic field, the same everywhere on the walk."""

    def __init__(self, parameters: MagneticField) -> None:
        declination = math.radians(parameters.declination_deg)
        inclination = math.radians(parameters.inclination_deg)
        level = parameters.strength_ut * math.cos(inclination)
        self.world = np.array(
            [
                level * math.sin(declination),
                parameters.strength_ut * math.sin(inclination),
                level * math.cos(declination),
            ]
        )
        """East, down, north, uT."""

    def in_camera(self, quaternion: Floats) -> Floats:
        """The field in camera axes, uT (N, 3), for cameras turned by `quaternion` (N, 4)."""
        return to_camera(quaternion, np.broadcast_to(self.world, (len(quaternion), 3)))


def to_camera(quaternion: Floats, world: Floats) -> Floats:
    """World vectors (N, 3) in the axes of cameras turned by `quaternion` (N, 4)."""
    seen: Floats = np.einsum("nij,ni->nj", to_matrix(quaternion), world)
    return seen
