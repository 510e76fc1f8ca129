#!/bin/sh
# Installs cammcorder as a service on Debian and Raspberry Pi OS, out of the checkout that it lies in.
# May be run again, to bring what there is up to date.
set -eu

usage() {
    cat <<'END'
usage: install.sh [--yes] [--dry-run] [--picamera2] [--uninstall]

  --yes        answer yes to every question
  --dry-run    print what would be done, and do nothing
  --picamera2  with Raspberry Pi OS' libcamera, for its cameras
  --uninstall  remove the service and the program; clips and configuration stay
END
}

yes=no dry_run=no picamera2=no uninstall=no
for option; do
    case $option in
        --yes) yes=yes ;;
        --dry-run) dry_run=yes ;;
        --picamera2) picamera2=yes ;;
        --uninstall) uninstall=yes ;;
        --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

source=$(cd "$(dirname "$0")/.." && pwd)
root=${CAMMCORDER_ROOT:-} # in front of every path that is written; for tests
program=$root/opt/cammcorder
configuration=$root/etc/cammcorder/rig.toml
command=$root/usr/local/bin/cammcorder
unit=$root/etc/systemd/system/cammcorder.service
rules=$root/etc/udev/rules.d/70-cammcorder.rules
users=$root/etc/sysusers.d/cammcorder.conf
folders=$root/etc/tmpfiles.d/cammcorder.conf
modules=$root/etc/modules-load.d/cammcorder.conf

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

run() {
    echo "+ $*"
    [ $dry_run = yes ] || "$@"
}

# Whether a person agrees; somebody who cannot be asked does not.
agreed() {
    if [ $yes = yes ]; then return 0; fi
    if [ $dry_run = yes ]; then echo "  (would ask: $1)"; return 0; fi
    if ! [ -t 0 ]; then echo "  ($1 Not done: nobody to ask, see --yes)"; return 1; fi
    printf '%s [y/N] ' "$1"
    read -r answer
    case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}

# I2C and the serial port are off on a new Raspberry Pi. raspi-config answers 0 for what is on.
switch_on() {
    if ! command -v raspi-config >/dev/null; then
        echo "  (no raspi-config: I2C and serial ports stay as they are)"
        return
    fi
    if [ "$(raspi-config nonint get_i2c)" != 0 ] &&
        agreed "Switch I2C on, in /boot/firmware/config.txt?"; then
        run raspi-config nonint do_i2c 0
    fi
    if [ "$(raspi-config nonint get_serial_hw)" != 0 ] &&
        agreed "Switch the serial port on for a receiver, in /boot/firmware/config.txt?"; then
        run raspi-config nonint do_serial_hw 0
        echo "  (it is there after a reboot)"
    fi
    if [ "$(raspi-config nonint get_serial_cons)" = 0 ] &&
        agreed "Take the login off the serial port, in /boot/firmware/cmdline.txt?"; then
        run raspi-config nonint do_serial_cons 1
        echo "  (it is off after a reboot)"
    fi
}

install_program() {
    packages=python3-venv
    extras=service,gpio
    visible=
    # vqf has no wheel but for this one, and is built elsewhere.
    if [ "$(uname -m)" != x86_64 ]; then
        packages="$packages python3-dev g++"
        extras=$extras,vqf
    fi
    # libcamera's Python binding comes with Debian's packages only, so the environment must see them.
    if [ $picamera2 = yes ]; then
        packages="$packages python3-picamera2"
        visible=--system-site-packages
    fi
    # shellcheck disable=SC2086 # several words
    run apt-get install -y --no-install-recommends $packages
    # shellcheck disable=SC2086 # none or one
    run python3 -m venv $visible "$program"
    run "$program/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade \
        --constraint "$source/constraints.txt" "${source}[$extras]"
    run install -d "$(dirname "$command")"
    run ln -sf "${program#"$root"}/bin/cammcorder" "$command"
}

install_service() {
    run install -D -m 0644 "$source/systemd/cammcorder.service" "$unit"
    run install -D -m 0644 "$source/systemd/70-cammcorder.rules" "$rules"
    run install -D -m 0644 "$source/systemd/sysusers.conf" "$users"
    run install -D -m 0644 "$source/systemd/tmpfiles.conf" "$folders"
    run install -D -m 0644 "$source/systemd/modules-load.conf" "$modules"
    run systemd-sysusers "$users"
    run systemd-tmpfiles --create "$folders"
    run systemctl restart systemd-modules-load.service
    run udevadm control --reload
    run udevadm trigger
    if [ -e "$configuration" ]; then
        echo "  ($configuration stays as it is)"
    else
        run install -D -m 0644 "$source/cammcorder/examples/simulator.toml" "$configuration"
        echo "  (it is that of a simulated rig: 'cammcorder config example' has others)"
    fi
    if [ -n "${SUDO_USER:-}" ] &&
        agreed "May $SUDO_USER control the camcorder and read its clips (group cammcorder)?"; then
        run usermod -aG cammcorder "$SUDO_USER"
        echo "  (from the next login on)"
    fi
    run systemctl daemon-reload
    run systemctl enable cammcorder.service
    # It is ready when its sensors deliver, which is not waited for.
    run systemctl restart --no-block cammcorder.service
}

remove() {
    if [ -e "$unit" ]; then
        run systemctl disable --now cammcorder.service
    fi
    run rm -f "$unit" "$rules" "$users" "$folders" "$modules" "$command"
    run rm -rf "$program"
    run systemctl daemon-reload
    run udevadm control --reload
    echo "Kept are clips in $root/var/lib/cammcorder, the configuration in $root/etc/cammcorder, the user" \
        "cammcorder, Debian's packages, I2C and the serial port."
}

[ -f "$source/pyproject.toml" ] || fail "$source is no checkout of cammcorder: run it from there"
if [ $dry_run = no ] && [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    fail "must be root: sudo $0"
fi
if [ $uninstall = yes ]; then
    remove
    exit
fi
for needed in apt-get systemctl python3; do
    command -v $needed >/dev/null || fail "no $needed here: this is for Debian and Raspberry Pi OS"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python is $(python3 -V), 3.11 or newer is needed: Debian 12 has it"
install_program
switch_on
install_service
[ $dry_run = yes ] || echo "Installed. See: systemctl status cammcorder; http://127.0.0.1:8080"
