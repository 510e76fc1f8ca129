"""What a sensor says of its read-out, through ioctls whose bytes are made by hand."""

import ctypes
import struct

import pytest

from drivers.line_time import SensorMode, read_out, sensor_mode

IMX219 = "/base/soc/i2c0mux/i2c@1/imx219@10"
LENS = "/base/soc/i2c0mux/i2c@1/dw9807@c"
G_FMT, G_EXT_CTRLS = 0xC0585604, 0xC0205647


class Kernel:
    """Two subdevices, as a 64-bit Linux answers for them."""

    def __init__(self, folder):
        self.nodes, self.devices = folder / "video4linux", folder / "dev"
        self.devices.mkdir()
        self.controls = {0x009E0902: 1808, 0x009F0902: 182_400_000}
        self.refuses = None
        for number, path in enumerate((LENS, IMX219)):
            in_tree = folder / f"sys/firmware/devicetree{path}"
            in_tree.mkdir(parents=True)
            device = self.nodes / f"v4l-subdev{number}/device"
            device.mkdir(parents=True)
            (device / "of_node").symlink_to(in_tree)
            (self.devices / f"v4l-subdev{number}").write_text(path)

    def ioctl(self, descriptor, request, argument):
        if self.refuses:
            raise self.refuses
        with open(descriptor, closefd=False) as opened:
            opened.seek(0)
            assert opened.read() == IMX219
        if request == G_FMT:
            assert len(argument) == 88
            assert struct.unpack_from("=II", argument) == (1, 0)  # active, pad 0
            struct.pack_into("=IIII", argument, 8, 1640, 1232, 0x300F, 1)
        else:
            assert request == G_EXT_CTRLS
            assert len(argument) == 32
            which, count, _, _, _, pointer = struct.unpack("@IIIiIP", argument)
            assert (which, count) == (0, 2)
            for address in (pointer, pointer + 20):
                ident = ctypes.c_uint32.from_address(address)
                value = ctypes.c_int64.from_address(address + 12)
                value.value = self.controls[ident.value]

    def ask(self, camera_id=IMX219):
        return sensor_mode(camera_id, self.nodes, self.devices, self.ioctl)


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


def test_a_row_lasts_as_long_as_its_pixels_and_its_blanking(kernel):
    assert kernel.ask() == SensorMode(1640, 1232, pytest.approx(3448 / 182.4e6 * 1e9))


def test_a_sensor_of_another_bus_is_another_sensor(kernel):
    assert kernel.ask("/base/soc/i2c0mux/i2c@0/imx219@10") is None


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(22, "no such control")])
def test_a_sensor_that_cannot_be_asked_is_no_error(kernel, error):
    kernel.refuses = error
    assert kernel.ask() is None


def test_a_host_without_subdevices_has_none_to_ask(tmp_path):
    assert sensor_mode(IMX219, tmp_path / "none") is None


ASKED = SensorMode(1640, 1232, 18_904.0)


def test_the_user_counts_before_the_sensor_and_the_sensor_before_the_table():
    assert read_out("imx219", (1640, 1232), ASKED, 20_000.0).known_by == "configuration"
    assert read_out("imx219", (1640, 1232), ASKED, None).line_ns == 18_904.0
    told = read_out("imx219", (1640, 1232), None, None)
    assert (told.known_by, told.line_ns) == ("table", pytest.approx(18_903.5, abs=0.1))


def test_the_sensor_knows_its_mode_best():
    assert read_out("imx219", (1920, 1080), ASKED, None).size == (1640, 1232)


@pytest.mark.parametrize(
    ("model", "size", "line_us", "skew_ms"),
    [
        ("imx219", (3280, 2464), 18.90, 46.6),
        ("imx219", (1920, 1080), 18.90, 20.4),
        ("imx477", (4056, 3040), 28.57, 86.8),
        ("imx477", (2028, 1080), 15.17, 16.4),
        ("imx708_wide", (4608, 2592), 26.29, 68.1),
        ("imx708", (2304, 1296), 13.36, 17.3),
        ("imx708_noir", (1536, 864), 9.21, 7.95),
        ("ov5647", (2592, 1944), 32.5, 63.2),
        ("ov5647", (1296, 972), 23.2, 22.5),
    ],
)
def test_the_table_is_that_of_the_drivers_in_linux(model, size, line_us, skew_ms):
    out = read_out(model, size, None, None)
    assert out.line_ns / 1e3 == pytest.approx(line_us, rel=2e-3)
    assert out.line_ns * (size[1] - 1) / 1e6 == pytest.approx(skew_ms, abs=0.05)


def test_a_global_shutter_has_no_skew_however_long_its_rows_take():
    assert read_out("imx296", (1456, 1088), SensorMode(1456, 1088, 14_800.0), None).line_ns == 0


@pytest.mark.parametrize(("model", "size"), [("imx999", (1640, 1232)), ("imx219", None)])
def test_what_nobody_knows_is_not_made_up(model, size):
    out = read_out(model, size, None, None)
    assert out.line_ns is None
    assert out.describe()["line_time"] == "nobody"
    assert "first row" in out.describe()["time"]
