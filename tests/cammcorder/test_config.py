"""Checking the file that a camcorder is declared in, showing it, and the examples to begin with."""

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm.declared import parse
from cammcorder.__main__ import main
from cammcorder.commands.config import _table
from daemon.configuration import Configuration

EXAMPLES = ("sense-hat", "simulator", "usb-camera")


def said(capsys, *arguments):
    """Exit code, standard output, standard error."""
    code = main(["config", *map(str, arguments)])
    return (code, *capsys.readouterr())


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "rig.toml"
    path.write_text('[simulator]\n[storage]\nfolder = "/srv/clips"\n')
    return path


def test_a_file_without_fault_is_said_to_have_none(capsys, rig):
    assert said(capsys, "check", rig) == (0, f"{rig}: nothing is wrong\n", "")


def test_every_fault_is_told_with_its_line_and_what_would_be_right(capsys, rig):
    rig.write_text(
        '[imu]\nrate = 225\n[imu.mount]\nx = "rigth"\n\n[fusion]\nfilter = "kalman"\n[gsp]\n'
    )
    code, out, err = said(capsys, "check", rig)
    assert (code, err) == (1, "")
    for line, problem in zip(sorted(out.splitlines()), (
        "2: unknown key 'imu.rate', did you mean 'rate_hz'?",
        "3: imu.mount: the sensor's x axis cannot point 'rigth': choose of right, left, down",
        "7: fusion.filter must be 'vqf', 'madgwick', 'imufusion', 'vqf-6d', 'mahony', 'ekf', "
            "'aqua', 'complementary', 'chip' or 'tracker', found 'kalman'",
        "8: unknown key 'gsp', did you mean 'gps'?",
    ), strict=True):  # fmt: skip
        assert line.startswith(f"{rig}, line {problem}")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('[imu]\nchip = "MPU-6051"', "imu: no driver for 'MPU-6051'; there are: auto, MPU-6050"),
        (
            '[imu]\n[magnetometer]\nchip = "LSM9DS0"',
            "magnetometer: no driver for 'LSM9DS0'; there are: auto, LIS3MDL",
        ),
        ('[camera]\ndevice = "a.mp4"\nwidth = 640', "camera: width is of no use to a film: it is"),
        (
            '[camera]\ndevice = "rtsp://a/b"\nencoder = "libx265"',
            "camera: encoder is of no use to a stream: it is passed on as it is; leave it out",
        ),
        (
            '[camera]\ndevice = "picamera2"\ninput = "mjpeg"',
            "camera: input is of no use to a picamera2: that is for a V4L2 device",
        ),
        (
            '[camera]\ndevice = "rpicam-vid:left"',
            "camera: a camera is called rpicam-vid or rpicam-vid:1, found 'rpicam-vid:left'",
        ),
    ],
)
def test_a_chip_without_a_driver_is_a_fault_wherever_it_is_checked(capsys, rig, table, problem):
    rig.write_text(table)
    assert problem in said(capsys, "check", rig)[1]


def test_a_file_that_is_not_there_is_no_fault_of_the_file(capsys, tmp_path):
    path = tmp_path / "rig.toml"
    assert said(capsys, "check", path) == (
        *(2, ""),
        f"cammcorder: {path}: No such file or directory\n",
    )


def test_what_is_shown_has_all_defaults_and_means_the_same(capsys, rig):
    code, out, err = said(capsys, "show", rig)
    assert (code, err) == (0, "")
    shown = tomllib.loads(out)
    assert shown["storage"]["folder"] == "/srv/clips"
    assert shown["storage"]["segment_s"] == 300
    assert "# imu is not set" in out.splitlines()
    assert parse(Configuration, out, "shown") == parse(Configuration, rig.read_text(), "rig")


@given(
    st.dictionaries(
        st.sampled_from(["a", "b-c", "d_2"]),
        st.recursive(
            st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.lists(st.text() | st.integers(0, 9)).map(tuple),
            lambda inner: st.dictionaries(st.sampled_from(["x", "y", "z"]), inner),
            max_leaves=8,
        ),
    )
)  # fmt: skip
def test_whatever_is_declared_is_read_back_from_what_is_shown(table):
    written = "\n".join(_table(table))
    assert tomllib.loads(written) == _lists(table)


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def test_without_a_name_the_examples_are_listed(capsys):
    code, out, err = said(capsys, "example")
    assert (code, err) == (0, "")
    assert tuple(line.split()[0] for line in out.splitlines()) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_without_fault_and_explained(capsys, tmp_path, name):
    code, out, err = said(capsys, "example", name)
    assert (code, err) == (0, "")
    assert out == files("cammcorder").joinpath("examples", f"{name}.toml").read_text("utf-8")
    assert out.startswith("# ")
    path = tmp_path / f"{name}.toml"
    path.write_text(out)
    assert said(capsys, "check", path) == (0, f"{path}: nothing is wrong\n", "")
    assert said(capsys, "show", path)[0] == 0


def test_the_examples_are_the_rigs_that_they_are_called():
    def example(name):
        text = files("cammcorder").joinpath("examples", f"{name}.toml").read_text("utf-8")
        return parse(Configuration, text, name)

    hat, car, simulator = (example(name) for name in EXAMPLES[:1] + EXAMPLES[2:] + EXAMPLES[1:2])
    assert hat.imu is not None
    assert hat.imu.chip == "LSM9DS1"
    assert car.gps is not None
    assert car.gps.port == "/dev/gps-ublox"
    assert simulator.simulator is not None
    assert (simulator.imu, simulator.gps, simulator.camera) == (None, None, None)
    assert not any(rig.triggers.at_start for rig in (hat, car, simulator))


def test_an_example_that_is_none_is_refused(capsys):
    assert said(capsys, "example", "boat") == (
        *(2, ""),
        "cammcorder: no example is called 'boat'; there are: sense-hat, simulator, usb-camera\n",
    )
