"""What a clip holds at movie time zero.

Readers that know no edit lists take the first sample of a track for time zero, and readers that
pair gyroscope and accelerometer count from the first of them. So the metadata track and its
inertial records have to begin exactly at zero, although no sensor samples at just that moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camm import PacketType, Samples, empty_values
from camm.frames import from_angle_axis, interpolate, to_angle_axis

_CONTINUOUS = (
    PacketType.ANGLE_AXIS,
    PacketType.GYRO,
    PacketType.ACCELERATION,
    PacketType.MAGNETIC_FIELD,
)


def begin_at(zero_ns: int, blocks: Sequence[Samples]) -> list[Samples]:
    """The blocks from movie time zero on.

    * Quantities that are continuous in time get a record at zero, interpolated between the samples
      on both sides of it (the first sample held where the sensor began later).
    * The exposure of the first frame began before its centre, which is time zero; its record is
      put at zero, where the specification's interval [record, record + exposure + skew] still
      holds the frame.
    * GPS fixes are neither interpolated nor repeated: those before zero are left out.
    * Where nothing stands at zero then, an exposure record of zeros ("not known") does.
    """
    result = []
    for kind in dict.fromkeys(block.kind for block in blocks):
        samples = Samples.concatenate(kind, [block for block in blocks if block.kind is kind])
        result.append(type_from(zero_ns, samples))
    result = [samples for samples in result if len(samples)]
    if not any(samples.t_ns[0] == zero_ns for samples in result):
        unknown = empty_values(PacketType.EXPOSURE, 1)
        result.append(Samples(PacketType.EXPOSURE, np.array([zero_ns]), unknown))
    return result


def type_from(zero_ns: int, samples: Samples) -> Samples:
    """The samples of one type from movie time zero on, by the same rules."""
    kind = samples.kind
    samples = samples[np.argsort(samples.t_ns, kind="stable")]
    if kind in _CONTINUOUS and len(samples):
        return _interpolated_start(zero_ns, samples)
    if kind is PacketType.EXPOSURE:
        return Samples(kind, np.maximum(samples.t_ns, zero_ns), samples.data)
    return samples[samples.t_ns >= zero_ns]


def _interpolated_start(zero_ns: int, samples: Samples) -> Samples:
    if zero_ns in samples.t_ns:
        return samples[samples.t_ns >= zero_ns]  # to the last bit, when a clip is filmed again
    before, after = samples[samples.t_ns <= zero_ns], samples[samples.t_ns > zero_ns]
    around = Samples.concatenate(samples.kind, [before[-1:], after[:1]])
    if samples.kind is PacketType.ANGLE_AXIS:
        turned = interpolate(around.t_ns, from_angle_axis(around.data), np.array([zero_ns]))
        at_zero = to_angle_axis(turned)
    else:
        # Times are counted from zero: nanoseconds since boot have more digits than a float.
        t_ns = around.t_ns - zero_ns
        at_zero = np.array([[np.interp(0, t_ns, axis) for axis in around.data.T]])
    start = Samples(samples.kind, np.array([zero_ns]), at_zero)
    return Samples.concatenate(samples.kind, [start, after])
