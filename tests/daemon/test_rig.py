"""What a rig of real devices says of itself."""

import json
import os
from types import SimpleNamespace

import pytest

from daemon import rig
from daemon.configuration import Configuration, GpsSettings
from daemon.rig import hardware_rig, simulated_rig
from muxer import reader


@pytest.fixture
def pi(tmp_path, monkeypatch):
    """A host that says what it is, with a receiver at a USB port under another name."""
    tree = tmp_path / "device-tree"
    tree.mkdir()
    (tree / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tree / "serial-number").write_bytes(b"c8f3a1b2\0")
    monkeypatch.setattr(rig, "_DEVICE_TREE", tree)
    device = tmp_path / "ttyACM0"
    device.touch()
    (tmp_path / "by-id").symlink_to(device)
    port = SimpleNamespace(
        device=str(device), manufacturer="u-blox AG", product="GNSS receiver", serial_number=None
    )
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [port])
    return tmp_path


def test_a_rig_names_its_host_its_settings_and_its_receiver(pi):
    port = str(pi / "by-id")
    with hardware_rig(Configuration(gps=GpsSettings(port, baud=9600))) as found:
        assert (found.model, found.serial) == ("Raspberry Pi 5 Model B Rev 1.0", "c8f3a1b2")
        assert found.about["host"]["name"] == os.uname().nodename
        assert found.about["host"]["model"] == found.model
        assert found.about["configuration"] == {
            "gps": {
                "port": port,
                "baud": 9600,
                "rate_hz": 10,
                "latency_ms": (180.0, 250.0),
                "required": False,
            }
        }
        told = found.gps.describe()
        assert (told["manufacturer"], told["product"]) == ("u-blox AG", "GNSS receiver")
        assert "serial" not in told
        json.dumps([dict(found.about), dict(told)])


def test_a_host_without_a_device_tree_is_a_rig_without_a_number(pi):
    (pi / "device-tree/model").unlink()
    (pi / "device-tree/serial-number").unlink()
    with hardware_rig(Configuration(gps=GpsSettings(str(pi / "elsewhere")))) as found:
        assert (found.model, found.serial) == ("rig", "")
        assert "model" not in found.about["host"]
        assert "product" not in found.gps.describe()


def test_a_clip_names_what_recorded_it(walk):
    data = walk.clip.read_bytes()
    with reader.open(walk.clip) as clip:
        writer = " ".join(clip.metadata["writer"].values())
        assert clip.metadata["calibration"] == "none"
    assert writer.startswith("cammcorder ")
    assert b"FIRM" + writer.encode() in data
    assert b"\xa9swr" in data
    assert b"slno" not in data


def test_a_simulated_rig_says_nothing_of_the_host(pi):
    with simulated_rig("walk", None) as found:
        assert found.serial == ""
        assert found.about.keys() == {"simulation"}


def test_a_receiver_is_reached_as_its_address_says(pi):
    gpsd = GpsSettings("gpsd://localhost:2947", latency_ms=(1.0, 2.0))
    with hardware_rig(Configuration(gps=gpsd)) as found:
        assert found.gps.describe()["latency_assumed_ns"] == [1_000_000, 2_000_000]
        assert found.about["configuration"]["gps"]["port"] == "gpsd://localhost:2947"
    wired = GpsSettings("/dev/ttyNONE", rate_hz=5, pps="/dev/ppsNONE")
    with hardware_rig(Configuration(gps=wired)) as found:
        told = found.about["configuration"]["gps"]
        assert (told["rate_hz"], told["pps"]) == (5, "/dev/ppsNONE")


def test_a_clip_names_the_receiver_that_was_set_up(walk):
    with reader.open(walk.clip) as clip:
        told = clip.metadata["sources"]["gps"]
    assert (told["maker"], told["module"], told["protocol"]) == ("u-blox", "NEO-M9N", "32.01")
    assert told["stamped_by"] == "arrival of messages"
    assert told["damaged"] == told["stray_bytes"] == 0
