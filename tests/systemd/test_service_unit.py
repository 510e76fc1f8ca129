"""The unit, and the files beside it that make its user, its folders and its devices."""

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
SYSTEMD = HERE / "systemd"
UNIT = SYSTEMD / "cammcorder.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def lines(name: str) -> list[str]:
    text = (SYSTEMD / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def unit(tmp_path):
    """The unit as it is, but for a program that is there."""
    program = tmp_path / "opt/cammcorder/bin/cammcorder"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = UNIT.read_text()
    assert text.count("/opt/cammcorder") == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace("/opt/cammcorder", str(tmp_path / "opt/cammcorder")))
    return copy


def test_systemd_has_nothing_to_say_about_the_unit(unit, tool):
    done = run(tool("systemd-analyze"), "verify", "--man=no", unit)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_systemd_would_say_so_if_a_setting_were_none(unit, tool):
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in run(tool("systemd-analyze"), "verify", "--man=no", unit).stderr


def test_the_service_is_exposed_by_two_at_most(tool):
    done = run(
        *(tool("systemd-analyze"), "security", "--offline=yes", "--threshold=20"),
        *("--no-pager", UNIT),
    )
    assert done.returncode == 0, done.stdout
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1]) <= 2.0


def test_devices_are_those_of_a_rig_and_nothing_else():
    assert settings()["DevicePolicy"] == ["closed"]
    assert {device.removesuffix(" rw") for device in settings()["DeviceAllow"]} == {
        *("char-i2c", "char-ttyACM", "char-ttyUSB", "char-ttyAMA", "/dev/ttyS0"),
        *("char-video4linux", "char-media", "char-dma_heap", "char-gpiochip", "char-pps"),
        "char-alsa",
    }


def test_every_group_of_the_service_exists_or_is_made():
    made = {line.split()[1] for line in lines("sysusers.conf") if line.startswith("g ")}
    of_debian = {"dialout", "video", "audio"}
    [groups] = settings()["SupplementaryGroups"]
    assert set(groups.split()) == made | of_debian


def test_every_group_that_the_udev_rules_name_is_one_of_the_service():
    rules = (SYSTEMD / "70-cammcorder.rules").read_text()
    [groups] = settings()["SupplementaryGroups"]
    assert set(re.findall(r'GROUP="(\w+)"', rules)) <= set(groups.split())


def test_user_and_folders_are_the_same_everywhere():
    assert settings()["User"] == settings()["Group"] == ["cammcorder"]
    assert any(re.fullmatch(r'u cammcorder - ".+" /var/lib/cammcorder', line) for line in
               lines("sysusers.conf"))  # fmt: skip
    assert settings()["StateDirectory"] == settings()["RuntimeDirectory"] == ["cammcorder"]
    assert lines("tmpfiles.conf") == [
        "d /etc/cammcorder 0755 root root -",
        f"d /var/lib/cammcorder {settings()['StateDirectoryMode'][0]} cammcorder cammcorder -",
        "z /etc/cammcorder/token 0640 root cammcorder -",
    ]


def test_the_defaults_of_the_configuration_are_folders_of_the_service():
    from daemon.configuration import ControlSettings, StorageSettings

    assert StorageSettings().folder == f"/var/lib/{settings()['StateDirectory'][0]}"
    assert Path(ControlSettings().socket).parent == Path("/run", settings()["RuntimeDirectory"][0])


def test_the_program_is_started_with_arguments_that_it_takes():
    from cammcorder.__main__ import _parser

    [command] = settings()["ExecStart"]
    program, *arguments = command.split()
    assert program == "/opt/cammcorder/bin/cammcorder"
    options = _parser().parse_args(arguments)
    assert options.configuration == Path("/etc/cammcorder/rig.toml")
    assert settings()["ConditionPathExists"] == ["/etc/cammcorder/rig.toml"]


def test_a_stop_is_for_the_service_alone_which_ends_what_it_runs():
    assert settings()["KillMode"] == ["mixed"]


def test_a_program_that_it_runs_may_be_nice():
    """`daemon.refiner` has `nice` do it; @resources, which is forbidden, has that call in it."""
    *_, denied, allowed = settings()["SystemCallFilter"]
    assert "@resources" in denied.removeprefix("~").split()
    assert "setpriority" in allowed.split()


def test_a_network_that_is_not_this_host_is_out_of_reach():
    assert settings()["IPAddressDeny"] == ["any"]
    assert settings()["IPAddressAllow"] == ["localhost"]


def test_modules_are_named_one_by_one():
    assert all(re.fullmatch(r"[a-z0-9_-]+", line) for line in lines("modules-load.conf"))
    assert {"i2c-dev", "cdc-acm"} <= set(lines("modules-load.conf"))
