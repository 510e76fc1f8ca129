"""Ways to go: where, how fast and in which direction, with exact derivatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hw_sim.rotation import Floats
from hw_sim.scenario import Circle, RandomRoute, Waypoint

Complex = npt.NDArray[np.complex128]

_ORDER = 6  # of a quintic
_FINE = 64  # steps between two waypoints, for the length of the line


@dataclass(frozen=True, slots=True, eq=False)
class Travel:
    """Being on the way at N instants; each with its first and second derivative by time.

    `place`    north + i east of the place, m; `up` m
    `heading`  clockwise from north, rad: where the way leads, also for who stands still
    `pull`     to the right, m/s^2: what a turn needs; with the first derivative only
    """

    place: tuple[Complex, Complex, Complex]
    up: tuple[Floats, Floats, Floats]
    heading: tuple[Floats, Floats, Floats]
    pull: tuple[Floats, Floats]


class Way(Protocol):
    """Where one is going."""

    def at(self, t_s: Floats) -> Travel:
        """Seconds from the beginning."""
        ...


class CircleWay:
    """Round a circle at a steady speed."""

    def __init__(self, circle: Circle) -> None:
        self._circle = circle

    def at(self, t_s: Floats) -> Travel:
        radius = self._circle.radius_m
        turn = self._circle.speed_m_s / radius
        angle = math.radians(self._circle.start_deg) + turn * t_s
        spoke = np.exp(1j * angle)
        none = np.zeros_like(t_s)
        return Travel(
            (radius * spoke, 1j * turn * radius * spoke, -turn * turn * radius * spoke),
            (none, none, none),
            (angle + math.pi / 2, none + turn, none),
            (none + turn * turn * radius, none),
        )


class _ClosedSpline:
    """A smooth line through points that comes back to the first: quintic, so that its fourth
    derivative has no step. Columns are north + i east and, as a complex number too, up.
    """

    def __init__(self, points: Complex, steps: Floats) -> None:
        """Take points (N, C), and by how much the parameter grows from each to the next (N,)."""
        count = len(points)
        self.knots = np.concatenate([[0.0], np.cumsum(steps)])
        equations = np.zeros((count, _ORDER, count, _ORDER))
        wanted = np.zeros((count, _ORDER, points.shape[1]), complex)
        for i, step in enumerate(steps):
            following = (i + 1) % count
            equations[i, 0, i, 0] = 1
            wanted[i, 0] = points[i]
            for order in range(_ORDER - 1):
                # At the end of a piece: the next point, then each derivative of the next piece.
                equations[i, order + 1, i] = _derivatives(np.array([step]), order)[0]
                if order:
                    equations[i, order + 1, following, order] = -math.factorial(order)
            wanted[i, 1] = points[following]
        size = count * _ORDER
        self._coefficients = np.linalg.solve(
            equations.reshape(size, size), wanted.reshape(size, -1)
        ).reshape(count, _ORDER, -1)

    def at(self, parameter: Floats, order: int) -> Complex:
        """The derivative of an order, (N, C), for parameters from 0 to the last knot."""
        last = len(self.knots) - 2
        piece = np.clip(np.searchsorted(self.knots, parameter, "right") - 1, 0, last)
        powers = _derivatives(parameter - self.knots[piece], order)
        value: Complex = np.einsum("no,noc->nc", powers, self._coefficients[piece])
        return value

    def lengths(self) -> Floats:
        """Level length of each piece."""
        share = (np.arange(_FINE) + 0.5) / _FINE
        steps = np.diff(self.knots)
        parameter = (self.knots[:-1, None] + steps[:, None] * share).ravel()
        speed = np.abs(self.at(parameter, 1)[:, 0]).reshape(-1, _FINE)
        out: Floats = speed.mean(axis=1) * steps
        return out


def _derivatives(x: Floats, order: int) -> Floats:
    """The derivative of an order of 1, x, ..., x^5, (N, 6)."""
    power = np.arange(_ORDER)
    factor = np.array([math.perm(int(p), order) for p in power], float)
    out: Floats = factor * x[:, None] ** np.maximum(power - order, 0)
    return out


class RouteWay:
    """From waypoint to waypoint and round again, at speeds that change without a jerk.

    The parameter of the line is very nearly its length, so speeds are right to a tenth; on a leg
    it grows at the speed of its beginning, in the end at that of its end, and between them by
    a smooth step, which takes the time that the mean of both speeds takes.
    """

    def __init__(self, waypoints: Sequence[Waypoint]) -> None:
        table = np.array(waypoints)
        points = np.stack([table[:, 1] + 1j * table[:, 0], table[:, 2].astype(complex)], axis=-1)
        lengths = np.abs(np.roll(points[:, 0], -1) - points[:, 0])
        for _ in range(3):
            self._spline = _ClosedSpline(points, lengths)
            lengths = self._spline.lengths()
        self._knots = self._spline.knots
        self._speed, wait = table[:, 3], table[:, 4]
        self._next_speed = np.roll(self._speed, -1)
        self._leg_s = 2 * np.diff(self._knots) / (self._speed + self._next_speed)
        self._arrive_s = np.concatenate([[0.0], np.cumsum(wait + self._leg_s)])
        self._leave_s = self._arrive_s[:-1] + wait

    def at(self, t_s: Floats) -> Travel:
        u, du, ddu = self._progress(t_s % self._arrive_s[-1])
        line, d1, d2, d3 = (self._spline.at(u, order) for order in range(4))
        level = d1[:, 0]
        bend, bend_on = d2[:, 0] / level, d3[:, 0] / level
        per_length = bend.imag, (bend_on - bend * bend).imag  # the heading's derivatives by u
        turn, turn_on = per_length[0] * du, per_length[1] * du * du + per_length[0] * ddu
        speed = np.abs(level) * du
        speed_on = np.abs(level) * (bend.real * du * du + ddu)
        velocity = d1 * du[:, None]
        acceleration = d2 * (du * du)[:, None] + d1 * ddu[:, None]
        return Travel(
            (line[:, 0], velocity[:, 0], acceleration[:, 0]),
            (line[:, 1].real, velocity[:, 1].real, acceleration[:, 1].real),
            (np.angle(level), turn, turn_on),
            (speed * turn, speed_on * turn + speed * turn_on),
        )

    def _progress(self, t_s: Floats) -> tuple[Floats, Floats, Floats]:
        """How far along the line, with both derivatives."""
        leg = np.clip(np.searchsorted(self._arrive_s, t_s, "right") - 1, 0, len(self._leg_s) - 1)
        length_s = self._leg_s[leg]
        x = np.clip((t_s - self._leave_s[leg]) / length_s, 0, 1)
        here, more = self._speed[leg], self._next_speed[leg] - self._speed[leg]
        return (
            self._knots[leg] + length_s * (here * x + more * x**3 * (1 - x / 2)),
            here + more * x * x * (3 - 2 * x),
            more * 6 * x * (1 - x) / length_s,
        )


def random_waypoints(route: RandomRoute, chance: np.random.Generator) -> list[Waypoint]:
    """A route round the place, clockwise, every bend at another distance."""
    count = route.bends
    angle = (np.arange(count) + chance.uniform(-0.3, 0.3, count)) * 2 * math.pi / count
    radius = route.radius_m * chance.uniform(0.5, 1, count)
    up, speed = chance.uniform(*route.height_m, count), chance.uniform(*route.speed_m_s, count)
    rows = zip(radius * np.sin(angle), radius * np.cos(angle), up, speed, strict=True)
    return [(float(e), float(n), float(h), float(v), 0.0) for e, n, h, v in rows]
