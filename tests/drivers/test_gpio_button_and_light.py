"""A button and a lamp on GPIO lines, through a stand-in for libgpiod's package."""

import errno
import importlib
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest

from drivers.errors import DeviceError
from drivers.gpio import GpioButton, GpioLight

gpiod = importlib.import_module("gpiod")
EDGE = gpiod.EdgeEvent.Type


class Chip:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def line_offset_from_id(self, label):
        if label != "GPIO17":
            raise OSError(errno.ENOENT, "No such file or directory")
        return 17


class Request:
    def __init__(self, settings):
        self.settings = settings
        self.coming = []
        self.values = []
        self.released = False
        self.gone = False

    def wait_edge_events(self, timeout):
        assert timeout == 0
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        return bool(self.coming)

    def read_edge_events(self):
        events, self.coming = self.coming, []
        return [SimpleNamespace(timestamp_ns=t_ns, event_type=kind) for t_ns, kind in events]

    def set_value(self, line, value):
        assert line == 17
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        self.values.append(value)

    def release(self):
        assert not self.released
        self.released = True


@pytest.fixture
def requests(tmp_path, monkeypatch):
    """All that has been requested of the kernel so far."""
    (tmp_path / "gpiochip0").touch()
    made = []

    def request_lines(_path, consumer, config, event_buffer_size):
        assert consumer == "cammcorder"
        assert event_buffer_size is None
        [(_, settings)] = config.items()
        made.append(Request(settings))
        return made[-1]

    stand_in = SimpleNamespace(
        Chip=Chip,
        EdgeEvent=gpiod.EdgeEvent,
        LineSettings=gpiod.LineSettings,
        line=gpiod.line,
        request_lines=request_lines,
    )
    monkeypatch.setitem(sys.modules, "gpiod", stand_in)
    return made


def test_a_button_closes_to_ground_and_is_debounced_by_the_kernel(requests, tmp_path):
    GpioButton("17", tmp_path)
    settings = requests[0].settings
    assert settings.direction == gpiod.line.Direction.INPUT
    assert settings.bias == gpiod.line.Bias.PULL_UP
    assert settings.active_low
    assert settings.edge_detection == gpiod.line.Edge.BOTH
    assert timedelta(milliseconds=5) <= settings.debounce_period <= timedelta(milliseconds=50)
    assert settings.event_clock == gpiod.line.Clock.MONOTONIC


def test_presses_and_releases_are_told_once_with_the_kernels_stamps(requests, tmp_path):
    button = GpioButton("GPIO17", tmp_path)
    assert button.changes() == []
    requests[0].coming = [(1_000, EDGE.RISING_EDGE), (2_000, EDGE.FALLING_EDGE)]
    assert button.changes() == [(1_000, True), (2_000, False)]
    assert button.changes() == []


def test_a_lamp_is_dark_at_first_and_shines_when_told(requests, tmp_path):
    light = GpioLight("17", tmp_path)
    settings = requests[0].settings
    assert settings.direction == gpiod.line.Direction.OUTPUT
    assert settings.output_value == gpiod.line.Value.INACTIVE
    light.shine(True)
    light.shine(False)
    assert requests[0].values == [gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE]


def test_a_lamp_is_left_dark(requests, tmp_path):
    light = GpioLight("17", tmp_path)
    light.shine(True)
    light.close()
    light.close()
    light.shine(True)
    assert requests[0].values[-1] == gpiod.line.Value.INACTIVE
    assert requests[0].released


def test_a_closed_button_is_silent(requests, tmp_path):
    button = GpioButton("17", tmp_path)
    requests[0].coming = [(1_000, EDGE.RISING_EDGE)]
    button.close()
    button.close()
    assert button.changes() == []
    assert requests[0].released


def test_lines_that_go_are_told_and_can_still_be_given_back(requests, tmp_path):
    button, light = GpioButton("17", tmp_path), GpioLight("17", tmp_path)
    for request in requests:
        request.gone = True
    with pytest.raises(DeviceError, match="GPIO line 17: ENODEV"):
        button.changes()
    with pytest.raises(DeviceError, match="GPIO line 17: ENODEV"):
        light.shine(True)
    button.close()
    light.close()
    assert all(request.released for request in requests)


@pytest.mark.parametrize("kind", [GpioButton, GpioLight])
@pytest.mark.usefixtures("requests")
def test_a_line_that_is_not_there_is_said_to_be_absent(kind, tmp_path):
    with pytest.raises(DeviceError, match="no GPIO line 18: gpioinfo lists"):
        kind("18", tmp_path)


@pytest.mark.parametrize("kind", [GpioButton, GpioLight])
def test_a_line_wants_the_extra(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(DeviceError, match=r"needs gpiod: pip install 'cammcorder\[gpio\]'"):
        kind("17")
