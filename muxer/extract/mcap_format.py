"""MCAP, as Foxglove and other tools for robots read it: messages in JSON with their schemas.

    /gps             foxglove.LocationFix; an altitude that is not known is 0
    /pose            foxglove.PoseInFrame: the camera (X right, Y down, Z forward) in east-north-up
    /imu             sensor_msgs/Imu, in camera axes; Foxglove has no schema of its own for it
    /magnetic_field  sensor_msgs/MagneticField, in camera axes, tesla
    /video           foxglove.CompressedVideo, if asked for

Times are UTC, or where nothing tells it nanoseconds from the first video frame. Records with
values that are no numbers are left out: JSON has no words for these. Needs the extra `mcap`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from math import isfinite
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from camm.frames import CAMM_FROM_ENU, conjugate, from_angle_axis, multiply, rotate
from muxer.extract.beside import in_order, rates_and_followers
from muxer.extract.document import (
    Document,
    MissingPackageError,
    NothingToExtractError,
    in_step,
)
from muxer.extract.mcap_schemas import SCHEMAS
from muxer.extract.pieces import Sink
from muxer.extract.selection import Selection
from muxer.extract.track import Track
from muxer.extract.video import Picture, pictures, require_film
from muxer.records import Records
from muxer.sample_table import Ints

if TYPE_CHECKING:
    from mcap.writer import Writer

_Messages = tuple[str, Ints, list[str]]
"""Messages of one topic: its name, their times in the clip, and what they say but for the time."""

_VECTOR = '{"x": %.9g, "y": %.9g, "z": %.9g}'
_TURN = '{"x": %.9g, "y": %.9g, "z": %.9g, "w": %.9g}'
_NOT_TOLD = json.dumps([0] * 9)
_NOT_THERE = json.dumps([-1] + [0] * 8)
_ENU_FROM_CAMM = conjugate(CAMM_FROM_ENU)
_NO_TURN = '{"x": 0, "y": 0, "z": 0, "w": 1}'
_TOPICS = {
    PacketType.ANGLE_AXIS: "/pose",
    PacketType.GYRO: "/imu",
    PacketType.MAGNETIC_FIELD: "/magnetic_field",
}
_STAMP = '"timestamp": {"sec": %%d, "nsec": %%d}'
_HEADER = '"header": {"stamp": {"sec": %%d, "nanosec": %%d}, "frame_id": "camera"}'
_NO_FORCE = '{"x": 0, "y": 0, "z": 0}'
_DIAGONAL_KNOWN = 2
_WRITTEN_AT_ONCE = 1 << 22
_EVER = 1 << 62


def documents(selection: Selection, *, video: bool = False) -> list[Document]:
    """One document, `.mcap`; or with the film in it `.video.mcap`."""
    try:
        import mcap.writer  # noqa: F401 - to know it before the work begins
    except ModuleNotFoundError:
        raise MissingPackageError("MCAP needs mcap: pip install 'cammcorder[mcap]'") from None
    if selection.track is None and _TOPICS.keys().isdisjoint(selection.present):
        raise NothingToExtractError(f"{selection.clip.path} has nothing that MCAP has topics for")
    if video:
        require_film(selection.clip)
    suffix = ".video.mcap" if video else ".mcap"
    return [Document(suffix, partial(_pieces, selection, video), text=False)]


def _pieces(selection: Selection, video: bool, records: Iterable[Records]) -> Iterator[bytes]:
    from mcap.writer import Writer

    sink = Sink()
    writer = Writer(cast("IO[bytes]", sink))
    writer.start(library="cammcorder")
    out = _Topics(writer, selection)
    film = pictures(selection.clip) if video else iter(())
    shown = next(film, None)
    for until_ns, messages in _told(selection, records):
        for of_topic in messages:
            out.write(of_topic)
        while shown is not None and shown.t_ns < until_ns:
            out.write(_picture(shown))
            shown = next(film, None)
            if sink.waiting > _WRITTEN_AT_ONCE:
                yield sink.taken()
        yield sink.taken()
    writer.finish()  # type: ignore[no-untyped-call]  # of a library with types for the rest
    yield sink.taken()


class _Topics:
    """Puts messages into a file, with their times and, at a topic's first, its schema."""

    def __init__(self, writer: Writer, selection: Selection) -> None:
        self._writer = writer
        self._clock = selection.utc
        self._numbers: dict[str, int] = {}

    def write(self, messages: _Messages) -> None:
        topic, t_ns, texts = messages
        if not texts:
            return
        stamps_ns = t_ns
        if self._clock.source is not None:
            stamps_ns = self._clock.at(t_ns).astype(np.int64)
        number = self._number(topic)
        for stamp_ns, text in zip(np.maximum(stamps_ns, 0).tolist(), texts, strict=True):
            data = (text % divmod(stamp_ns, 1_000_000_000)).encode()
            self._writer.add_message(number, stamp_ns, data, stamp_ns)

    def _number(self, topic: str) -> int:
        if topic not in self._numbers:
            schema = SCHEMAS[topic]
            content = json.dumps(schema).encode()
            schema_number = self._writer.register_schema(schema["title"], "jsonschema", content)
            self._numbers[topic] = self._writer.register_channel(topic, "json", schema_number)
        return self._numbers[topic]


