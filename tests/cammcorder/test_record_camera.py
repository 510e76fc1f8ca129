"""The camera of `record`: what may be said of it, and that it films."""

import argparse
from pathlib import Path

import pytest

from camm import UsageError
from cammcorder.commands.record import add_arguments, configuration
from daemon.configuration import CameraSettings
from muxer import reader

FILM = Path(__file__).parents[1] / "data/video/sample-5s.mp4"


def asked(*arguments):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return configuration(parser.parse_args(["-o", "clip.mp4", *arguments]))


def test_all_of_a_camera_can_be_said():
    options = ["--size", "1280x720", "--fps", "25", "--input", "mjpeg", "--encoder", "libx264"]
    options += ["--bitrate", "4000", "--line-time", "0"]
    assert asked("--camera", "/dev/video0", *options).camera == CameraSettings(
        "/dev/video0", 1280, 720, 25.0, "mjpeg", "libx264", 4000, 0.0
    )


def test_what_is_left_out_is_as_in_the_file():
    assert asked("--camera", "picamera2").camera == CameraSettings("picamera2")
    assert asked().camera is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fps", "25"], "fps: say of which camera with --camera DEVICE"),
        (["--size", "640x480"], "width, height: say of which camera"),
        (["--camera", "a.mp4", "--fps", "25"], "fps is of no use to a film"),
    ],
)
def test_what_nobody_would_heed_is_refused(arguments, told):
    with pytest.raises(UsageError, match=told):
        asked(*arguments)


def test_a_size_is_two_numbers(run):
    done = run("record", "--camera", "/dev/video0", "--size", "1080p", "-o", "clip.mp4")
    assert done.returncode == 2
    assert "expected WIDTHxHEIGHT such as 1280x720, found '1080p'" in done.stderr


def test_a_film_is_recorded_as_a_camera(run, tmp_path):
    clip = tmp_path / "clip.mp4"
    done = run("record", "--camera", FILM, "--duration", "1", "-o", clip)
    assert done.returncode == 0, done.stderr
    with reader.open(clip) as opened:
        assert 28 <= len(opened.video.table) <= 34
        assert opened.metadata["sources"]["camera"]["device"] == str(FILM)
