"""A GPIO line through a stand-in for libgpiod's package, which needs a kernel with GPIO."""

import errno
import importlib
import sys
from types import SimpleNamespace

import pytest

from drivers.errors import DeviceError
from drivers.interrupt import GpioLine

CHIPS = {"gpiochip0": {"GPIO17": 17, "ID_SDA": 0}, "gpiochip4": {"WAKE": 3}}


class Chip:
    def __init__(self, path):
        self.name = path.rpartition("/")[2]
        if self.name not in CHIPS:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def line_offset_from_id(self, label):
        names = CHIPS[self.name]
        if label in names:
            return names[label]
        if not label.isdecimal():
            raise OSError(errno.ENOENT, "No such file or directory")
        if int(label) > 57:
            raise ValueError("line offset of out range")
        return int(label)


class Request:
    released = False

    def __init__(self):
        self.coming = []

    def wait_edge_events(self, timeout):
        assert timeout == 0
        return bool(self.coming)

    def read_edge_events(self, most):
        events, self.coming = self.coming[:most], self.coming[most:]
        return [SimpleNamespace(timestamp_ns=t_ns) for t_ns in events]

    def release(self):
        self.released = True


@pytest.fixture
def gpiod(tmp_path, monkeypatch):
    """`gpiod.requested` says what was asked of it; `gpiod.refuses` what it says to that."""
    for name in CHIPS:
        (tmp_path / name).touch()
    real = importlib.import_module("gpiod")
    requests = []

    def request_lines(path, consumer, config, event_buffer_size):
        if fake.refuses:
            raise OSError(fake.refuses, "refused")
        [(line, settings)] = config.items()
        requests.append((path.rpartition("/")[2], line, settings, event_buffer_size))
        fake.request = Request()
        return fake.request

    fake = SimpleNamespace(
        Chip=Chip,
        LineSettings=real.LineSettings,
        line=real.line,
        request_lines=request_lines,
        requested=requests,
        refuses=None,
    )
    monkeypatch.setitem(sys.modules, "gpiod", fake)
    return fake


@pytest.mark.parametrize(
    ("name", "chip", "line"),
    [
        ("gpiochip0:17", "gpiochip0", 17),
        ("gpiochip0:GPIO17", "gpiochip0", 17),
        ("gpiochip4:5", "gpiochip4", 5),
        ("17", "gpiochip0", 17),
        ("GPIO17", "gpiochip0", 17),
        ("WAKE", "gpiochip4", 3),
    ],
)
def test_a_line_is_found_by_chip_and_number_or_by_name(gpiod, tmp_path, name, chip, line):
    assert GpioLine(name, tmp_path).name == name
    [(found, number, settings, _)] = gpiod.requested
    assert (found, number) == (chip, line)
    assert settings.direction == gpiod.line.Direction.INPUT
    assert settings.edge_detection == gpiod.line.Edge.RISING
    assert settings.event_clock == gpiod.line.Clock.MONOTONIC
    assert settings.bias == gpiod.line.Bias.PULL_DOWN


def test_edges_are_the_kernels_stamps_each_told_once(gpiod, tmp_path):
    line = GpioLine("gpiochip0:17", tmp_path)
    assert line.edges() == []
    gpiod.request.coming = [1_000, 2_000]
    assert line.edges() == [1_000, 2_000]
    assert line.edges() == []


def test_a_closed_line_is_silent_and_may_be_closed_again(gpiod, tmp_path):
    line = GpioLine("gpiochip0:17", tmp_path)
    gpiod.request.coming = [1_000]
    line.close()
    line.close()
    assert gpiod.request.released
    assert line.edges() == []


@pytest.mark.parametrize(
    "name", ["gpiochip7:17", "gpiochip0:NOSUCH", "gpiochip0:99", "NOSUCH", "18"]
)
def test_a_line_that_is_not_there_is_said_to_be_absent(gpiod, tmp_path, name):
    with pytest.raises(DeviceError, match=f"no GPIO line {name}: gpioinfo lists") as caught:
        GpioLine(name, tmp_path)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EBUSY, "gpiochip0:17 is held by another program or a driver"),
        (errno.EACCES, "no permission for GPIO line gpiochip0:17: add this user to the group gpio"),
        (errno.EIO, "GPIO line gpiochip0:17: EIO"),
    ],
)
def test_what_the_kernel_refuses_is_said_in_a_line(gpiod, tmp_path, number, message):
    gpiod.refuses = number
    with pytest.raises(DeviceError, match=message):
        GpioLine("gpiochip0:17", tmp_path)


def test_without_gpiod_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(DeviceError, match=r"needs gpiod: pip install 'cammcorder\[gpio\]'"):
        GpioLine("17")
