"""What a rig is made of and how it is set: the tables of `rig.toml`, and of the command line.

docs/HARDWARE.md explains the keys.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt

from camm import UsageError
from camm.declared import declared
from camm.frames import Array, mount_from_axes


@declared
class Mount:
    """Where the axes of a sensor point, as seen from behind the camera."""

    x: str = "right"
    y: str = "forward"
    z: str = "up"

    def __post_init__(self) -> None:
        self.matrix()

    def matrix(self) -> Array:
        """R_camera,sensor (3, 3)."""
        return mount_from_axes(x=self.x, y=self.y, z=self.z)


@declared
class ImuSettings:
    """The motion sensor: where it is, which it is, and what it is set to.

    `bus` is a device, or `unix:PATH` of a simulated rig that another process serves. `interrupt` is
    the GPIO line that its INT pin is wired to, as "gpiochip0:17".
    """

    bus: str = "/dev/i2c-1"
    chip: str = "auto"
    rate_hz: Annotated[float, Gt(0)] = 225.0
    gyro_range_dps: Annotated[float, Gt(0)] = 1000.0
    accel_range_g: Annotated[float, Gt(0)] = 8.0
    mount: Mount = Mount()
    interrupt: str | None = None


@declared
class MagnetometerSettings:
    """A magnetometer of its own package, on the IMU's bus unless it is said to be on another.

    Without a mount its axes are taken to be those of the IMU.
    """

    chip: str = "auto"
    bus: str | None = None
    rate_hz: Annotated[float, Gt(0)] = 100.0
    mount: Mount | None = None


@declared
class GpsSettings:
    """The receiver: at a serial port, or `gpsd://HOST:PORT`.

    A u-blox is set up for `rate_hz` fixes a second at `baud`, or left alone with 0. `pps` is the
    device of its time pulse, without which messages are taken to come `latency_ms` (the least, the
    most) after their moment.
    """

    port: str
    baud: Annotated[int, Gt(0)] = 115_200
    rate_hz: Annotated[int, Ge(0)] = 10
    latency_ms: tuple[Annotated[float, Ge(0)], Annotated[float, Gt(0)]] = (180.0, 250.0)
    pps: str | None = None

    def __post_init__(self) -> None:
        least, most = self.latency_ms
        if least >= most:
            raise UsageError(f"latency_ms is [least, most], found [{least:g}, {most:g}]")
        if self.pps is not None and self.port.startswith("gpsd://"):
            raise UsageError("gpsd tells of its time pulses by itself: leave pps out")


@declared
class Configuration:
    """A rig of real devices; what is left out is not there."""

    imu: ImuSettings | None = None
    magnetometer: MagnetometerSettings | None = None
    gps: GpsSettings | None = None

    def __post_init__(self) -> None:
        if self.magnetometer is not None and self.imu is None:
            raise UsageError("a magnetometer alone tells no orientation: add the [imu]")
