"""Motion sensors as the recorder sees them: bursts of samples with what is known of their time.

A driver does not stamp samples. It says which sample of the chip's own count a burst begins with
and between which two instants the newest one was taken; `ClockFit` makes times of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from drivers.clock import Clock


@dataclass(frozen=True, slots=True, eq=False)
class ImuBurst:
    """Samples that came out of an IMU's FIFO together, oldest first, in the chip's own axes.

    `first_count`      number of the first sample since `configure`, counting the lost ones too, so
                       that the count runs on with time
    `gyro`             float64 (N, 3), rad/s
    `accel`            float64 (N, 3), specific force, m/s^2
    `earliest_ns`, `latest_ns`  the newest sample was taken after the one and not later than the
                       other, CLOCK_MONOTONIC
    `noise_ns`         how far, one sigma, the truth may lie outside of that
    `lost`             samples that an overflow swallowed just before this burst, as far as time
                       tells
    `group_delay_ns`   how long the chip's filter holds a movement back: subtract it from the time
                       of a sample to get the time of what was measured
    `temperature_c`    of the chip, some time in the last second; None where it cannot tell
    `orientation`      what a chip with a filter of its own made of them: float64 (N, 4), unit
                       quaternions, scalar first, that turn the chip's axes into its world (X east,
                       Y north, Z up; magnetic north, or an arbitrary one: its `description` tells
                       under "orientation"); None of all others
    """

    first_count: int
    gyro: npt.NDArray[np.float64]
    accel: npt.NDArray[np.float64]
    earliest_ns: int
    latest_ns: int
    noise_ns: float
    lost: int
    group_delay_ns: int
    temperature_c: float | None = None
    orientation: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.gyro)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Gyroscope, accelerometer and any orientation side by side, (N, 6) or (N, 10)."""
        told = [] if self.orientation is None else [self.orientation]
        return np.concatenate([self.gyro, self.accel, *told], axis=1)

    @property
    def newest_count(self) -> int:
        """Number of the sample that `earliest_ns` and `latest_ns` speak of."""
        return self.first_count + len(self) - 1


@dataclass(frozen=True, slots=True, eq=False)
class MagBurst:
    """Samples of a magnetometer; `field` is float64 (N, 3) in microtesla. The rest as `ImuBurst`.

    A magnetometer inside an IMU gives its field in the axes of that IMU, one of its own package in
    those printed on it.
    """

    first_count: int
    field: npt.NDArray[np.float64]
    earliest_ns: int
    latest_ns: int
    noise_ns: float
    lost: int
    group_delay_ns: int

    def __len__(self) -> int:
        return len(self.field)

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The field, (N, 3)."""
        return self.field

    @property
    def newest_count(self) -> int:
        """Number of the sample that `earliest_ns` and `latest_ns` speak of."""
        return self.first_count + len(self) - 1


class Imu(Protocol):
    """Gyroscope and accelerometer, sampled together.

    The caller finds it, configures it, then asks for a burst every `poll_interval_ns`. One thread.
    """

    @property
    def name(self) -> str:
        """How a person knows it: "ICM-20948"."""
        ...

    @property
    def rate_hz(self) -> float:
        """The nominal rate that `configure` arrived at: the chip's nearest to the one asked for."""
        ...

    @property
    def poll_interval_ns(self) -> int:
        """When to ask next: early enough that nothing overflows, out of step with the chip."""
        ...

    @property
    def description(self) -> Mapping[str, str | float]:
        """What the clip should remember of the sensor: chip, address, ranges, filter."""
        ...

    def configure(
        self,
        clock: Clock,
        *,
        rate_hz: float,
        gyro_range_dps: float,
        accel_range_g: float,
    ) -> None:
        """Reset it and start sampling; the sample count begins at 0.

        UsageError for a range or rate that the chip has not, BusError where it does not answer.
        """
        ...

    def read_burst(self, clock: Clock) -> ImuBurst | None:
        """What has come since the last call; None if nothing. BusError may pass: ask again."""
        ...

    def close(self) -> None:
        """Let the chip sleep. May be called twice; does not close the bus."""
        ...


class Magnetometer(Protocol):
    """A magnetometer; everything as for `Imu`, but for `configure`."""

    @property
    def name(self) -> str: ...

    @property
    def rate_hz(self) -> float: ...

    @property
    def poll_interval_ns(self) -> int: ...

    @property
    def description(self) -> Mapping[str, str | float]: ...

    def configure(self, clock: Clock, *, rate_hz: float = ..., range_ut: float = ...) -> None:
        """Reset it and start measuring; the sample count begins at 0.

        The rate becomes the nearest that the chip has, the full scale (microtesla) the least that
        is not less than `range_ut`; `description` tells them. UsageError for a rate that is more
        than twice the fastest or less than half the slowest, and for a range that it has not;
        BusError where it does not answer.
        """
        ...

    def read_burst(self, clock: Clock) -> MagBurst | None: ...

    def close(self) -> None: ...
