"""How a picture lies on the sphere around the camera: the boxes of Google's spherical video.

By the "Spherical Video V2 RFC" they are in the sample entry: `st3d` says where in the picture each
eye's is, `sv3d` what map of the sphere it is. The older "Spherical Video RFC" has a text in a
`uuid` box of the `trak`. Both are written, since some readers know only one of them; where they
differ the newer holds.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeAlias

from muxer.boxes import box, children, full_box
from muxer.errors import Mp4Error

SPHERICAL_UUID = uuid.UUID("ffcc8263-f855-4a93-8814-587a02521fdd").bytes
"""User type of the `uuid` box with the text of the older RFC."""

_SOURCE = "cammcorder"
_STEREO = ("mono", "top-bottom", "left-right", "custom", "right-left")  # by `stereo_mode`
_KINDS = {b"equi": "equirectangular", b"cbmp": "cubemap", b"mshp": "mesh"}
_FIRST_BOX = 78
"""Byte of a VisualSampleEntry's content at which its boxes begin (ISO/IEC 14496-12, 12.1.3)."""
_WHOLE = 1 << 32  # bounds are 0.32 fixed point
_DEGREE = 1 << 16  # angles 16.16

EQUIRECTANGULAR_IN_ENTRY = full_box(b"st3d", 0, 0, b"\0") + box(
    b"sv3d",
    full_box(b"svhd", 0, 0, _SOURCE.encode() + b"\0"),
    box(b"proj", full_box(b"prhd", 0, 0, bytes(12)), full_box(b"equi", 0, 0, bytes(16))),
)
"""What is in the sample entry of a picture that is the whole sphere, seen by one eye."""

EQUIRECTANGULAR_IN_TRAK = box(
    b"uuid",
    SPHERICAL_UUID,
    b'<?xml version="1.0"?><rdf:SphericalVideo'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    b' xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">'
    b"<GSpherical:Spherical>true</GSpherical:Spherical>"
    b"<GSpherical:Stitched>true</GSpherical:Stitched>"
    b"<GSpherical:StitchingSoftware>" + _SOURCE.encode() + b"</GSpherical:StitchingSoftware>"
    b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>"
    b"</rdf:SphericalVideo>",
)
"""The same for readers of the older RFC, beside the track's `mdia`."""

Angles: TypeAlias = tuple[float, float, float]
Bounds: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Projection:
    """What the pictures of a track are a map of.

    `kind`      "equirectangular", "cubemap", "mesh", or what else the file calls it; "rectilinear"
                for ordinary pictures of two eyes
    `stereo`    "mono", "top-bottom", "left-right", "right-left" (the left eye's is named first) or
                "custom" (the mesh tells)
    `pose_deg`  yaw, pitch, roll by which the map is turned: counter-clockwise about up, then about
                right, then clockwise about forward
    `bounds`    shares of an equirectangular map that are cut off at top, bottom, left and right
    `source`    what wrote it
    """

    kind: str
    stereo: str = "mono"
    pose_deg: Angles = (0.0, 0.0, 0.0)
    bounds: Bounds = (0.0, 0.0, 0.0, 0.0)
    source: str = ""

    @classmethod
    def read(cls, entry: bytes, uuids: Iterable[bytes]) -> Self | None:
        """From the contents of a sample entry and of a `trak`'s `uuid` boxes.

        None where they tell of none. What is damaged counts as if it were not there.
        """
        boxes = _boxes(entry, _FIRST_BOX)
        st3d = boxes.get(b"st3d", b"")
        mode = st3d[4] if len(st3d) > 4 else 0
        stereo = _STEREO[mode] if mode < len(_STEREO) else str(mode)
        if (sv3d := boxes.get(b"sv3d")) is not None and (found := cls._newer(sv3d, stereo)):
            return found
        for content in uuids:
            if content.startswith(SPHERICAL_UUID) and (found := cls._older(content[16:])):
                return found
        return cls("rectilinear", stereo) if mode else None

    @classmethod
    def _newer(cls, sv3d: bytes, stereo: str) -> Self | None:
        """Of an `sv3d`: V2 RFC, "Spherical Video Box"."""
        boxes = _boxes(sv3d)
        proj = _boxes(boxes.get(b"proj", b""))
        prhd = proj.pop(b"prhd", b"").ljust(16, b"\0")
        if not proj:
            return None
        kind, content = next(iter(proj.items()))
        bounds: Bounds = (0.0, 0.0, 0.0, 0.0)
        if kind == b"equi" and len(content) >= 20:
            top, bottom, left, right = struct.unpack_from(">4I", content, 4)
            bounds = top / _WHOLE, bottom / _WHOLE, left / _WHOLE, right / _WHOLE
        yaw, pitch, roll = struct.unpack_from(">3i", prhd, 4)
        return cls(
            _KINDS.get(kind, kind.decode("latin-1").strip()),
            stereo,
            (yaw / _DEGREE, pitch / _DEGREE, roll / _DEGREE),
            bounds,
            boxes.get(b"svhd", b"")[4:].split(b"\0")[0].decode("utf-8", "replace"),
        )

    @classmethod
    def _older(cls, text: bytes) -> Self | None:
        """Of a text: "Allowed Global Metadata Elements". Makers write it as elements or attributes.

        Its initial view is where a player looks first, and not how the map is turned.
        """
        said = {
            name.decode(): value.decode("utf-8", "replace").strip()
            for name, value in _ELEMENT.findall(text)
        }
        if said.get("Spherical", "").lower() != "true":
            return None
        return cls(
            said.get("ProjectionType", "equirectangular"),
            said.get("StereoMode", "mono"),
            bounds=_cropped(said),
            source=said.get("StitchingSoftware", ""),
        )


_ELEMENT = re.compile(rb'(?<!/)GSpherical:(\w+)(?:>|\s*=\s*")([^<"]*)')


def _cropped(said: Mapping[str, str]) -> Bounds:
    """The bounds, of pixels of the whole map and of the part of it that there is."""

    def cut(side: str, size: str) -> tuple[float, float]:
        try:
            whole = int(said[f"FullPano{size}Pixels"])
            before = int(said[f"CroppedArea{side}Pixels"])
            there = int(said[f"CroppedAreaImage{size}Pixels"])
        except (KeyError, ValueError):
            return 0.0, 0.0
        if before < 0 or there <= 0 or before + there > whole:
            return 0.0, 0.0
        return before / whole, (whole - before - there) / whole

    return *cut("Top", "Height"), *cut("Left", "Width")


def _boxes(content: bytes, at: int = 0) -> dict[bytes, bytes]:
    """The first of each kind, up to where they are damaged."""
    found: dict[bytes, bytes] = {}
    with suppress(Mp4Error):
        for child in children(content, at):
            found.setdefault(child.kind, child.content(content))
    return found
