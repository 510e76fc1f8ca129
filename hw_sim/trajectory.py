"""The true motion of the simulated rig, in closed form.

Sums of sines on a circle: position and attitude have exact derivatives, so the gyroscope, the
accelerometer, the receiver and the camera all see one and the same motion at any instant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hw_sim.rotation import Floats, from_heading_pitch_roll, to_matrix
from hw_sim.scenario import MagneticField, TrajectoryParameters, Wave


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
    """A person walking clockwise round a circle with a camera in the hand."""

    def __init__(self, parameters: TrajectoryParameters, gravity_m_s2: float) -> None:
        self._parameters = parameters
        self._gravity = gravity_m_s2
        degree = math.radians(1)
        self._waves = _Waves(
            [
                (parameters.sway_m, 1.0),
                (parameters.bob_m, 1.0),
                (parameters.yaw_deg, degree),
                (parameters.pitch_deg, degree),
                (parameters.roll_deg, degree),
            ]
        )

    def pose(self, t_s: Floats) -> Pose:
        """The pose at each of the instants, seconds from the rig's beginning."""
        p = self._parameters
        value, rate, acceleration = (a.T for a in self._waves.at(t_s))
        turn = p.speed_m_s / p.radius_m
        angle = math.radians(p.start_deg) + turn * t_s

        # North and east as the real and imaginary part of r exp(i angle).
        spoke = np.exp(1j * angle)
        r, dr, ddr = p.radius_m + value[0], rate[0], acceleration[0]
        place = r * spoke
        velocity = (dr + 1j * turn * r) * spoke
        pull = (ddr + 2j * turn * dr - turn * turn * r) * spoke

        heading = angle + math.radians(90 + p.yaw_mean_deg) + value[2]
        pitch = math.radians(p.pitch_mean_deg) + value[3]
        roll = math.radians(p.roll_mean_deg) + value[4]
        quaternion = from_heading_pitch_roll(heading, pitch, roll)

        # Rates of heading, pitch and roll about the camera's own axes: each is turned by the
        # rotations that come after it in Ry(heading) Rx(pitch) Rz(roll).
        d_heading, d_pitch, d_roll = turn + rate[2], rate[3], rate[4]
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
        force = np.stack([pull.imag, -acceleration[1] - self._gravity, pull.real], axis=-1)
        return Pose(
            quaternion,
            angular_rate,
            np.stack([place.imag, place.real, value[1]], axis=-1),
            np.stack([velocity.imag, velocity.real, rate[1]], axis=-1),
            to_camera(quaternion, force),
        )


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
