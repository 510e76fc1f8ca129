"""The installer, in a folder that stands for the whole host, with every program of the system's
replaced by one that only notes how it was called.
"""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2]
SCRIPT = HERE / "systemd/install.sh"

HARMLESS = ("cat", "dirname", "id", "install", "ln", "rm", "sh", "touch", "mkdir", "chmod")
"""Of the real system's, what may be run as it is: it works on the files that it is told."""

NOTES = ("apt-get", "systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm", "usermod")

NOTE = """#!/bin/sh
echo "${0##*/} $*" >> "$CALLS"
"""
UNAME = """#!/bin/sh
echo "${MACHINE:-x86_64}"
"""
PYTHON = """#!/bin/sh
echo "${0##*/} $*" >> "$CALLS"
case "$*" in
    -c*) exit "${TOO_OLD:-0}" ;;
    -V) echo "Python 3.9.2" ;;
    "-m venv"*) for folder; do :; done
        mkdir -p "$folder/bin"; ln -sf "$0" "$folder/bin/python" ;;
    "-m pip"*) touch "${0%/*}/cammcorder" ;;
esac
"""
RASPI_CONFIG = """#!/bin/sh
echo "raspi-config $*" >> "$CALLS"
case $2 in
    get_serial_cons) echo "${CONSOLE:-0}" ;;
    get_*) echo "${OFF:-1}" ;;
esac
"""

FILES = {
    "usr/local/bin/cammcorder",
    "etc/cammcorder/rig.toml",
    "etc/systemd/system/cammcorder.service",
    "etc/udev/rules.d/70-cammcorder.rules",
    "etc/sysusers.d/cammcorder.conf",
    "etc/tmpfiles.d/cammcorder.conf",
    "etc/modules-load.d/cammcorder.conf",
}


class Host:
    def __init__(self, folder: Path):
        self.root = folder / "root"
        self.programs = folder / "programs"
        self.calls_file = folder / "calls"
        self.root.mkdir()
        self.programs.mkdir()
        for name in HARMLESS:
            (self.programs / name).symlink_to(shutil.which(name))
        for name in NOTES:
            self.program(name, NOTE)
        self.program("uname", UNAME)
        self.program("python3", PYTHON)

    def program(self, name, text):
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def install(self, *options, answers=None, **environment):
        """Run it; what it printed, and what it called."""
        self.calls_file.write_text("")
        return subprocess.run(
            ["sh", SCRIPT, *options],
            env={
                "PATH": str(self.programs),
                "CAMMCORDER_ROOT": str(self.root),
                "CALLS": str(self.calls_file),
                **environment,
            },
            stdin=subprocess.DEVNULL if answers is None else answers,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self):
        return self.calls_file.read_text().splitlines()

    @property
    def files(self):
        """Everything but the program's own environment."""
        return {
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if not path.is_dir() and "opt" not in path.relative_to(self.root).parts
        }


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_shellcheck_and_dash_have_nothing_to_say(tool):
    done = subprocess.run(
        [tool("shellcheck"), SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert subprocess.run([tool("dash"), "-n", SCRIPT], timeout=60, check=False).returncode == 0


def test_everything_is_put_in_its_place(host):
    done = host.install("--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files == FILES
    for source, name in (
        ("systemd/cammcorder.service", "etc/systemd/system/cammcorder.service"),
        ("systemd/70-cammcorder.rules", "etc/udev/rules.d/70-cammcorder.rules"),
        ("systemd/sysusers.conf", "etc/sysusers.d/cammcorder.conf"),
        ("systemd/tmpfiles.conf", "etc/tmpfiles.d/cammcorder.conf"),
        ("systemd/modules-load.conf", "etc/modules-load.d/cammcorder.conf"),
        ("cammcorder/examples/simulator.toml", "etc/cammcorder/rig.toml"),
    ):
        assert (host.root / name).read_bytes() == (HERE / source).read_bytes()
    command = host.root / "usr/local/bin/cammcorder"
    assert command.readlink() == Path("/opt/cammcorder/bin/cammcorder")
    assert (host.root / "opt/cammcorder/bin/cammcorder").exists()


def test_the_user_is_made_before_the_folders_and_both_before_the_service(host):
    host.install("--yes")
    order = [
        next(i for i, call in enumerate(host.calls) if call.startswith(start))
        for start in (
            "apt-get install",
            "python3 -m venv",
            "python -m pip install",
            "systemd-sysusers",
            "systemd-tmpfiles",
            "udevadm control",
            "systemctl daemon-reload",
            "systemctl enable",
            "systemctl restart --no-block",
        )
    ]
    assert order == sorted(order)


def test_a_dry_run_prints_every_command_and_runs_none(host):
    host.program("raspi-config", RASPI_CONFIG)
    done = host.install("--dry-run", SUDO_USER="anna")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files == set()
    assert all(
        call.startswith(("raspi-config nonint get_", "python3 -c")) for call in host.calls
    ), host.calls
    printed = [line[2:] for line in done.stdout.splitlines() if line.startswith("+ ")]
    host.install("--yes", SUDO_USER="anna")
    root = str(host.root)
    for call in host.calls:
        if not call.startswith(("raspi-config nonint get_", "python3 -c", "python -m")):
            assert call in printed
    assert sum(line.startswith(f"install -D -m 0644 {HERE}") for line in printed) == 6
    assert f"rm -rf {root}/opt/cammcorder" not in printed


def test_a_second_run_keeps_the_configuration_and_asks_for_nothing_that_is_on(host):
    host.program("raspi-config", RASPI_CONFIG)
    assert host.install("--yes").returncode == 0
    mine = host.root / "etc/cammcorder/rig.toml"
    mine.write_text("mine\n")
    done = host.install("--yes", OFF="0", CONSOLE="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert mine.read_text() == "mine\n"
    assert host.files == FILES
    assert not [call for call in host.calls if call.startswith("raspi-config nonint do_")]


def test_i2c_and_the_serial_port_are_switched_on_with_consent(host):
    host.program("raspi-config", RASPI_CONFIG)
    host.install("--yes")
    assert [call for call in host.calls if call.startswith("raspi-config nonint do_")] == [
        "raspi-config nonint do_i2c 0",
        "raspi-config nonint do_serial_hw 0",
        "raspi-config nonint do_serial_cons 1",
    ]


def test_without_anybody_to_ask_nothing_is_switched(host):
    host.program("raspi-config", RASPI_CONFIG)
    done = host.install(SUDO_USER="anna")
    assert done.returncode == 0
    assert not [c for c in host.calls if c.startswith(("raspi-config nonint do_", "usermod"))]
    assert "Switch I2C on, in /boot/firmware/config.txt? Not done: nobody to ask" in done.stdout


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False), ("", False)])
def test_a_person_is_asked_and_heard(host, answer, done):
    host.program("raspi-config", RASPI_CONFIG)
    ours, theirs = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode() * 4)
        assert host.install(answers=theirs).returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert ("raspi-config nonint do_i2c 0" in host.calls) is done


