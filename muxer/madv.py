"""The Xiaomi Mi Sphere's own metadata: an orientation for every frame, in `moov/udta/madv`.

Children of `madv` are ordinary boxes, their contents little-endian:

    tlyd  3x3 matrices of float32, one a frame; room for many, the first that is all zeros ends them
    fltr  how many frames at the start have no matrix: the first one stands for them
    GYRA  in clips that the maker's app has exported: the matrices alone, and all of them
    DISP  display mode of such a clip
    cutl  cuts: a count, then pairs of time and duration
    caif  the camera: date, resolution, device, firmware, serial number
    gpsx  one place: references and coordinates as in Exif
    lutz  the table by which the two lenses' pictures are stitched

Source: the maker's SDK (MADV360/ImmoviewerMadventureDemo_iOS: MADVPano/MadvMP4Boxes.h,
MADVPano/GLCamera.cpp, libavformat_mov.c). Sizes differ by firmware, so boxes are walked.

None of this has been held against a real clip: no public one is known. What rests on the SDK's code
alone: that matrices count frames in the order in which they are shown; that they are rotations
(they are brought to the nearest one); their axes, which way around they turn, and that a heading of
zero is the panorama's centre; the forms of `gpsx`. `matrices` are what is in the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from camm.frames import from_matrix, to_angle_axis
from muxer.boxes import children
from muxer.errors import Mp4Error
from muxer.motion import Motion, stretches
from muxer.records import Records
from muxer.sample_table import Ints
from muxer.track import Track

Matrices = npt.NDArray[np.float32]

_KINDS = frozenset(b"tlyd fltr GYRA DISP cutl caif gpsx lutz".split())
_MATRIX_SIZE = 36
_MOST_CUTS = 20
_MOST_FRAMES = 1 << 24
"""Matrices; more would be a week of video."""
_NOT_A_ROTATION = 0.1
"""Deviation of M^T M from the identity from which on a matrix is reported."""

# The SDK draws the panorama by T G P, in OpenGL's axes (X right, Y up, Z back), where G has the
# file's numbers column by column. With the axes of CAMM (X right, Y down, Z forward) on both sides:
_LEFT = np.array([[1, 0, 0], [0, 0, -1], [0, -1, 0]])
_RIGHT = np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True, slots=True)
class Camera:
    """`caif`: texts as the camera wrote them."""

    date: str
    resolution: bytes
    speed: bytes
    device: str
    version: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class Place:
    """`gpsx`: degrees north and east, metres above sea level; NaN where they cannot be read."""

    ticks: int
    latitude: float
    longitude: float
    altitude: float


class Madv(Motion):
    """The metadata of a Mi Sphere clip, its orientations also as motion: one `angle_axis` a frame.

    `matrices`  float32 (N, 3, 3), a matrix for each frame from the first one on: those of the file,
                row by row, and before them the first one as often as `fltr` says
    `boxes`     the content of every box as it is, by its kind; `lutz` among them
    `missing`   how many frames at the start the file has no matrix for
    """

    def __init__(self, boxes: Mapping[bytes, bytes], video: Track | None) -> None:
        self.boxes = boxes
        self._video = video
        exported = b"GYRA" in boxes
        matrices = _matrices(boxes.get(b"GYRA" if exported else b"tlyd", b""))
        self.missing = 0 if exported or not len(matrices) else _number(boxes.get(b"fltr", b""))
        if self.missing + len(matrices) > _MOST_FRAMES:
            raise Mp4Error(f"box 'fltr' claims {self.missing} frames without a matrix")
        self.matrices = np.concatenate([np.repeat(matrices[:1], self.missing, axis=0), matrices])

    @property
    def display_mode(self) -> int | None:
        """`DISP`, which exported clips have."""
        content = self.boxes.get(b"DISP", b"")
        return content[0] if content else None

    @property
    def cuts(self) -> Ints:
        """`cutl`: int64 (N, 2), time and duration of each cut, in the file's unit."""
        content = self.boxes.get(b"cutl", b"")
        count = _number(content)
        if len(content) < 4 + 8 * _MOST_CUTS or count > _MOST_CUTS:
            return np.empty((0, 2), np.int64)
        return np.frombuffer(content, "<u4", 2 * count, 4).astype(np.int64).reshape(-1, 2)

    @property
    def camera(self) -> Camera | None:
        """`caif`; None where it is not there."""
        content = self.boxes.get(b"caif", b"")
        if len(content) < 128:
            return None
        date, resolution, speed, device, version, serial = struct.unpack_from(
            "16s4s4s24x16s32s32s", content
        )
        return Camera(_text(date), resolution, speed, _text(device), _text(version), _text(serial))

    @property
    def place(self) -> Place | None:
        """`gpsx`; None where it is not there."""
        content = self.boxes.get(b"gpsx", b"")
        if len(content) < 82:
            return None
        ticks, north, latitude, east, longitude, above, altitude = struct.unpack_from(
            "<I2s24s2s24s2s24s", content
        )
        return Place(
            ticks,
            _degrees(latitude) * (-1 if north[:1] == b"S" else 1),
            _degrees(longitude) * (-1 if east[:1] == b"W" else 1),
            next(iter(_numbers(altitude)), nan) * (-1 if above[:1] in (b"1", b"\x01") else 1),
        )

    def record_blocks(self, seconds: float | None = None) -> Iterator[Records]:
        records = self._records
        for stretch in stretches(records.t_ns, seconds):
            yield Records(
                records.kind[stretch],
                records.t_ns[stretch],
                records.place[stretch],
                records.size[stretch],
                records.payload,
                records.faults if stretch.start == 0 else {},
            )

    @cached_property
    def _records(self) -> Records:
        """An orientation for every frame that has a matrix, as packets of type 0."""
        frames = np.sort(self._video.pts_ns) if self._video is not None else np.empty(0, np.int64)
        count = min(len(frames), len(self.matrices))
        rotations, bent = _rotations(self.matrices[:count])
        vectors = to_angle_axis(from_matrix(rotations))
        faults = {
            "frames without a matrix": len(frames) - count,
            "matrices without a frame": len(self.matrices) - count,
            "matrices that are no rotation": bent,
        }
        return replace(
            Records.of(Samples(PacketType.ANGLE_AXIS, frames[:count], vectors)),
            faults={reason: number for reason, number in faults.items() if number},
        )


