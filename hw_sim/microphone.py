"""The simulated microphone: a crystal of its own, a buffer that runs over, a click now and then."""

from __future__ import annotations

import errno
import math
from collections import deque

import numpy as np
import numpy.typing as npt

from drivers.errors import DeviceError
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.scenario import MicrophoneParameters

Sound = npt.NDArray[np.int16]

_CLICK_HZ, _CLICK_NS = 2_000.0, 2_000_000.0  # of the tone in it, and on either side of its middle
_LOUD, _HISS = 16_000.0, 30.0
_NOTHING_BREAKS = Faults()


class SimulatedMicrophone:
    """What is in the room and in the sound card; `open` gives what a driver reads.

    Clicks are loudest at whole multiples of their interval after `start_ns`, by CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        clock: VirtualClock,
        parameters: MicrophoneParameters,
        start_ns: int,
        seed: int,
        faults: Faults = _NOTHING_BREAKS,
    ) -> None:
        self.rate_hz = parameters.rate_hz
        self.channels = parameters.channels
        self.overruns = 0
        """How many times its buffer has run over."""
        self._clock = clock
        self._parameters = parameters
        self.start_ns = start_ns
        self._faults = faults
        self._random = np.random.default_rng(seed)
        self._heard: deque[tuple[int, int]] = deque()

    def open(self, _options: object = None) -> SimulatedCapture:
        """DeviceError while it is unplugged."""
        if self._faults.at("unplug", "microphone", self._clock.now_ns()):
            raise self.gone()
        return SimulatedCapture(self, self._clock, self._parameters, self._random)

    def gone_ns(self, since_ns: int) -> int | None:
        """When it is unplugged after a moment."""
        spans = self._faults.of("unplug", "microphone")
        return next((span.start_ns for span in spans if span.start_ns > since_ns), None)

    def gone(self) -> DeviceError:
        """What a driver is told then."""
        return DeviceError(errno.ENODEV, "the simulated microphone went away: plug it in")

    def hear(self, t_ns: npt.NDArray[np.floating]) -> Sound:
        """What sounds at such times, ns since `start_ns` of this rig: (N, channels)."""
        every_ns = self._parameters.click_every_s * 1e9
        off_ns = t_ns - np.rint(t_ns / every_ns) * every_ns
        near = np.clip(off_ns / _CLICK_NS, -1.0, 1.0)
        click = np.cos(2e-9 * math.pi * _CLICK_HZ * off_ns) * np.cos(near * math.pi / 2) ** 2
        hiss = self._random.normal(0.0, _HISS, (len(t_ns), self.channels))
        heard: Sound = np.rint(_LOUD * click[:, None] + hiss).astype(np.int16)
        return heard

    def remember(self, first_ns: int, last_ns: int) -> None:
        """That it has been heard from a moment to another."""
        if self._heard and first_ns - self._heard[-1][1] < _CLICK_NS:
            first_ns = self._heard.pop()[0]
        self._heard.append((first_ns, last_ns))

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._heard = deque(maxlen=1)

    def truth(self) -> dict[str, npt.NDArray[np.generic]]:
        """When the clicks were that it has heard, ns; and from when to when it has."""
        every_ns = self._parameters.click_every_s * 1e9
        clicks = [
            self.start_ns + np.rint(np.arange(begin, end) * every_ns).astype(np.int64)
            for begin, end in (
                tuple(math.ceil((t - self.start_ns) / every_ns) for t in span)
                for span in self._heard
            )
        ]
        return {
            "click_t_ns": np.concatenate([np.empty(0, np.int64), *clicks]),
            "heard_ns": np.array(self._heard, np.int64).reshape(-1, 2),
        }


class SimulatedCapture:
    """A running card, as `drivers.microphone.Capture`."""

    def __init__(
        self,
        microphone: SimulatedMicrophone,
        clock: VirtualClock,
        parameters: MicrophoneParameters,
        random: np.random.Generator,
    ) -> None:
        self._microphone = microphone
        self._clock = clock
        self._parameters = parameters
        self._random = random
        self._period_ns = 1e9 / parameters.rate_hz / (1 + parameters.clock_ppm * 1e-6)
        self._samples = round(parameters.period_ms * 1e-3 * parameters.rate_hz)
        self._opened_ns = clock.now_ns()
        self._began_ns: int | None = None
        self._taken = 0

    def read(self) -> Sound:
        now_ns = self._clock.now_ns()
        buffered_ns = self._parameters.buffer_ms * 1e6
        if self._began_ns is None or now_ns - self._at(self._taken) > buffered_ns:
            self._microphone.overruns += self._began_ns is not None
            self._began_ns, self._taken = now_ns, 0
        end = self._taken + self._samples
        late_ns = float(self._random.random()) * self._parameters.hand_over_jitter_ms * 1e6
        due_ns = math.ceil(self._at(end) + late_ns)
        gone_ns = self._microphone.gone_ns(self._opened_ns)
        self._clock.sleep_until(due_ns if gone_ns is None else min(due_ns, gone_ns))
        if gone_ns is not None and self._clock.now_ns() >= gone_ns:
            raise self._microphone.gone()
        first_ns, last_ns = round(self._at(self._taken)), round(self._at(end))
        counts = np.arange(self._taken, end)
        self._taken = end
        self._microphone.remember(first_ns, last_ns)
        since_ns = self._began_ns - self._microphone.start_ns
        return self._microphone.hear(since_ns + counts * self._period_ns)

    def close(self) -> None:
        """A card needs no farewell."""

    def _at(self, count: int) -> float:
        return (self._began_ns or 0) + count * self._period_ns
