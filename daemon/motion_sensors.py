"""The sensors of motion of a rig: the one that turns are told by, and the magnetometer with it."""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from camm import UsageError
from daemon.configuration import ImuSettings, MagnetometerSettings
from daemon.sampled_source import ImuSource, MagSource
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import DeviceError, EndOfSource
from drivers.fifo import FifoImu
from drivers.find import FoundImu, find_imu
from drivers.find_magnetometer import find_magnetometer
from drivers.imu import Imu, Magnetometer
from drivers.interrupt import Interrupt

_log = logging.getLogger(__name__)


class MotionSensors:
    """Both sensors as sources. Neither they nor their buses need be there before they are opened.

    Each bus is opened once, by its name; so is the line, if any, that the motion sensor's interrupt
    is wired to. What was found once is looked for again: no other chip takes its place.
    """

    def __init__(
        self,
        settings: ImuSettings,
        magnetometer: MagnetometerSettings | None,
        open_bus: Callable[[str], I2CBus],
        open_line: Callable[[], Interrupt | None],
    ) -> None:
        self._settings = settings
        self._magnetometer = magnetometer
        self._open_bus = open_bus
        self._open_line = open_line
        self._buses: dict[str, I2CBus] = {}
        self._line: Interrupt | None = None
        self._chip = settings.chip
        self._mag_chip = "" if magnetometer is None else magnetometer.chip

    def imu_source(self, clock: Clock) -> ImuSource:
        """What reads the motion sensor."""
        source = ImuSource("imu", clock, self._imu)
        source.required = self._settings.required
        return source

    def mag_source(self, clock: Clock) -> MagSource:
        """What reads the magnetometer; it ends where there turns out to be none."""
        turn, settings = np.eye(3), self._magnetometer
        if settings is not None and settings.mount is not None:
            turn = self._settings.mount.rotation().T @ settings.mount.rotation()
        source = MagSource("mag", clock, self._mag, turn)
        source.required = settings is not None and settings.required
        return source

    def look(self) -> bool:
        """Look for them now, and say whether there is to be a magnetometer.

        CammError where the motion sensor is not there, or a magnetometer that is required.
        """
        found = self._find()
        if self._magnetometer is None and found.magnetometer is None:
            _log.warning("%s has no magnetometer: which way is north remains unknown", found.name)
            return False
        if self._magnetometer is not None:
            try:
                self._mag_chip = self._find_magnetometer(self._magnetometer).name
            except DeviceError:
                if self._magnetometer.required:
                    raise
        return True

    def _imu(self, clock: Clock) -> Imu:
        settings, device = self._settings, self._find()
        configure = device.configure
        if isinstance(device, FifoImu):
            low_pass_hz = settings.low_pass_hz or math.inf
            configure = partial(device.configure, low_pass_hz=low_pass_hz, interrupt=self._line)
        elif self._line is not None:
            raise UsageError(f"{device.name} is read without an interrupt line: leave it out")
        configure(
            clock,
            rate_hz=settings.rate_hz,
            gyro_range_dps=settings.gyro_range_dps,
            accel_range_g=settings.accel_range_g,
        )
        return device

    def _mag(self, clock: Clock) -> Magnetometer:
        if (settings := self._magnetometer) is not None:
            device: Magnetometer = self._find_magnetometer(settings)
            device.configure(clock, rate_hz=settings.rate_hz)
            return device
        found = self._find()
        if found.magnetometer is None:
            raise EndOfSource(errno.ENODEV, f"{found.name} has no magnetometer")
        device = found.magnetometer(self._bus(self._settings.bus))
        device.configure(clock)  # at the rate that is its own: some have but one
        return device

    def _find(self) -> FoundImu:
        if self._line is None:
            self._line = self._open_line()
        found = find_imu(self._bus(self._settings.bus), self._chip)
        self._chip = found.name
        return found

    def _find_magnetometer(self, settings: MagnetometerSettings) -> Magnetometer:
        return find_magnetometer(self._bus(settings.bus or self._settings.bus), self._mag_chip)

    def _bus(self, device: str) -> I2CBus:
        if device not in self._buses:
            self._buses[device] = self._open_bus(device)
        return self._buses[device]
