"""Gyroflow's log of motion, .gcsv, for stabilising a film that was cut away from its metadata.

Source: docs.gyroflow.xyz, "GCSV format", version 1.3. A row for every angular rate; acceleration
and field have to stand in the same rows and are interpolated to its times where theirs differ.
Values are the clip's own, in SI units and camera axes: scales and orientation say what they are.
Gyroflow counts time from the first row, so there is one at time zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from camm import PacketType, Samples
from muxer.clip import Clip
from muxer.extract.columns import columns
from muxer.extract.document import Document, NothingToExtractError
from muxer.sample_table import Ints

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


def documents(clip: Clip, kinds: Collection[PacketType] | None = None) -> list[Document]:
    """One document, `.gcsv`; it needs an angular rate."""
    present = [kind for kind in clip.counts if kinds is None or kind in kinds]
    if PacketType.GYRO not in present:
        raise NothingToExtractError(f"{clip.path} has no angular rate for Gyroflow to work with")
    followers = []
    for kind in _FOLLOWERS:
        if kind not in present:
            break  # the columns of the field stand behind those of the acceleration, or not at all
        followers.append(kind)
    return [Document(".gcsv", 2 + clip.survey.blocks, _text(clip, followers))]


def _text(clip: Clip, followers: list[PacketType]) -> Iterator[str]:
    yield "".join(f"{line}\n" for line in _header(clip, followers))
    waiting = Samples.empty(PacketType.GYRO)
    beside = [_Beside(clip, kind) for kind in followers]
    begun = False
    for records in clip.record_blocks():
        for each in beside:
            each.take(records.samples(each.kind))
        rates = records.samples(PacketType.GYRO)
        if not begun and len(rates):
            rates, begun = _from_zero(rates), True
        waiting = _in_order(waiting, rates)
        known = waiting.t_ns <= min((each.known_until_ns for each in beside), default=_EVER)
        yield _rows(waiting[known], beside)
        waiting = waiting[~known]
    yield _rows(waiting, beside)


_EVER = 1 << 62


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


def _from_zero(rates: Samples) -> Samples:
    """The same with a row at time zero: the first one held, where the sensor began later."""
    if rates.t_ns[0] <= 0:
        return rates
    first = Samples(rates.kind, np.zeros(1, np.int64), rates.data[:1])
    return Samples.concatenate(rates.kind, [first, rates])


class _Beside:
    """A quantity that is wanted at other times than its own."""

    def __init__(self, clip: Clip, kind: PacketType) -> None:
        self.kind = kind
        self._last_ns = clip.survey.extents[kind].last_ns
        self._samples = Samples.empty(kind)

    @property
    def known_until_ns(self) -> int:
        """Up to when it can be told with what has been read: for good, once that is all."""
        if not len(self._samples):
            return -_EVER
        newest_ns = int(self._samples.t_ns[-1])
        return _EVER if newest_ns >= self._last_ns else newest_ns

    def take(self, samples: Samples) -> None:
        """Note what comes next."""
        self._samples = _in_order(self._samples, samples)

    def at(self, t_ns: Ints) -> Samples:
        """Interpolated to times that do not go back, and held beyond both ends.

        What lies before the last of them is forgotten.
        """
        times, data = self._samples.t_ns, self._samples.data
        # Counted from the first, times have no more digits than a float.
        axes = [np.interp(t_ns - times[0], times - times[0], axis) for axis in data.T]
        values = np.stack(axes, axis=1).astype(np.float32)
        near = np.minimum(np.searchsorted(times, t_ns), len(times) - 1)
        same = times[near] == t_ns
        values[same] = data[near[same]]
        self._samples = self._samples[max(int(np.searchsorted(times, t_ns[-1])) - 1, 0) :]
        return Samples(self.kind, t_ns, values)


def _in_order(samples: Samples, more: Samples) -> Samples:
    both = Samples.concatenate(samples.kind, [samples, more])
    return both[np.argsort(both.t_ns, kind="stable")]


def _rows(rates: Samples, beside: list[_Beside]) -> str:
    if not len(rates):
        return ""
    table = [
        column
        for samples in (rates, *(each.at(rates.t_ns) for each in beside))
        for column in columns(samples)
    ]
    row = ",".join(["%d", *(column.format for column in table)]) + "\n"
    cells = zip(rates.t_ns.tolist(), *(column.values for column in table), strict=True)
    return "".join(map(row.__mod__, cells))
