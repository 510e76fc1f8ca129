"""Rules for the records and their times: whether all readers see the same moments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from camm import PacketType
from muxer.check.evidence import Evidence
from muxer.check.finding import number
from muxer.check.rule import Fault, rule
from muxer.check.stream import Stream

_IMU_GAP_NS = 100_000_000
_GPS_GAP_NS = 5_000_000_000
_PERIODS = 5
"""Steps of more than so many periods are gaps, where records come slowly."""
_EDGE_NS = 500_000_000
"""How much of the film's begin and end may lack a sensor."""
_FEWEST = 10
_SAMPLED = (
    PacketType.ANGLE_AXIS,
    PacketType.GYRO,
    PacketType.ACCELERATION,
    PacketType.MAGNETIC_FIELD,
)
_FIXES = (PacketType.MIN_GPS, PacketType.GPS)


@rule("specification", "error", "see whether the sensors delivered: `cammcorder doctor`")
def some_records(evidence: Evidence) -> Iterator[Fault]:
    """A track without a record is none."""
    if evidence.first_ns is None:
        yield Fault("the metadata track holds no record")


@rule(
    "specification",
    "error",
    "write each packet as a sample of its own, whole and not padded; `cammcorder convert` does",
)
def well_formed_records(evidence: Evidence) -> Iterator[Fault]:
    """One record a sample, of its type's exact size, reserved field zero, type known.

    Most readers take only the first record of a sample; mapillary_tools rejects the whole file for
    one that is cut short.
    """
    for reason, count in evidence.survey.faults.items():
        yield Fault(f"{reason}: {count:,}")


@rule("readers", "error", "let the first record stand at time 0; hold a value there if need be")
def starts_at_zero(evidence: Evidence) -> Iterator[Fault]:
    """Readers without edit lists take the first record for the movie's time zero."""
    if evidence.first_ns:
        yield Fault(
            f"the first record is at {evidence.first_ns / 1e9:.6f} s, not at 0: readers that know "
            "no edit list shift everything by that",
            evidence.first_ns,
        )


@rule("specification", "error", "buffer records and write them in order of time")
def ordered_in_time(evidence: Evidence) -> Iterator[Fault]:
    """Presentation times never run backwards, over all types."""
    back = evidence.backwards
    if back.count:
        yield Fault(f"times run backwards at {number(back.count, 'record')}", back.first_ns)


@rule("readers", "warning", "stamp each sample with the moment of its measurement")
def times_of_their_own(evidence: Evidence) -> Iterator[Fault]:
    """Two records of one type are not of the same moment: filters divide by the time between.

    Records of type 1 may be, where a pause is divided.
    """
    for stream in evidence.of(*_SAMPLED, *_FIXES):
        if stream.again.count:
            yield Fault(
                f"{number(stream.again.count, 'record')} of {stream.kind.label} have the time of "
                "the one before",
                stream.again.first_ns,
            )


@rule("readers", "error", "write both at the times of one of them, interpolating the other")
def paired_imu(evidence: Evidence) -> Iterator[Fault]:
    """Gyroflow pairs the nth angular rate with the nth acceleration, whatever their times."""
    streams = evidence.of(PacketType.GYRO, PacketType.ACCELERATION)
    if len(streams) < 2:
        return
    gyro, force = (stream.count for stream in streams)
    if gyro != force:
        yield Fault(
            f"there are {gyro:,} records of gyro and {force:,} of acceleration: readers that pair "
            "them by number mix up their times"
        )
    elif (pairing := evidence.pairing).apart.count:
        yield Fault(
            f"gyro and acceleration have different times in {pairing.apart.count:,} of "
            f"{pairing.paired:,} pairs, by up to {pairing.most_ns / 1e6:.3f} ms",
            pairing.apart.first_ns,
        )


@rule("readers", "warning", "see what the recorder says of lost samples: `cammcorder report`")
def imu_without_gaps(evidence: Evidence) -> Iterator[Fault]:
    """Samples of motion follow one another without a gap of more than 0.1 s, or five periods.

    Street View refuses a clip for 0.1 s in the types 2 and 3.
    """
    for stream in evidence.of(*_SAMPLED):
        street_view = stream.kind in (PacketType.GYRO, PacketType.ACCELERATION)
        patience_ns = 0 if street_view else round(_PERIODS * stream.period_ns)
        yield from _gaps(stream, max(_IMU_GAP_NS, patience_ns))


@rule("readers", "warning", "give the antenna more sky, or look at the receiver's plug")
def gps_without_gaps(evidence: Evidence) -> Iterator[Fault]:
    """Fixes follow one another without a gap of more than 5 s; Street View refuses such a clip."""
    for stream in evidence.of(*_FIXES):
        yield from _gaps(stream, _GPS_GAP_NS)


@rule("readers", "warning", "start the sensors before the camera, and stop them after it")
def covers_the_film(evidence: Evidence) -> Iterator[Fault]:
    """Every type that there is lasts from the first frame to the last: what lies outside it has no
    motion.
    """
    frames = evidence.frames_ns
    if not len(frames):
        return
    first, last = int(frames[0]), int(frames[-1])
    for stream in evidence.of(*_SAMPLED, *_FIXES):
        if stream.count < _FEWEST:
            continue
        edge_ns = _GPS_GAP_NS if stream.kind in _FIXES else _EDGE_NS
        edge_ns = max(edge_ns, round(2 * stream.period_ns))
        late, early = stream.first_ns - first, last - stream.last_ns
        name = stream.kind.label
        if late > edge_ns:
            yield Fault(f"{name} begins {late / 1e9:.1f} s after the film", first)
        if early > edge_ns:
            yield Fault(f"{name} ends {early / 1e9:.1f} s before the film", stream.last_ns)


@rule("readers", "warning", "cut what lies outside: a player never comes there")
def within_the_film(evidence: Evidence) -> Iterator[Fault]:
    """Records lie within the film; some that follow the last frame do no harm."""
    frames = evidence.frames_ns
    if not len(frames):
        return
    edge_ns = _EDGE_NS + (int(np.diff(frames).max()) if len(frames) > 1 else 0)
    for stream in evidence.streams.values():
        over = stream.last_ns - int(frames[-1])
        if over > edge_ns:
            yield Fault(
                f"{stream.kind.label} goes on for {over / 1e9:.1f} s after the last frame",
                int(frames[-1]),
            )
        if stream.first_ns < int(frames[0]) - edge_ns:
            yield Fault(
                f"{stream.kind.label} begins {(int(frames[0]) - stream.first_ns) / 1e9:.1f} s "
                "before the first frame",
                stream.first_ns,
            )


def _gaps(stream: Stream, limit_ns: int) -> Iterator[Fault]:
    starts, lengths = stream.gaps(limit_ns)
    # A value is held at time zero where a sensor starts later: no gap, but a late begin.
    held = (starts == 0) & (lengths <= _EDGE_NS)
    starts, lengths = starts[~held], lengths[~held]
    if len(starts):
        yield Fault(
            f"{stream.kind.label} has {number(len(starts), 'gap')} of more than "
            f"{limit_ns / 1e9:g} s, the longest of {lengths.max() / 1e9:.3f} s",
            int(starts[0]),
        )


RULES = (
    some_records,
    well_formed_records,
    starts_at_zero,
    ordered_in_time,
    times_of_their_own,
    paired_imu,
    imu_without_gaps,
    gps_without_gaps,
    covers_the_film,
    within_the_film,
)
