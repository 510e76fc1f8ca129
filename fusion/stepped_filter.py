"""What filters have in common whose library takes one sample at a time and keeps little state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from camm.frames import Array, conjugate, from_angle_axis, from_matrix, multiply

ENU = np.array([1.0, 0.0, 0.0, 0.0])
ENU_FROM_NWU = np.sqrt([0.5, 0.0, 0.0, 0.5])
ENU_FROM_NED = np.sqrt([0.0, 0.5, 0.5, 0.0])


class SteppedFilter(ABC):
    """Sets out from the attitude that a sample shows, and takes step after step from there.

    A loop in Python: 20 to 200 us a sample, where vqf needs one.
    """

    name: ClassVar[str]
    acausal = False
    world: ClassVar[Array]
    """East-north-up from the world that the library really works in."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self._q = conjugate(self.world)
        self._knows_up = self._knows_north = False

    @abstractmethod
    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        """Sensor -> `world` after a sample, of that after the one before. The force is not zero."""

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        # An angular rate of exactly zero makes `ahrs` return without any correction.
        rates = np.where(gyro.any(axis=1, keepdims=True), gyro, (1e-12, 0.0, 0.0))
        forced, fields = (np.abs(rows).max(axis=1) > 0 for rows in (accel, mag))
        samples = zip(rates, accel, mag, forced.tolist(), fields.tolist(), strict=True)
        q = self._q
        out = np.empty((len(gyro), 4))
        for row, (rate, force, field, has_force, has_field) in enumerate(samples):
            if not has_force:
                q = multiply(q, from_angle_axis(rate * self.period_s))
            else:
                if has_field and not self._knows_north:
                    # Its gain is low: from a wrong north a filter would need more than a minute.
                    q = self._attitude(force, field)
                    self._knows_up = self._knows_north = True
                elif not self._knows_up:
                    # Any direction across gravity will do for north: that of the flattest axis.
                    q = self._attitude(force, np.eye(3)[np.argmin(np.abs(force))])
                    self._knows_up = True
                q = self.step(q, rate, force, field if has_field else None)
            out[row] = q
        self._q = q
        return multiply(self.world, out)

    def restart(self) -> None:
        self._knows_up = self._knows_north = False

    def _attitude(self, force: Array, northward: Array) -> Array:
        """Sensor -> `world`: up is the force, east is across it and `northward` (TRIAD)."""
        up = force / np.linalg.norm(force)
        east = np.cross(northward, up)
        east /= np.linalg.norm(east)
        enu = from_matrix(np.stack([east, np.cross(up, east), up]))
        return multiply(conjugate(self.world), enu)
