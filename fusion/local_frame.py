"""The frame that positions are told in: metres east, down and north of a place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm.frames import Array

_SEMI_MAJOR, _E2 = 6_378_137.0, 6.694_379_990_14e-3  # WGS 84


@dataclass(frozen=True, slots=True)
class LocalFrame:
    """X east, Y down, Z north of a place, for what is measured after a moment.

    The place is in degrees, and metres above the ellipsoid of WGS 84. It is a map with the scale of
    that place: down is down everywhere, north is north. At 50 degrees of latitude a hundred metres
    to the east are off by less than a centimetre within 500 m of it, and by 0.4 m 20 km away.
    """

    monotonic_ns: int
    latitude: float
    longitude: float
    altitude: float

    def place(
        self, latitude: npt.ArrayLike, longitude: npt.ArrayLike, altitude: npt.ArrayLike
    ) -> Array:
        """Of places on Earth the metres (N, 3)."""
        here = math.radians(self.latitude)
        normal = _SEMI_MAJOR / math.sqrt(1 - _E2 * math.sin(here) ** 2)
        meridian = normal**3 * (1 - _E2) / _SEMI_MAJOR**2
        turned = (np.asarray(longitude) - self.longitude + 180.0) % 360.0 - 180.0
        east = np.radians(turned) * (normal + self.altitude) * math.cos(here)
        north = np.radians(np.asarray(latitude) - self.latitude) * (meridian + self.altitude)
        return np.stack([east, self.altitude - np.asarray(altitude), north], axis=-1)