def test_off_a_raspberry_pi_its_switches_are_left_alone(host):
    assert "no raspi-config" in host.install("--yes").stdout


def test_whoever_calls_sudo_may_control_the_camcorder(host):
    host.install("--yes", SUDO_USER="anna")
    assert "usermod -aG cammcorder anna" in host.calls


def test_where_vqf_has_no_wheel_it_is_built(host):
    host.install("--yes", MACHINE="aarch64")
    assert "apt-get install -y --no-install-recommends python3-venv python3-dev g++" in host.calls
    [pip] = [call for call in host.calls if " pip install" in call]
    assert pip.endswith("[service,gpio,vqf]")
    host.install("--yes")
    [pip] = [call for call in host.calls if " pip install" in call]
    assert pip.endswith("[service,gpio]")
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    assert {"service", "gpio", "vqf"} <= set(project["optional-dependencies"])


def test_for_libcamera_the_environment_sees_the_systems_packages(host):
    host.install("--yes", "--picamera2")
    assert any("python3-picamera2" in call for call in host.calls)
    assert f"python3 -m venv --system-site-packages {host.root}/opt/cammcorder" in host.calls


def test_uninstalling_keeps_clips_and_configuration_and_says_so(host):
    host.install("--yes")
    clip = host.root / "var/lib/cammcorder/2026-06-01T10-00-00Z.mp4"
    clip.parent.mkdir(parents=True)
    clip.touch()
    done = host.install("--uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert host.files == {"etc/cammcorder/rig.toml", str(clip.relative_to(host.root))}
    assert not (host.root / "opt/cammcorder").exists()
    assert host.calls[0] == "systemctl disable --now cammcorder.service"
    assert f"clips in {host.root}/var/lib/cammcorder" in done.stdout
    assert f"configuration in {host.root}/etc/cammcorder" in done.stdout


def test_uninstalling_what_is_not_there_is_no_error(host):
    assert host.install("--uninstall").returncode == 0
    assert not [call for call in host.calls if "disable" in call]


def test_a_failing_step_ends_it(host):
    host.program("apt-get", "#!/bin/sh\nexit 100\n")
    done = host.install("--yes")
    assert done.returncode != 0
    assert host.files == set()


@pytest.mark.parametrize("missing", ["apt-get", "systemctl", "python3"])
def test_what_is_missing_is_said_before_anything_is_done(host, missing):
    (host.programs / missing).unlink()
    done = host.install("--yes")
    assert done.returncode == 1
    assert done.stderr == (
        f"install.sh: no {missing} here: this is for Debian and Raspberry Pi OS\n"
    )
    assert host.calls == []


def test_an_old_python_is_refused(host):
    done = host.install("--yes", TOO_OLD="1")
    assert done.returncode == 1
    assert "Python is Python 3.9.2, 3.11 or newer is needed" in done.stderr
    assert host.files == set()


def test_an_option_that_is_none_gets_the_usage(host):
    done = host.install("--prefix=/usr")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: install.sh")
    assert host.calls == []