def _told(
    selection: Selection, records: Iterable[Records]
) -> Iterator[tuple[int, list[_Messages]]]:
    """What each block of records says, and up to when all has been told by then."""
    clip, present, track = selection.clip, selection.present, selection.track
    rates: Iterator[list[Samples]] = repeat([])
    if PacketType.GYRO in present:
        followers = [kind for kind in (PacketType.ACCELERATION,) if kind in present]
        records, others = in_step(records, 2)
        rates = rates_and_followers(clip, others, followers)
    fixes = 0
    position = Samples.empty(PacketType.POSITION)
    for block in records:
        until_ns = int(block.t_ns.max(initial=-_EVER))
        found = _imu(next(rates))
        if PacketType.MAGNETIC_FIELD in present:
            found.append(_field(block.samples(PacketType.MAGNETIC_FIELD)))
        if PacketType.ANGLE_AXIS in present:
            position = in_order(position[-1:], block.samples(PacketType.POSITION))
            found.append(_poses(block.samples(PacketType.ANGLE_AXIS), position))
        if track is not None:
            ready = max(fixes, int(np.searchsorted(track.t_ns, until_ns, side="right")))
            found.append(_places(track, slice(fixes, ready)))
            fixes = ready
        yield until_ns, found
    rest = _imu(next(rates))
    if track is not None:
        rest.append(_places(track, slice(fixes, len(track))))
    yield _EVER, rest


def _imu(rows: list[Samples]) -> list[_Messages]:
    """Angular rates and, where the clip has them, forces of the same times."""
    if not rows:
        return []
    there = np.all([np.isfinite(samples.data).all(axis=1) for samples in rows], axis=0)
    values = np.hstack([samples.data[there] for samples in rows])
    alone = len(rows) == 1
    force, known = (_NO_FORCE, _NOT_THERE) if alone else (_VECTOR, _NOT_TOLD)
    text = (
        f'{{{_HEADER}, "orientation": {_NO_TURN}, "orientation_covariance": {_NOT_THERE}, '
        f'"angular_velocity": {_VECTOR}, "angular_velocity_covariance": {_NOT_TOLD}, '
        f'"linear_acceleration": {force}, "linear_acceleration_covariance": {known}}}'
    )
    return [_messages("/imu", rows[0].t_ns[there], text, values)]


def _field(samples: Samples) -> _Messages:
    there = np.isfinite(samples.data).all(axis=1)
    text = f'{{{_HEADER}, "magnetic_field": {_VECTOR}, "magnetic_field_covariance": {_NOT_TOLD}}}'
    return _messages("/magnetic_field", samples.t_ns[there], text, samples.data[there] * 1e-6)


def _poses(turned: Samples, position: Samples) -> _Messages:
    """The camera in east-north-up, at the last position that was told, the origin before one."""
    turned = turned[np.isfinite(turned.data).all(axis=1)]
    at = np.searchsorted(position.t_ns, turned.t_ns, side="right")
    places = np.concatenate([np.zeros((1, 3)), position.data.astype(np.float64)])[at]
    places = np.nan_to_num(rotate(_ENU_FROM_CAMM, places), posinf=0.0, neginf=0.0)
    turns = multiply(_ENU_FROM_CAMM, from_angle_axis(turned.data))
    text = (
        f'{{{_STAMP}, "frame_id": "enu", "pose": '
        f'{{"position": {_VECTOR}, "orientation": {_TURN}}}}}'
    )
    values = np.hstack([places, np.roll(turns, -1, axis=1)])  # scalar last
    return _messages("/pose", turned.t_ns, text, values)


def _places(track: Track, rows: slice) -> _Messages:
    horizontal = track.horizontal_accuracy[rows] ** 2 / 2  # north and east have half each
    vertical = track.vertical_accuracy[rows] ** 2
    up = np.nan_to_num(track.climb[rows])
    way = np.radians(np.nan_to_num(track.course[rows]))
    speed = track.speed[rows]
    texts = []
    for latitude, longitude, altitude, east, north, climb, across, upright in zip(
        track.latitude[rows].tolist(),
        track.longitude[rows].tolist(),
        np.nan_to_num(track.altitude[rows]).tolist(),
        (speed * np.sin(way)).tolist(),
        (speed * np.cos(way)).tolist(),
        up.tolist(),
        horizontal.tolist(),
        vertical.tolist(),
        strict=True,
    ):
        known = isfinite(across + upright)
        covariance = [across, 0, 0, 0, across, 0, 0, 0, upright] if known else [0] * 9
        message: dict[str, Any] = {
            "frame_id": "camera",
            "latitude": latitude,
            "longitude": longitude,
            "altitude": altitude,
            "position_covariance": covariance,
            "position_covariance_type": _DIAGONAL_KNOWN if known else 0,
        }
        if isfinite(east):
            message["velocity"] = {"x": east, "y": north, "z": climb}
        texts.append(f"{{{_STAMP % ()}, {json.dumps(message)[1:]}")
    return "/gps", track.t_ns[rows], texts


def _picture(shown: Picture) -> _Messages:
    data = base64.b64encode(shown.data).decode()
    text = f'{{{_STAMP % ()}, "frame_id": "camera", "format": "{shown.format}", "data": "{data}"}}'
    return "/video", np.array([shown.t_ns]), [text]


def _messages(
    topic: str, t_ns: Ints, text: str, values: npt.NDArray[np.floating[Any]]
) -> _Messages:
    """A message for each row of values; the time's place in them is kept."""
    return topic, t_ns, list(map(text.__mod__, zip(*values.T.tolist(), strict=True)))
