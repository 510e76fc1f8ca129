"""One step of the filter of positions: from an estimate along a way to the next fix.

The axes are those of CAMM's world, X east, Y down, Z north. Orientation and accelerometer err
slowly and together: a bend that is long leans the vertical, and gravity leaks. That leak is a third
state beside position and velocity. The three axes do not know of one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camm.frames import Array
from fusion.fuser import Times

BRIDGED_NS = 200_000_000
"""For so long an acceleration may be missing: positions are no further apart."""

_FORCE = 0.1**2
"""Noise of the acceleration, (m/s^2)^2 a hertz: what errs more quickly than the leak."""
_LEAK, _LEAK_S = 0.5, 5.0
"""Standard deviation, m/s^2, and time constant. VQF takes for gravity what lasts for longer than
its three seconds, so that braking and bends leak."""
_UNKNOWN_SPEED = 30.0  # m/s, one sigma, of a first fix that tells no velocity
_GATE = 5.0  # what is more standard deviations off is not believed

_POSITION, _VELOCITY, _LEAKING = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """What the accelerometer alone makes of the time between two moments.

    `t_ns`      (N,) from the one to the other, `seconds` since the first
    `speed`, `length`  (N, 3) gained since the first, m/s and m, by who stood still there
    """

    t_ns: Times
    seconds: Array
    speed: Array
    length: Array

    @classmethod
    def between(cls, begin_ns: int, end_ns: int, t_ns: Times, accel: Array) -> Way | None:
        """Of accelerations in the world, m/s^2 (N, 3); None where they leave a gap."""
        first = int(t_ns.searchsorted(begin_ns, side="right")) - 1
        last = int(t_ns.searchsorted(end_ns))
        if first < 0 or last >= len(t_ns) or np.diff(t_ns[first : last + 1]).max() > BRIDGED_NS:
            return None
        at_ns = np.concatenate([[begin_ns], t_ns[first + 1 : last], [end_ns]])
        seconds, known = (at_ns - begin_ns) / 1e9, (t_ns[first : last + 1] - begin_ns) / 1e9
        felt = np.stack([np.interp(seconds, known, a) for a in accel[first : last + 1].T], axis=1)
        step = np.diff(seconds)[:, None]
        speed, length = np.zeros_like(felt), np.zeros_like(felt)
        np.cumsum((felt[:-1] + felt[1:]) / 2 * step, axis=0, out=speed[1:])
        gained = speed[:-1] * step + (2 * felt[:-1] + felt[1:]) / 6 * step * step
        np.cumsum(gained, axis=0, out=length[1:])
        return cls(at_ns, seconds, speed, length)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Position, velocity and leak, a row each axis (3, 3), and their covariances (3, 3, 3)."""

    t_ns: int
    state: Array
    covariance: Array

    @classmethod
    def of_fix(cls, t_ns: int, place: Array, velocity: Array, sigmas: Array) -> Estimate:
        """What a fix alone tells."""
        told = np.isfinite(velocity)
        state, covariance = np.zeros((3, 3)), np.zeros((3, 3, 3))
        state[:, _POSITION] = np.where(np.isfinite(place), place, 0.0)
        state[:, _VELOCITY] = np.where(told, velocity, 0.0)
        covariance[:, _POSITION, _POSITION] = sigmas[0] ** 2
        covariance[:, _VELOCITY, _VELOCITY] = np.where(told, sigmas[1], _UNKNOWN_SPEED) ** 2
        covariance[:, _LEAKING, _LEAKING] = _LEAK**2
        return cls(t_ns, state, covariance)

    def after(self, way: Way) -> Estimate:
        """Where a way leads."""
        t = float(way.seconds[-1])
        kept = np.exp(-t / _LEAK_S)
        turn = np.array([[1.0, t, t * t / 2], [0.0, 1.0, t], [0.0, 0.0, kept]])
        noise = _FORCE * np.array([[t**3 / 3, t * t / 2, 0.0], [t * t / 2, t, 0.0], [0.0] * 3])
        noise[_LEAKING, _LEAKING] = _LEAK**2 * (1 - kept * kept)
        state = self.state @ turn.T
        state[:, _POSITION] += way.length[-1]
        state[:, _VELOCITY] += way.speed[-1]
        return Estimate(int(way.t_ns[-1]), state, turn @ self.covariance @ turn.T + noise)

    def corrected(self, place: Array, velocity: Array, sigmas: Array) -> Estimate | None:
        """With what a fix tells at this moment; None where that cannot be believed."""
        state, covariance = self.state, self.covariance
        for what, told, sigma in zip(
            (_POSITION, _VELOCITY), (place, velocity), sigmas, strict=True
        ):
            known = np.isfinite(told)
            off = np.where(known, told - state[:, what], 0.0)
            expected = covariance[:, what, what] + sigma * sigma
            if (off * off > _GATE**2 * expected).any():
                return None
            gain = covariance[:, what] * (known / expected)[:, None]
            state = state + gain * off[:, None]
            covariance = covariance - gain[:, :, None] * covariance[:, None, what]
        return Estimate(self.t_ns, state, covariance)

    def moved(self, by: Array) -> Estimate:
        """The same in another frame: each place is by so much further."""
        state = self.state.copy()
        state[:, _POSITION] += by
        return Estimate(self.t_ns, state, self.covariance)

    def positions(self, way: Way, end: Estimate) -> Array:
        """From here along a way, bent so that it ends in an estimate, its velocity included."""
        t = way.seconds[:, None]
        place, speed, leak = self.state.T
        found: Array = place + speed * t + leak * t * t / 2 + way.length
        long = way.seconds[-1]
        missing = end.state[:, _POSITION] - found[-1]
        too_slow = end.state[:, _VELOCITY] - (speed + leak * long + way.speed[-1])
        part = t / long
        found += missing * part**2 * (3 - 2 * part) + too_slow * long * part**2 * (part - 1)
        return found
