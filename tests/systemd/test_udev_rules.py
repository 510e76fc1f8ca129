"""The udev rules: every line is one that udev understands (man 7 udev)."""

import re
from pathlib import Path

RULES = Path(__file__).parents[2] / "systemd/70-cammcorder.rules"

MATCH = r'(SUBSYSTEM|KERNEL|ATTRS\{idVendor\})=="[\w*-]+"'
ASSIGN = r'(GROUP="[a-z0-9]+"|MODE="0660"|SYMLINK\+="[a-z-]+")'


def rules() -> list[str]:
    lines = RULES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_rule_matches_something_and_then_sets_something():
    assert len(rules()) == 4
    for rule in rules():
        assert re.fullmatch(rf"{MATCH}(, {MATCH})*(, {ASSIGN})+", rule), rule


def test_the_name_in_the_documents_is_the_one_that_the_rules_give():
    (name,) = re.findall(r'SYMLINK\+="([^"]+)"', RULES.read_text())
    hardware = (Path(__file__).parents[2] / "docs/HARDWARE.md").read_text()
    assert f"--gps /dev/{name}" in hardware


def test_buses_and_time_pulses_go_to_the_groups_that_the_documents_name():
    granted = dict(
        re.search(r'SUBSYSTEM=="([\w-]+)".*GROUP="(\w+)"', rule).groups() for rule in rules()
    )
    assert granted == {"i2c-dev": "i2c", "tty": "dialout", "pps": "dialout", "gpio": "gpio"}
    hardware = (Path(__file__).parents[2] / "docs/HARDWARE.md").read_text()
    (groups,) = re.findall(r"sudo usermod -aG ([\w,]+) \$USER", hardware)
    assert set(granted.values()) <= set(groups.split(","))
