"""The orientation that a chip works out by itself, brought into the camera's axes.

It stands where `OrientationFuser` would: the same samples come out, made by another hand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array
from camm.packets import PacketType
from camm.samples import Samples
from fusion.camera_orientation import CameraOrientation
from fusion.fuser import FusionStatistics, Times
from fusion.orientation import CHIP

_UNIT = 0.05  # how far from 1 the norm may be: quaternions of 14 bits are within 0.001


class ChipOrientation:
    """Makes type 0 samples of a chip's own quaternions. One thread at a time.

    Nothing waits here, for the chip has joined its sensors already. What is no rotation, as after a
    fault on the bus, is left out.

    `mount`  R_camera,sensor
    """

    def __init__(self, mount: npt.ArrayLike) -> None:
        self._camera = CameraOrientation(mount)
        self._ready: list[Samples] = []
        self._fused = self._bad = 0

    def set_declination(self, declination: float) -> None:
        """Turn what comes from now on to true north; radians, magnetic north east of true."""
        self._camera.set_declination(declination)

    def add(self, t_ns: Times, orientation: Array) -> None:
        """Orientations: int64[N], and quaternions (N, 4) from sensor axes to east-north-up."""
        norm = np.linalg.norm(orientation, axis=1)
        good = np.abs(norm - 1.0) < _UNIT  # a comparison with NaN is false
        count = int(np.count_nonzero(good))
        self._fused += count
        self._bad += len(t_ns) - count
        if count:
            unit = orientation[good] / norm[good, None]
            self._ready.append(self._camera.samples(t_ns[good], unit))

    def take(self) -> Samples | None:
        """The orientations since the last call, None where there are none."""
        ready, self._ready = self._ready, []
        return Samples.concatenate(PacketType.ANGLE_AXIS, ready) if ready else None

    def flush(self) -> Samples | None:
        """As `take`: nothing waits."""
        return self.take()

    @property
    def statistics(self) -> FusionStatistics:
        return FusionStatistics(filter=CHIP, fused=self._fused, bad_orientation=self._bad)
