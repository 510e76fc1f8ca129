"""What a host has, by the names in trees of files that look like /dev and /sys."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from daemon import host
from daemon.host import Places, examine_host


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A host with nothing at all, but a disk."""
    for name in ("dev", "sys", "clips"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(host, "_GPSD", free.getsockname())
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=10**11))
    return Places(*(tmp_path / name for name in ("dev", "sys", "clips", "proc")))


def devices(places, *names):
    for name in names:
        (places.dev / name).touch()


def port(device, vid=None, description="n/a"):
    return SimpleNamespace(device=str(device), vid=vid, description=description)


def test_a_bare_host_has_nothing_and_nothing_wrong(places):
    reading, findings = examine_host(places)
    assert (reading.i2c, reading.serial, reading.pps, reading.gpsd) == ((), (), (), False)
    assert reading.free_bytes == 10**11
    assert 0 <= reading.sync_s < 5
    assert findings == []
    assert list(places.folder.iterdir()) == []


def test_devices_are_found_by_name_and_in_order(places):
    devices(places, "i2c-10", "i2c-1", "i2c-stub", "pps0", "gpiochip0", "video0", "video")
    name = places.sys / "class/video4linux/video0/name"
    name.parent.mkdir(parents=True)
    name.write_text("unicam\n")
    reading, _ = examine_host(places)
    assert reading.i2c == (f"{places.dev}/i2c-1", f"{places.dev}/i2c-10")
    assert reading.pps == (f"{places.dev}/pps0",)
    assert reading.gpio == (f"{places.dev}/gpiochip0",)
    assert reading.cameras == ((f"{places.dev}/video0", "unicam"),)


def test_microphones_have_the_names_of_their_cards(places):
    asound = places.proc / "asound"
    asound.mkdir(parents=True)
    (asound / "cards").write_text(
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
        "                      bcm2835 Headphones\n"
        " 1 [Webcam         ]: USB-Audio - Dynex 1.3MP Webcam\n"
        "                      Dynex Webcam at usb-3f980000.usb-1.2.1, high speed\n"
        "12 [Loopback       ]: Loopback - \n"
    )
    (asound / "pcm").write_text(
        "00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8\n"
        "01-00: USB Audio : USB Audio : capture 1\n"
        "12-01: Loopback PCM : Loopback PCM : playback 8 : capture 8\n"
        "13-00: nobody : nobody : capture 1\n"
    )
    reading, _ = examine_host(places)
    assert reading.microphones == (
        ("plughw:Webcam", "Dynex 1.3MP Webcam"),
        ("plughw:Loopback,1", "Loopback PCM"),
    )


def test_serial_ports_are_told_once_the_receivers_first(places, monkeypatch):
    devices(places, "ttyACM0", "ttyUSB0", "ttyACM1", "ttyS0", "ttyAMA0")
    (places.dev / "gps-ublox").symlink_to(places.dev / "ttyACM0")
    (places.dev / "serial0").symlink_to(places.dev / "ttyAMA0")
    ports = [
        port(places.dev / "ttyS0"),
        port(places.dev / "ttyUSB0", 0x1A86, "USB Serial"),
        port(places.dev / "ttyACM0", 0x1546, "u-blox GNSS receiver"),
        port(places.dev / "ttyACM1", 0x1546, "u-blox GNSS receiver"),
    ]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    reading, _ = examine_host(places)
    assert [(p.path.rsplit("/")[-1], p.receiver) for p in reading.serial] == [
        ("gps-ublox", True),
        ("ttyACM1", True),
        ("ttyUSB0", False),
        ("serial0", True),
    ]


def test_a_gpsd_is_noticed(places, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(host, "_GPSD", server.getsockname())
        assert examine_host(places)[0].gpsd


def test_permissions_that_are_missing_name_the_group(places, monkeypatch):
    devices(places, "i2c-1", "pps0", "ttyAMA0", "video0")
    (places.dev / "serial0").symlink_to(places.dev / "ttyAMA0")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    _, findings = examine_host(places)
    bus, lines, camera = map(str, findings)
    assert f"no permission for {places.dev}/i2c-1" in bus
    assert "sudo usermod -aG i2c $USER" in bus
    assert f"no permission for {places.dev}/serial0, {places.dev}/pps0" in lines
    assert "sudo usermod -aG dialout $USER" in lines
    assert f"no permission for {places.dev}/video0" in camera
    assert "sudo usermod -aG video $USER" in camera


@pytest.mark.parametrize(
    ("free", "severities"), [(6e9, []), (4e9, ["warning"]), (4e8, ["error"])], ids=str
)
def test_room_for_clips_runs_out_by_degrees(places, monkeypatch, free, severities):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=int(free)))
    _, findings = examine_host(places)
    assert [finding.severity for finding in findings] == severities


def test_a_disk_that_is_slow_or_cannot_be_written_to(places, monkeypatch):
    times = iter([0.0, 1.25])
    monkeypatch.setattr(host, "time", SimpleNamespace(monotonic=lambda: next(times)))
    [slow] = examine_host(places)[1]
    assert "it takes 1.2 s until a megabyte is safe" in str(slow)
    nowhere = Places(places.dev, places.sys, places.dev / "absent")
    [error] = examine_host(nowhere)[1]
    assert error.severity == "error"
    assert "nothing can be written to" in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0\n", None),
        ("50005\n", "its supply voltage is too low and it is throttled"),
        ("50000\n", "its supply voltage was too low and it was throttled"),
        ("not a number\n", None),
    ],
)
def test_a_raspberry_pi_tells_of_weak_power(places, text, told):
    file = places.sys / "devices/platform/soc/soc:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    reading, findings = examine_host(places)
    assert bool(reading.throttled) == bool(findings) == (told is not None)
    if told:
        assert told in str(findings[0])
