"""Stands in for picamera2: its interfaces, and a camera whose exposures the test knows.

As in picamera2/picamera2.py and request.py: a request is shown to `pre_callback`, then given to the
encoders that have been started. Nothing runs by itself: `film` takes pictures.
"""

from . import encoders, outputs

CAMERAS = [
    {"Model": "imx219", "Id": "/base/soc/i2c0mux/i2c@1/imx219@10", "Num": 0, "Rotation": 180},
    {"Model": "HD Webcam", "Id": "/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1.2", "Num": 1},
]


class CompletedRequest:
    def __init__(self, number, metadata):
        self.number = number
        self.metadata = metadata

    def get_metadata(self):
        return dict(self.metadata)


class Picamera2:
    opened = []
    refuses = None
    sensor_mode = (1640, 1232)
    scaler_crop = (0, 0, 3280, 2464)

    @staticmethod
    def global_camera_info():
        return CAMERAS

    def __init__(self, camera_num=0):
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.opened.append(self)
        self.pre_callback = None
        self.config = None
        self.started = self.closed = self.gone = False
        self.running = []

    def create_video_configuration(self, main, controls, buffer_count=6, encode="main"):
        low, high = controls["FrameDurationLimits"]
        assert isinstance(low, int)
        assert low == high
        self.frame_us = low
        return {
            "main": {"format": "XBGR8888", "size": (1280, 720)} | main,
            "raw": {"format": "SBGGR10", "size": main["size"]},
            "sensor": {},
            "controls": controls,
            "buffer_count": buffer_count,
            "encode": encode,
        }

    def configure(self, config):
        width, height = config["main"]["size"]
        config["main"]["size"] = (width - width % 2, height - height % 2)
        config["raw"]["size"] = self.sensor_mode
        config["sensor"] = {"bit_depth": 10, "output_size": self.sensor_mode}
        self.config = config

    def camera_configuration(self):
        return self.config

    def start(self):
        assert self.config
        self.started = True

    def start_encoder(self, encoder, output):
        encoder.output = output
        encoder.width, encoder.height = self.config["main"]["size"]
        encoder.start()
        self.running.append(encoder)

    def stop(self):
        if self.gone:
            raise RuntimeError("Camera device has gone")
        self.started = False

    def stop_encoder(self):
        for encoder in self.running:
            encoder.stop()
        self.running = []

    def close(self):
        self.closed = True

    def take(self, number, sensor_ns, exposure_us, *, late=False):
        """One picture; `late`: the encoder has done with it before it is told of."""
        request = CompletedRequest(
            number,
            {
                "SensorTimestamp": sensor_ns,
                "ExposureTime": exposure_us,
                "FrameDuration": self.frame_us,
                "ScalerCrop": self.scaler_crop,
                "AnalogueGain": 2.0,
            },
        )
        if self.pre_callback and not late:
            self.pre_callback(request)
        for encoder in self.running:
            encoder.encode("main", request)
        if self.pre_callback and late:
            self.pre_callback(request)


__all__ = ["Picamera2", "encoders", "outputs"]
