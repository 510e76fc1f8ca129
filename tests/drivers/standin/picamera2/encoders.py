"""As picamera2/encoders/encoder.py, v4l2_encoder.py and libav_h264_encoder.py."""

from .outputs import Output


class Encoder:
    delay = 0
    """How many pictures it keeps before it gives the first."""
    left_out = ()
    """Numbers of those that it never gives."""
    refuses = None

    def __init__(self, bitrate=None, repeat=True, iperiod=30, framerate=30):
        self.bitrate, self.repeat, self.iperiod = bitrate, repeat, iperiod
        self.firsttimestamp = None
        self.running = False
        self._output = None
        self._kept = []
        self._given = 0

    @property
    def output(self):
        return self._output

    @output.setter
    def output(self, value):
        if not isinstance(value, Output):
            raise RuntimeError("Must pass Output")  # noqa: TRY004 - as the package does
        self._output = value

    def start(self):
        if self.refuses:
            raise self.refuses
        self.running = True
        self.firsttimestamp = None
        self._output.start()

    def stop(self):
        self.running = False
        self._give(0)
        self._output.stop()

    def encode(self, stream, request):
        assert stream == "main"
        microseconds = int(request.metadata["SensorTimestamp"] / 1000)
        if self.firsttimestamp is None:
            self.firsttimestamp = microseconds
        if request.number not in self.left_out:
            self._kept.append((request.number, microseconds - self.firsttimestamp))
        self._give(self.delay)

    def _give(self, keep):
        while len(self._kept) > keep:
            number, timestamp = self._kept.pop(0)
            keyframe = self._given % self.iperiod == 0
            self._given += 1
            self.give(f"picture {number}".encode(), keyframe, timestamp)


class H264Encoder(Encoder):
    """The hardware's."""

    def give(self, frame, keyframe, timestamp):
        self._output.outputframe(frame, keyframe, timestamp)


class LibavH264Encoder(Encoder):
    def give(self, frame, keyframe, timestamp):
        self._output.outputframe(frame, keyframe, timestamp, object(), False)