def find_madv(udta: bytes) -> dict[bytes, bytes]:
    """Contents of the boxes that a `udta` has of this kind, in `madv` or beside it."""
    found: dict[bytes, bytes] = {}
    try:
        for child in children(udta):
            if child.kind == b"madv":
                found |= find_madv(child.content(udta))
            elif child.kind in _KINDS:
                found[child.kind] = child.content(udta)
    except Mp4Error:
        pass  # what comes after a damaged box cannot be told
    return found


def _matrices(content: bytes) -> Matrices:
    """Matrices up to the first that is all zeros."""
    count = len(content) // _MATRIX_SIZE
    rows = np.frombuffer(content, "<f4", count * 9).reshape(count, 9)
    null = np.flatnonzero(~rows.any(axis=1))
    found: Matrices = rows[: null[0] if len(null) else count].astype(np.float32)
    return found.reshape(-1, 3, 3)


def _rotations(matrices: Matrices) -> tuple[npt.NDArray[np.float64], int]:
    """The rotation from the camera's to the world's axes of CAMM nearest to each matrix.

    And how many matrices are far from one, which become the nearest or, where they are no numbers,
    no rotation at all.
    """
    if not len(matrices):
        return np.empty((0, 3, 3)), 0
    wide = matrices.astype(np.float64)
    wide[~np.isfinite(wide).all(axis=(1, 2))] = 0
    wide = np.clip(wide, -1e6, 1e6)
    off = np.abs(np.swapaxes(wide, 1, 2) @ wide - np.eye(3)).max(axis=(1, 2)) > _NOT_A_ROTATION
    off |= np.linalg.det(wide) < 0
    u, _, v = np.linalg.svd(_LEFT @ np.swapaxes(wide, 1, 2) @ _RIGHT)
    u[:, :, 2] *= np.linalg.det(u @ v)[:, None]  # a reflection has a rotation near it, too
    return u @ v, int(off.sum())


def _number(content: bytes) -> int:
    return int.from_bytes(content[:4], "little")


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _degrees(field: bytes) -> float:
    """An angle in degrees, or in degrees, minutes and seconds."""
    numbers = _numbers(field)
    return sum(number / 60**n for n, number in enumerate(numbers[:3])) if numbers else nan


def _numbers(field: bytes) -> list[float]:
    """Numbers as Exif has them, numerators and denominators; or such or decimal ones as text."""
    text = field.rstrip(b"\0")
    if text and b"\0" not in text:
        found = re.findall(rb"(\d+(?:\.\d+)?)(?:/(\d+))?", text)
        pairs = [(float(above), int(below or 1)) for above, below in found]
    else:
        pairs = list(struct.iter_unpack("<II", field))
    return [above / below for above, below in pairs if below]
