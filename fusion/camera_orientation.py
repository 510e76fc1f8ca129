"""From the orientation of a sensor to that of the camera: what CAMM type 0 says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array, check_mount, to_angle_axis, world_from_camera
from camm.packets import VALUE_DTYPES, PacketType
from camm.samples import Samples


class CameraOrientation:
    """Turns quaternions sensor -> east-north-up into type 0 samples.

    `mount`  R_camera,sensor
    """

    def __init__(self, mount: npt.ArrayLike) -> None:
        self._mount = check_mount(mount)
        self.set_declination(0.0)

    def set_declination(self, declination: float) -> None:
        """Turn what comes from now on to true north; radians, magnetic north east of true."""
        # The way from the filter's orientation to the camera's is linear in the quaternion: what it
        # makes of the four units is all there is to know of it.
        self._camera = world_from_camera(np.eye(4), self._mount, declination=declination)

    def samples(self, t_ns: npt.NDArray[np.int64], orientation: Array) -> Samples:
        """Type 0 at these times, int64[N], of unit quaternions (N, 4)."""
        # No matrix product: that may round differently in blocks of different sizes. Column after
        # column in memory numpy has it in half the time.
        camera = (self._camera[:, :, None] * orientation.T[:, None]).sum(axis=0).T
        kind = PacketType.ANGLE_AXIS
        return Samples(kind, t_ns, to_angle_axis(camera).astype(VALUE_DTYPES[kind], order="C"))
