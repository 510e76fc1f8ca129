"""The layout of the EuRoC data sets, which visual-inertial programs and Kalibr's tools read.

    mav0/imu0/data.csv     time, angular rate and specific force, a row for every angular rate
    mav0/imu0/sensor.yaml  what the columns are
    mav0/cam0/data.csv     time and name of every frame; the pictures are left to other programs
    mav0/cam0/sensor.yaml  size and rate of the pictures

Times are nanoseconds from the first video frame. Body, sensor and camera axes are one: those of
CAMM. Noise densities are the sensor's and no clip tells them: fill them in.

Source: ASL data set format, https://projects.asl.ethz.ch/datasets/doku.php?id=kmavvisualinertialdatasets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from camm import PacketType
from muxer.clip import Track
from muxer.extract.beside import printed_beside, rates_and_followers
from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.selection import Selection
from muxer.records import Records

_NEEDED = (PacketType.GYRO, PacketType.ACCELERATION)
_IMU = (
    "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
    "a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]\n"
)
_POSE = """T_BS:
  cols: 4
  rows: 4
  data: [1.0, 0.0, 0.0, 0.0,
         0.0, 1.0, 0.0, 0.0,
         0.0, 0.0, 1.0, 0.0,
         0.0, 0.0, 0.0, 1.0]
"""


def documents(selection: Selection) -> list[Document]:
    """Files in a folder `.euroc`: those of the motion sensor, and of the camera if there is one."""
    clip = selection.clip
    for kind in _NEEDED:
        if kind not in selection.present:
            raise NothingToExtractError(f"{clip.path} has no {kind.label} for the EuRoC layout")

    def rates(records: Iterable[Records]) -> Iterator[bytes]:
        yield _IMU.encode()
        yield from map(printed_beside, rates_and_followers(clip, records, _NEEDED[1:]))

    extent = clip.survey.extents[PacketType.GYRO]
    length_s = (extent.last_ns - extent.first_ns) / 1e9
    rate_hz = (extent.count - 1) / length_s if length_s else 0.0
    sensor = f"sensor_type: imu\ncomment: angular rate and specific force\n{_POSE}"
    made = [
        Document(".euroc/mav0/imu0/data.csv", rates),
        _constant(".euroc/mav0/imu0/sensor.yaml", f"{sensor}rate_hz: {rate_hz:.6g}\n"),
    ]
    if (video := clip.video) is not None:
        made += _camera(video)
    return made


def _camera(video: Track) -> list[Document]:
    def frames() -> Iterator[str]:
        yield "#timestamp [ns],filename\n"
        yield from (f"{t_ns},{t_ns}.png\n" for t_ns in np.sort(video.pts_ns).tolist())

    rate_hz = video.count * 1e9 / video.duration_ns if video.duration_ns else 0.0
    sensor = (
        f"sensor_type: camera\ncomment: frames of the film\n{_POSE}rate_hz: {rate_hz:.6g}\n"
        f"resolution: [{video.width}, {video.height}]\n"
    )
    return [
        Document.of_lines(".euroc/mav0/cam0/data.csv", frames),
        _constant(".euroc/mav0/cam0/sensor.yaml", sensor),
    ]


def _constant(suffix: str, content: str) -> Document:
    return Document.of_lines(suffix, lambda: iter([content]))
