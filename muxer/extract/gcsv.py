"""Gyroflow's log of motion, .gcsv, for stabilising a film that was cut away from its metadata.

Source: docs.gyroflow.xyz, "GCSV format", version 1.3. A row for every angular rate; acceleration
and field have to stand in the same rows and are interpolated to its times where theirs differ.
Values are the clip's own, in SI units and camera axes: scales and orientation say what they are.
Gyroflow counts time from the first row, so there is one at time zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from camm import PacketType
from muxer.clip import Clip
from muxer.extract.beside import printed_beside, rates_and_followers
from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.selection import Selection
from muxer.records import Records

# What is in the rows besides the angular rate, in the order that the format demands.
_FOLLOWERS = {PacketType.ACCELERATION: "ax,ay,az", PacketType.MAGNETIC_FIELD: "mx,my,mz"}
_ORIENTATION = "yxz"  # camera axes, as Gyroflow calls them: -y is up, -x left, -z back
_SCALES = {
    "tscale": "0.000000001",
    "gscale": "1",
    "ascale": repr(1 / 9.80665),  # m/s^2 in g
    "mscale": "0.01",  # microtesla in gauss
}
_LONGEST_TEXT = 60  # readers look for the header in the first 500 bytes


def documents(selection: Selection) -> list[Document]:
    """One document, `.gcsv`; it needs an angular rate."""
    clip = selection.clip
    if PacketType.GYRO not in selection.present:
        raise NothingToExtractError(f"{clip.path} has no angular rate for Gyroflow to work with")
    followers = []
    for kind in _FOLLOWERS:
        if kind not in selection.present:
            break  # the columns of the field stand behind those of the acceleration, or not at all
        followers.append(kind)

    def pieces(records: Iterable[Records]) -> Iterator[bytes]:
        yield "".join(f"{line}\n" for line in _header(clip, followers)).encode()
        rows = rates_and_followers(clip, records, followers, from_zero=True)
        yield from map(printed_beside, rows)

    return [Document(".gcsv", pieces)]


def _header(clip: Clip, followers: list[PacketType]) -> list[str]:
    fields = {
        "version": "1.3",
        "id": clip.model or "cammcorder",
        "orientation": _ORIENTATION,
        "vendor": clip.make or "cammcorder",
        "videofilename": Path(clip.path).name,
        "timestamp": str(round(clip.created.timestamp())) if clip.created else "",
        **_readout(clip),
        **_SCALES,
    }
    lines = [f"{name},{_cell(text)}" for name, text in fields.items() if text]
    return [
        "GYROFLOW IMU LOG",
        *lines,
        ",".join(["t,gx,gy,gz", *(_FOLLOWERS[kind] for kind in followers)]),
    ]


def _cell(text: str) -> str:
    """A text that cannot be taken for two cells, nor for two lines."""
    kept = "".join(c if c.isprintable() and c not in ',"' else " " for c in text)
    return kept.strip()[:_LONGEST_TEXT]


def _readout(clip: Clip) -> dict[str, str]:
    """How long a frame takes to be read out, milliseconds, of a rolling shutter that tells."""
    for exposures in clip.blocks(PacketType.EXPOSURE):
        skew_ns = exposures.data["rolling_shutter_skew_time"]
        if len(told := skew_ns[skew_ns > 0]):
            return {
                "frame_readout_time": f"{np.median(told) / 1e6:.6g}",
                "frame_readout_direction": "0",
            }
    return {}
