"""Chips that count their samples, as sources: polled in their rhythm, stamped by a clock fit."""

from __future__ import annotations

import errno
import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from camm import CammError
from daemon.sources import APART_NS, Delivery, Inertial, Magnetic, Source
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, DeviceError
from drivers.imu import Imu, ImuBurst, MagBurst, Magnetometer
from drivers.polled import PolledMagnetometer

_log = logging.getLogger(__name__)

_GATHER_NS = 100_000_000

_HICCUP_NS = 500_000_000
"""For so long a sensor that does not answer is asked again, before it is opened again."""

_SILENCE_NS = 1_000_000_000
"""A sensor that answers and has measured nothing for so long, and for some periods, has lost its
settings."""
_SILENT_PERIODS = 5

_Device = TypeVar("_Device", Imu, Magnetometer)
_Burst: TypeAlias = ImuBurst | MagBurst


class _SampledSource(Source, Generic[_Device]):
    """A chip that counts its samples: polled in its own rhythm, stamped by a clock fit.

    The chip decides how often it must be asked; what it gives is gathered for a tenth of a second,
    since everything behind costs by the block and not by the sample.
    """

    def __init__(self, name: str, clock: Clock, make: Callable[[Clock], _Device]) -> None:
        super().__init__(name, clock)
        self._make: Callable[[Clock], _Device] = make
        self._device: _Device | None = None
        self._fit = ClockFit(1.0)
        self._asked_ns = self._hand_over_ns = 0
        self._mute_since_ns: int | None = None
        self._idle_since_ns: int | None = None
        self._period_ns = 1.0
        self._afresh = True
        self._newest_ns: int | None = None
        self._bursts: list[_Burst] = []  # that have no stamps yet
        self._times: list[npt.NDArray[np.int64]] = []
        self._rows: list[npt.NDArray[np.float64]] = []

    @abstractmethod
    def _content(
        self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> Inertial | Magnetic:
        """The block of gathered measurements."""

    @property
    def device(self) -> _Device | None:
        """The chip that was found last; None before the first was."""
        return self._device

    def open(self) -> None:
        self._stamp()
        self._device = self._make(self.clock)
        self._fit = ClockFit(1e9 / self._device.rate_hz)
        self._asked_ns = self._hand_over_ns = self.clock.now_ns()
        self._mute_since_ns = self._idle_since_ns = None
        self._afresh = True

    def close(self) -> None:
        if self._device is not None:
            self._device.close()

    def describe(self) -> Mapping[str, Any]:
        device = self._device
        return {
            **(device.description if device else {}),
            "clock_fit": asdict(self._fit.statistics),
        }

    def read(self) -> Delivery | None:
        device = self._device
        if device is None:
            raise CammError(f"{self.name} is not open")
        self.clock.sleep_until(self._asked_ns + device.poll_interval_ns)
        self._asked_ns = self.clock.now_ns()
        burst = self._ask(device)
        if burst is not None:
            self._bursts.append(burst)
        return None if self._asked_ns < self._hand_over_ns else self.rest()

    def _ask(self, device: _Device) -> _Burst | None:
        """What has come. A moment's trouble is passed over: the driver counts what it cost."""
        asked_ns = self._asked_ns
        try:
            burst: _Burst | None = device.read_burst(self.clock)
        except BusError as error:
            self._mute_since_ns = self._mute_since_ns or asked_ns
            if self.clock.now_ns() - self._mute_since_ns > _HICCUP_NS:
                raise
            _log.info("%s: %s; asking again", self.name, error)
            return None
        self._mute_since_ns = None
        if burst is not None or self._keeps_back(device):
            self._idle_since_ns = None
            return burst
        self._idle_since_ns = self._idle_since_ns or asked_ns
        patience_ns = max(_SILENCE_NS, _SILENT_PERIODS * self._fit.period_ns)
        if asked_ns - self._idle_since_ns > patience_ns:
            raise DeviceError(
                errno.EIO, f"{device.name} measures nothing any more: has it lost its power?"
            )
        return None

    def _keeps_back(self, device: _Device) -> bool:
        """Whether it has measured since the last look what nobody should see."""
        return False

    def rest(self) -> Delivery | None:
        self._stamp()
        if not self._times:
            return None
        t_ns, values = np.concatenate(self._times), np.concatenate(self._rows)
        self._times, self._rows = [], []
        now_ns = self.clock.now_ns()
        self._hand_over_ns = now_ns + _GATHER_NS
        return Delivery(self.name, self._content(t_ns, values), int(t_ns[-1]) + 1, now_ns)

    def _stamp(self) -> None:
        """Say when what was gathered was measured, by all that has been learnt of the clock.

        Never before an earlier sample: a fit that corrects itself must not turn time round.
        """
        bursts, self._bursts = self._bursts, []
        if not bursts:
            return
        observe = self._fit.observe
        for burst in bursts:
            observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
        counts = [np.arange(burst.first_count, burst.newest_count + 1) for burst in bursts]
        t_ns = self._fit.times(np.concatenate(counts)) - bursts[0].group_delay_ns
        if self._newest_ns is not None and self._afresh:
            # The chip's own count says nothing of what was before.
            periods = round((int(t_ns[0]) - self._newest_ns) / self._period_ns)
            self._lost += max(0, periods - 1) - bursts[0].lost
        self._lost += sum(burst.lost for burst in bursts)
        if self._newest_ns is not None and t_ns[0] <= self._newest_ns:
            t_ns = np.maximum(t_ns, self._newest_ns + APART_NS * (1 + np.arange(len(t_ns))))
        self._afresh = False
        self._period_ns = self._fit.period_ns
        self._newest_ns = int(t_ns[-1])
        self._delivered += len(t_ns)
        self._times.append(t_ns)
        self._rows.append(np.concatenate([burst.values for burst in bursts]))


class ImuSource(_SampledSource[Imu]):
    """Gyroscope and accelerometer. `make` finds the chip and configures it."""

    def _content(self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Inertial:
        gyro, accel, orientation = np.split(values, [3, 6], axis=1)
        return Inertial(
            t_ns,
            gyro,
            accel,
            round(self._fit.period_ns),
            orientation if orientation.size else None,
        )


class MagSource(_SampledSource[Magnetometer]):
    """Magnetometer. `make` finds the chip and configures it.

    `turn` (3, 3) is R_imu,magnetometer, for one that sits another way round than the IMU.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        make: Callable[[Clock], Magnetometer],
        turn: npt.NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(name, clock, make)
        self._turn = np.eye(3) if turn is None else turn
        self._saturated = 0

    @property
    def saturated(self) -> int:
        """How many samples the chip has thrown away because the field was too strong."""
        return self.device.saturated if isinstance(self.device, PolledMagnetometer) else 0

    def _keeps_back(self, device: Magnetometer) -> bool:
        before, self._saturated = self._saturated, self.saturated
        return self._saturated != before

    def _content(self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Magnetic:
        return Magnetic(t_ns, values @ self._turn.T)
