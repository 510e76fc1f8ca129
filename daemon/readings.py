"""Figures of sensors that were read for a while: what the doctor looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import Packet, PacketType, Samples
from daemon.gps_source import GpsSource
from daemon.sampled_source import ImuSource, MagSource
from daemon.sources import CameraSource, Inertial, Magnetic
from drivers.survey import Answer

_STILL_DEG_S, _STILL_M_S2 = 1.0, 0.2  # one sigma, below which a rig is at rest
_AXES = "XYZ"
_FULL_SCALE = 0.999


@dataclass(frozen=True, slots=True)
class BusReading:
    """An I2C bus: who answers, and bits a second on the wire; None where nothing could be timed."""

    name: str
    answers: tuple[Answer, ...]
    bit_rate_hz: float | None


@dataclass(frozen=True, slots=True)
class SampledReading:
    """A chip that counts its samples.

    `nominal_hz` is what it is set to, `rate_hz` what that is by the host's clock; `jitter_s` of the
    period, one sigma, over the second half of the time, when the clock fit has settled. `stuck`
    names what does not move by a digit.
    """

    chip: str
    bus: str
    address: str
    nominal_hz: float
    rate_hz: float
    samples: int
    lost: int
    jitter_s: float
    stuck: tuple[str, ...]
    temperature_c: float | None


@dataclass(frozen=True, slots=True)
class ImuReading(SampledReading):
    """A motion sensor, in its own axes.

    Noise is that of the fast changes, rms of the noisiest axis. `up` is the axis that points most
    nearly up, as "+Z"; `saturated` the share of samples at full scale.
    """

    at_rest: bool
    gyro_noise_deg_s: float
    accel_noise_m_s2: float
    gravity_m_s2: float
    up: str
    saturated: float


@dataclass(frozen=True, slots=True)
class MagReading(SampledReading):
    """A magnetometer; `saturated` samples were thrown away."""

    field_ut: float
    noise_ut: float
    saturated: int


@dataclass(frozen=True, slots=True)
class GpsReading:
    """A receiver. What was not told is None.

    `asked_hz`    fixes a second for which it was set up; 0: it was left as it is
    `accuracies`  whether fixes have them, and a velocity: CAMM type 6
    `pulses`      whether fixes are stamped by its time pulse; None where that is not wired
    `latency_s`   from the moment of a fix to its message, least and most, where a pulse tells it
    """

    port: str
    name: str
    baud: str | None
    asked_hz: int
    messages: int
    damaged: int
    stray_bytes: int
    fixes: int
    rate_hz: float | None
    accuracies: bool
    horizontal_m: float | None
    vertical_m: float | None
    satellites: float | None
    pdop: float | None
    pulses: bool | None
    latency_s: tuple[float, float] | None


def read_imu(
    source: ImuSource, blocks: Sequence[Inertial], gyro_dps: float, accel_g: float
) -> ImuReading | None:
    """The figures of a motion sensor with these full scales; None where it has given nothing."""
    if not blocks:
        return None
    gyro = np.degrees(np.concatenate([block.gyro for block in blocks]))
    accel = np.concatenate([block.accel for block in blocks])
    force = accel.mean(axis=0)
    axis = int(np.abs(force).argmax())
    still = gyro.std(axis=0).max() < _STILL_DEG_S
    full = (np.abs(gyro) >= _FULL_SCALE * gyro_dps).any(axis=1)
    full |= (np.abs(accel) >= _FULL_SCALE * accel_g * 9.80665).any(axis=1)
    names = [f"the {what}'s {axis}" for what in ("gyroscope", "accelerometer") for axis in _AXES]
    return ImuReading(
        **_sampled(source, [block.t_ns for block in blocks]),
        stuck=_stuck(np.concatenate([gyro, accel], axis=1), names),
        at_rest=bool(still and np.linalg.norm(accel, axis=1).std() < _STILL_M_S2),
        gyro_noise_deg_s=_noise(gyro),
        accel_noise_m_s2=_noise(accel),
        gravity_m_s2=float(np.linalg.norm(force)),
        up=("+" if force[axis] > 0 else "-") + _AXES[axis],
        saturated=float(full.mean()),
    )


def read_magnetometer(source: MagSource, blocks: Sequence[Magnetic]) -> MagReading | None:
    """The figures of a magnetometer; None where it has given nothing."""
    if not blocks:
        return None
    field = np.concatenate([block.field for block in blocks])
    return MagReading(
        **_sampled(source, [block.t_ns for block in blocks]),
        stuck=_stuck(field, _AXES),
        field_ut=float(np.linalg.norm(field, axis=1).mean()),
        noise_ut=_noise(field),
        saturated=source.saturated,
    )


def read_receiver(
    source: GpsSource, blocks: Sequence[Samples], asked_hz: int, *, wired: bool
) -> GpsReading:
    """The figures of a receiver; `wired` says that its time pulse should come."""
    told = source.describe()
    t_ns = np.concatenate([np.empty(0, np.int64), *(block.t_ns for block in blocks)])
    last = blocks[-1].data[-1] if blocks and blocks[-1].kind is PacketType.GPS else None
    latency = told.get("latency_ns")
    return GpsReading(
        port=told["port"],
        name=_first(told, "module", "product", "driver", "maker"),
        baud=told.get("baud"),
        asked_hz=asked_hz,
        messages=told["messages"],
        damaged=told["damaged"],
        stray_bytes=told["stray_bytes"],
        fixes=told["fixes"],
        rate_hz=float(1e9 / np.median(np.diff(t_ns))) if len(t_ns) > 1 else None,
        accuracies=last is not None,
        horizontal_m=None if last is None else _finite(last["horizontal_accuracy"]),
        vertical_m=None if last is None else _finite(last["vertical_accuracy"]),
        satellites=_last(told["satellites"]),
        pdop=_last(told["pdop"]),
        pulses=told["stamped_by"] == "time pulse" if wired else None,
        latency_s=None if latency is None else (latency[0] / 1e9, latency[1] / 1e9),
    )


@dataclass(frozen=True, slots=True)
class CameraReading:
    """A camera.

    `asked_hz` is what it was asked for, `rate_hz` what came; `jitter_s` from one picture to the
    next, one sigma; `exposure_s` and `skew_s` of the last, None where the camera tells none;
    `time` what its stamps are, in words.
    """

    name: str
    streams: tuple[str, ...]
    encoder: str
    time: str
    asked_hz: float
    rate_hz: float
    pictures: int
    lost: int
    jitter_s: float
    exposure_s: float | None
    skew_s: float | None
    bits_per_second: float


def read_camera(source: CameraSource, packets: Sequence[Packet]) -> CameraReading | None:
    """The figures of a camera; None where it gave no two pictures."""
    pictures = [packet for packet in packets if packet.stream == 0]
    if len(pictures) < 2:
        return None
    told, last = source.describe(), pictures[-1]
    t_ns = np.sort([picture.pts_ns for picture in pictures])
    span_s = float(t_ns[-1] - t_ns[0]) / 1e9
    return CameraReading(
        name=told["device"],
        streams=tuple(told["streams"]),
        encoder=told.get("encoder", ""),
        time=told.get("time", ""),
        asked_hz=1e9 / last.duration_ns if last.duration_ns else 0.0,
        rate_hz=(len(t_ns) - 1) / span_s,
        pictures=len(t_ns),
        lost=source.statistics.lost,
        jitter_s=_jitter_s(t_ns),
        exposure_s=None if last.exposure_ns is None else last.exposure_ns / 1e9,
        skew_s=None if last.skew_ns is None else last.skew_ns / 1e9,
        bits_per_second=8 * sum(len(p.data) for p in pictures[:-1]) / span_s,
    )


def _sampled(source: ImuSource | MagSource, times: Sequence[npt.NDArray[np.int64]]) -> Any:  # noqa: ANN401 - fields of `SampledReading`
    told, statistics = source.describe(), source.statistics
    t_ns = np.concatenate(times)
    return {
        "chip": told["chip"],
        "bus": told["bus"],
        "address": told["address"],
        "nominal_hz": told["rate_hz"],
        "rate_hz": 1e9 / told["clock_fit"]["period_ns"],
        "samples": statistics.delivered,
        "lost": statistics.lost,
        "jitter_s": _jitter_s(t_ns[t_ns >= (t_ns[0] + t_ns[-1]) // 2]),
        "temperature_c": told.get("temperature_c"),
    }


def _jitter_s(t_ns: npt.NDArray[np.int64]) -> float:
    return float(np.diff(t_ns).std()) / 1e9 if len(t_ns) > 1 else 0.0


def _noise(values: npt.NDArray[np.float64]) -> float:
    """Of what changes from sample to sample: a slow movement counts for little."""
    if len(values) < 2:
        return 0.0
    return float(np.diff(values, axis=0).std(axis=0).max()) / math.sqrt(2.0)


def _stuck(values: npt.NDArray[np.float64], names: Sequence[str]) -> tuple[str, ...]:
    still = np.ptp(values, axis=0) == 0
    return tuple(name for name, stands in zip(names, still, strict=True) if stands)


def _last(spread: Mapping[str, float] | None) -> float | None:
    return None if spread is None else spread["last"]


def _finite(value: Any) -> float | None:  # noqa: ANN401 - a field of a structured row
    return float(value) if math.isfinite(value) else None


def _first(told: Mapping[str, Any], *names: str) -> str:
    """The first of these that was told."""
    return next((str(told[name]) for name in names if told.get(name)), "")
