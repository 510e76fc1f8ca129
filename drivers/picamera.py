"""A camera of the Raspberry Pi through picamera2, as H.264 with the shutter of every picture.

Interfaces used, in github.com/raspberrypi/picamera2: picamera2/picamera2.py (`Picamera2`,
`pre_callback`, `start_encoder`), request.py (`get_metadata`), encoders/encoder.py (`outputframe`,
`firsttimestamp`), outputs/output.py. The package is part of Raspberry Pi OS and of no index, so it
is looked for when the camera is opened. It picks the encoder: the hardware's up to the Pi 4,
libx264 on the Pi 5.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.camera import CameraOptions
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.libcamera_pictures import Pictures, Request
from drivers.line_time import AskSensor, ReadOut, read_out, sensor_mode

_WAIT_NS = 500_000_000
_MOST_WAITING = 1000  # requests and pictures: some fifteen seconds at 30 a second
_REFUSALS = (RuntimeError, OSError)  # what picamera2 and libcamera raise for a camera that will not


class Picamera:
    """A camera by its number, as a `drivers.camera.Camera`.

    It runs from `open` on, so that exposure and white balance have settled when `read` is called
    for the first time; then the encoder starts, with a key frame.
    """

    def __init__(
        self, options: CameraOptions, clock: Clock, ask_sensor: AskSensor = sensor_mode
    ) -> None:
        self.name = f"picamera2:{options.number}"
        self._options = options
        self._clock = clock
        self._ask_sensor = ask_sensor
        self._package: Any = None
        self._camera: Any = None
        self._encoder: Any = None
        self._model = ""
        self._formats: tuple[StreamFormat, ...] = ()
        self._out = ReadOut(None, None, "nobody")
        self._pictures = Pictures(options.frame_ns, self._out)
        # From the threads of picamera2, which `read` waits for by the descriptor.
        self._arrivals: deque[Request | tuple[int, bytes, bool]] = deque(maxlen=_MOST_WAITING)
        self._arrived = -1

    @property
    def formats(self) -> Sequence[StreamFormat]:
        return self._formats

    def open(self) -> None:
        """Configure the camera and let it run. DeviceError where it cannot be used."""
        if self._options.encoder not in ("auto", "libx264"):
            raise UsageError(
                f"picamera2 has no encoder {self._options.encoder!r}: say auto or libx264"
            )
        self._package = _load()
        model, camera_id = self._find()
        try:
            self._camera = self._package.Picamera2(self._options.number)
            self._configure(model, camera_id)
        except _REFUSALS as error:
            self.close()
            raise DeviceError(
                errno.EBUSY, f"{self.name} cannot be opened, does something else hold it? {error}"
            ) from None
        self._arrived = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def _find(self) -> tuple[str, str]:
        """The sensor's model and its path in the device tree."""
        try:
            cameras = self._package.Picamera2.global_camera_info()
        except _REFUSALS as error:
            raise DeviceError(errno.EIO, f"libcamera does not start: {error}") from None
        number = self._options.number
        if number >= len(cameras):
            raise DeviceError(
                errno.ENODEV,
                f"there is no camera {number}, libcamera finds {len(cameras)}: check the ribbon "
                "cable and `rpicam-hello --list-cameras`",
            )
        if "/usb" in cameras[number]["Id"]:
            raise UsageError(f"{self.name} is a camera on USB: name its /dev/video... instead")
        return cameras[number]["Model"], cameras[number]["Id"]

    def _configure(self, model: str, camera_id: str) -> None:
        options, camera = self._options, self._camera
        frame_us = round(1e6 / options.fps)
        camera.configure(
            camera.create_video_configuration(
                main={"size": (options.width, options.height), "format": "YUV420"},
                controls={"FrameDurationLimits": (frame_us, frame_us)},
            )
        )
        camera.start()
        configured = camera.camera_configuration()
        width, height = configured["main"]["size"]
        self._formats = (StreamFormat("video", "h264", 1_000_000, width=width, height=height),)
        size = (configured.get("sensor") or {}).get("output_size") or configured["raw"]["size"]
        self._out = read_out(model, size, self._ask_sensor(camera_id), options.line_time_ns)
        self._pictures = Pictures(options.frame_ns, self._out)
        self._model = model
        encoders = self._package.encoders
        chosen = encoders.H264Encoder if options.encoder == "auto" else encoders.LibavH264Encoder
        self._encoder = chosen(
            bitrate=options.bits_per_second,
            repeat=True,  # parameter sets with every key frame
            iperiod=options.key_every,
            framerate=options.fps,
        )

    def read(self) -> Sequence[Packet]:
        if self._camera is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        if not self._encoder.running:
            self._start_encoder()
        now_ns = self._clock.now_ns()
        if self._clock.wait_readable(self._arrived, now_ns + _WAIT_NS):
            os.eventfd_read(self._arrived)
        now_ns = self._clock.now_ns()
        if len(self._arrivals) == _MOST_WAITING:
            raise DeviceError(
                errno.EOVERFLOW, f"{self.name}: pictures have not been fetched in time"
            )
        while self._arrivals:
            arrival = self._arrivals.popleft()
            if isinstance(arrival, Request):
                self._pictures.add_request(arrival, now_ns)
            else:
                self._pictures.add_frame(*arrival)
        return self._pictures.ready()

    def _start_encoder(self) -> None:
        try:
            self._camera.pre_callback = self._on_request
            self._camera.start_encoder(self._encoder, _output(self._package, self._on_frame))
        except _REFUSALS as error:
            raise DeviceError(errno.EIO, f"{self.name}: no encoder starts: {error}") from None

    def _on_request(self, request: Any) -> None:  # noqa: ANN401 - of a package without types
        """A picture has been taken; it goes to the encoder after this."""
        told = request.get_metadata()
        _, _, *crop = told.get("ScalerCrop", (0, 0))
        self._arrivals.append(
            Request(told["SensorTimestamp"], told["ExposureTime"] * 1000, tuple(crop) or None)
        )

    def _on_frame(self, frame: bytes, keyframe: bool, timestamp_us: int) -> None:
        """A picture has been encoded. Its time counts from the first that the encoder was given."""
        sensor_us = self._encoder.firsttimestamp + timestamp_us
        self._arrivals.append((sensor_us, bytes(frame), bool(keyframe)))
        os.eventfd_write(self._arrived, 1)

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            # One that has gone cannot be stopped; its encoder can, and is silent from then on.
            for step in (camera.stop, camera.stop_encoder, camera.close):
                with suppress(*_REFUSALS):
                    step()
        if self._arrived >= 0:
            os.close(self._arrived)
            self._arrived = -1
        self._arrivals.clear()

    def describe(self) -> Mapping[str, Any]:
        in_hardware = type(self._encoder).__name__ == "H264Encoder"
        return {
            "sensor": self._model,
            "encoder": "V4L2 hardware" if in_hardware else "libx264",
            **self._out.describe(),
            **self._pictures.describe(),
        }


def _load() -> Any:  # noqa: ANN401 - it has no types
    """The package. DeviceError where it is not there or cannot be used."""
    try:
        import picamera2.encoders
        import picamera2.outputs
    except ImportError as error:
        raise DeviceError(
            errno.ENOSYS,
            f"picamera2 cannot be imported ({error}): apt install python3-picamera2, and make the "
            "environment with --system-site-packages; or use rpicam-vid",
        ) from None
    except ValueError as error:  # its libraries were built for another NumPy
        raise DeviceError(
            errno.ENOSYS, f"picamera2 does not work with this NumPy ({error}): use rpicam-vid"
        ) from None
    return picamera2


def _output(package: Any, take: Callable[[bytes, bool, int], None]) -> Any:  # noqa: ANN401 - as above
    """What hands encoded frames over; an encoder takes nothing but picamera2's own kind."""

    class Output(package.outputs.Output):  # type: ignore[misc]
        def outputframe(
            self,
            frame: bytes,
            keyframe: bool = True,
            timestamp: int = 0,
            packet: object = None,
            audio: bool = False,
        ) -> None:
            take(frame, keyframe, timestamp)

    return Output()
