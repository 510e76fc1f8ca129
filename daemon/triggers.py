"""What begins and ends a recording besides a command: a button, motion, speed, the time of day.

Motion, speed and times each ask for a recording or do not. When the first of them begins to ask, it
is started; when the last one has ceased, it is stopped. In between nothing is done: what a person
has said (by the button, the page, a command) holds until one of these two happens again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from camm import CammError, PacketType
from camm.frames import Array
from daemon.camcorder import Camcorder
from daemon.configuration import (
    DAYS,
    MotionSettings,
    SpeedSettings,
    TimesSettings,
    TriggerSettings,
)
from daemon.control import Control
from daemon.status import Status
from drivers.errors import DeviceError
from drivers.gpio import Button, GpioButton, GpioLight, Light

_log = logging.getLogger(__name__)

_LOOK_S = 0.1
_LONG_NS = 1_000_000_000
"""A button held for so long is a mark."""
_MOTION_NS = 2_000_000_000
_FRESH_NS = 3_000_000_000
"""A fix that was there before and still is says nothing of the speed now."""
_FEW = 5
"""Of fewer samples a spread says nothing."""
_STANDARD_GRAVITY = 9.80665
_DAY = timedelta(days=1)
_TROUBLE = "gpio"
"""What `Control.troubles` have our lines under."""

_Line = TypeVar("_Line")


class Trigger(Protocol):
    """What asks for a recording by itself."""

    def asks(self, now_ns: int, camcorder: Camcorder) -> bool:
        """Whether it does now; `now_ns` is CLOCK_MONOTONIC. To be called ten times a second."""
        ...


class Lasting:
    """A yes or no that counts once it has lasted; no at first."""

    def __init__(self, start_after_s: float, stop_after_s: float) -> None:
        self._patience_ns = {True: round(start_after_s * 1e9), False: round(stop_after_s * 1e9)}
        self._holds = False
        self._other_since_ns: int | None = None

    def after(self, now_ns: int, seen: bool | None) -> bool:
        """What counts now that this is seen; None, of which nothing follows, breaks what lasted."""
        if seen is None or seen is self._holds:
            self._other_since_ns = None
            return self._holds
        if self._other_since_ns is None:
            self._other_since_ns = now_ns
        if now_ns - self._other_since_ns >= self._patience_ns[seen]:
            self._holds, self._other_since_ns = seen, None
        return self._holds


class Motion:
    """Asks while the rig moves; keeps to what it said while no sensor tells."""

    def __init__(self, settings: MotionSettings) -> None:
        self._limits = {
            PacketType.GYRO: math.radians(settings.gyro_dps),
            PacketType.ACCELERATION: settings.accel_g * _STANDARD_GRAVITY,
        }
        self._lately: dict[PacketType, deque[tuple[int, int, Array]]] = {
            kind: deque() for kind in self._limits
        }
        self._lasting = Lasting(settings.start_after_s, settings.stop_after_s)

    def asks(self, now_ns: int, camcorder: Camcorder) -> bool:
        newest = camcorder.newest
        for kind, lately in self._lately.items():
            samples = newest.get(kind)
            if samples is not None and (not lately or lately[-1][1] != samples.t_ns[-1]):
                lately.append((now_ns, int(samples.t_ns[-1]), samples.data[-1]))
            while lately and lately[0][0] < now_ns - _MOTION_NS:
                lately.popleft()
        return self._lasting.after(now_ns, self._moves())

    def _moves(self) -> bool | None:
        seen = [
            spread(np.array([values for *_, values in lately])) > self._limits[kind]
            for kind, lately in self._lately.items()
            if len(lately) >= _FEW
        ]
        return any(seen) if seen else None


class Speed:
    """Asks while the rig is under way; keeps to what it said while there is no fix with a speed."""

    def __init__(self, settings: SpeedSettings) -> None:
        self._settings = settings
        self._lasting = Lasting(settings.start_after_s, settings.stop_after_s)
        self._fix_ns = self._seen_ns = 0

    def asks(self, now_ns: int, camcorder: Camcorder) -> bool:
        fix = camcorder.newest.get(PacketType.GPS)
        if fix is None:
            return self._lasting.after(now_ns, None)
        if fix.t_ns[-1] != self._fix_ns:
            self._fix_ns, self._seen_ns = int(fix.t_ns[-1]), now_ns
        fresh = now_ns - self._seen_ns < _FRESH_NS
        return self._lasting.after(now_ns, self._under_way(speed(fix.data[-1])) if fresh else None)

    def _under_way(self, km_h: float) -> bool | None:
        if km_h > self._settings.start_km_h:
            return True
        return False if km_h < self._settings.stop_km_h else None


class Times:
    """Asks at times of the day; keeps to what it said while the time is not known."""

    def __init__(self, settings: TimesSettings) -> None:
        self._settings = settings
        self._asked = False

    def asks(self, _now_ns: int, camcorder: Camcorder) -> bool:
        utc = camcorder.status.utc
        if utc is not None:
            self._asked = is_time(self._settings, utc.astimezone())
        return self._asked


def speed(fix: npt.NDArray[Any]) -> float:
    """Over the ground by a row of CAMM type 6, km/h."""
    return math.hypot(fix["velocity_east"], fix["velocity_north"]) * 3.6


def spread(values: Array) -> float:
    """How much rows of (N, 3) differ from their mean (rms), in their unit."""
    return float(np.sqrt(np.var(values, axis=0, dtype=np.float64).sum()))


def is_time(settings: TimesSettings, local: datetime) -> bool:
    """Whether a local time is within one of the spans, which may have begun the day before."""
    minute = local.hour * 60 + local.minute
    today, yesterday = (DAYS[day.weekday()] in settings.days for day in (local, local - _DAY))
    for begins, ends in settings.spans():
        if begins < ends:
            within = today and begins <= minute < ends
        else:
            within = (today and minute >= begins) or (yesterday and minute < ends)
        if within:
            return True
    return False


def is_in_trouble(status: Status) -> bool:
    """Whether what is being recorded, or would be, is not what should be."""
    if status.state == "starting":
        return bool(status.warnings)
    return status.state == "halted" or not (status.flowing and status.growing)


def shines(status: Status, now_ns: int) -> bool:
    """Whether the LED does at this moment.

    On while recording, blinking slowly while ready and fast in trouble, dark before and after.
    """
    if status.state in ("recovering", "stopped"):
        return False
    if is_in_trouble(status):
        return now_ns % 400_000_000 < 200_000_000
    if status.state == "recording":
        return True
    return status.state == "ready" and now_ns % 2_000_000_000 < 1_000_000_000


class Triggers:
    """Runs what is set; a GPIO line that cannot be had is warned of and done without.

    `at_start` is left to whoever starts the camcorder: a configuration that is read again starts
    nothing.
    """

    def __init__(
        self,
        control: Control,
        settings: TriggerSettings,
        *,
        button: Callable[[str], Button] = GpioButton,
        light: Callable[[str], Light] = GpioLight,
    ) -> None:
        self._control = control
        self._triggers: list[Trigger] = []
        if settings.motion is not None:
            self._triggers.append(Motion(settings.motion))
        if settings.speed is not None:
            self._triggers.append(Speed(settings.speed))
        if settings.times is not None:
            self._triggers.append(Times(settings.times))
        self._button = self._opened(button, settings.button)
        self._light = self._opened(light, settings.led)
        self._asked = False
        self._pressed_ns: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="triggers", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread of its own; where nothing is set there is nothing to do."""
        if self._triggers or self._button is not None or self._light is not None:
            self._thread.start()

    def close(self) -> None:
        """Look no more, and give the lines back. What is being recorded goes on."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        for line in (self._button, self._light):
            if line is not None:
                line.close()
        self._control.troubles.pop(_TROUBLE, None)

    def look(self, now_ns: int) -> None:
        """Act on how things are; `now_ns` is CLOCK_MONOTONIC."""
        status = self._control.camcorder.status
        self._ask(now_ns)
        self._press(now_ns, status)
        self._show(now_ns, status)

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_S):
            self.look(time.monotonic_ns())

    def _ask(self, now_ns: int) -> None:
        # All of them are looked at, for each must see what lasts.
        asking = [t for t in self._triggers if t.asks(now_ns, self._control.camcorder)]
        if bool(asking) == self._asked:
            return
        self._asked = bool(asking)
        if asking:
            _log.info("recording, for %s", ", ".join(type(t).__name__.lower() for t in asking))
            self._control.start()
        else:
            _log.info("recording no further: nothing asks for it any more")
            self._control.stop()

    def _press(self, now_ns: int, status: Status) -> None:
        """A short press starts or stops when it ends; a long one marks as soon as it is one."""
        if self._button is None:
            return
        try:
            changes = self._button.changes()
        except DeviceError as error:
            self._complain(error)
            self._button.close()
            self._button = None
            return
        for t_ns, pressed in changes:
            if self._pressed_ns is not None:
                if t_ns - self._pressed_ns >= _LONG_NS:
                    self._mark()
                else:
                    self._toggle(status)
            self._pressed_ns = t_ns if pressed else None
        if self._pressed_ns is not None and now_ns - self._pressed_ns >= _LONG_NS:
            self._mark()
            self._pressed_ns = None

    def _toggle(self, status: Status) -> None:
        if status.state in ("recording", "halted"):
            self._control.stop()
        else:
            self._control.start()

    def _mark(self) -> None:
        try:
            self._control.mark("button")
        except (CammError, OSError) as error:  # no clip to mark; a disk that refuses
            _log.warning("%s", error)

    def _show(self, now_ns: int, status: Status) -> None:
        if self._light is None:
            return
        try:
            self._light.shine(shines(status, now_ns))
        except DeviceError as error:
            self._complain(error)
            self._light.close()
            self._light = None

    def _opened(self, make: Callable[[str], _Line], name: str | None) -> _Line | None:
        """A line, or None where none is set or it cannot be had."""
        if name is None:
            return None
        try:
            return make(name)
        except DeviceError as error:
            self._complain(error)
            return None

    def _complain(self, error: DeviceError) -> None:
        _log.warning("%s", error)
        troubles = self._control.troubles
        troubles[_TROUBLE] = "; ".join(filter(None, (troubles.get(_TROUBLE), str(error))))
