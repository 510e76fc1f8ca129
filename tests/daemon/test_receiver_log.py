"""A receiver's log read at once."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from camm import PacketType, Samples, UsageError
from camm.gps_time import gps_from_utc
from daemon.receiver_log import read_receiver_log

DATA = Path(__file__).parents[1] / "data" / "gps"
GPS, MIN_GPS = PacketType.GPS, PacketType.MIN_GPS


def sentence(text):
    checksum = 0
    for byte in text.encode():
        checksum ^= byte
    return f"${text}*{checksum:02X}\r\n"


def epoch(second, *, accuracy=False):
    """RMC and GGA of 2026-06-01, and GST with it."""
    place = "4707.4073,N,00830.0000,E"
    return (
        sentence(f"GNRMC,12000{second}.00,A,{place},10.0,90.0,010626,,,A")
        + sentence(f"GNGGA,12000{second}.00,{place},1,8,0.9,400.0,M,47.0,M,,")
        + (sentence(f"GNGST,12000{second}.00,,,,,3.0,4.0,6.0") if accuracy else "")
    )


def read(path):
    log = read_receiver_log(path)
    (kind,) = log.kinds
    return log, Samples.concatenate(kind, log.blocks(kind))


def test_fixes_are_dated_and_counted_from_the_first(tmp_path):
    path = tmp_path / "walk.nmea"
    path.write_text("".join(epoch(n, accuracy=True) for n in (1, 2, 4)))
    log, fixes = read(path)
    first = datetime(2026, 6, 1, 12, 0, 1, tzinfo=UTC)
    assert (log.created, log.by_utc, log.kinds) == (first, True, {GPS})
    assert fixes.t_ns.tolist() == [0, 1_000_000_000, 3_000_000_000]
    assert fixes.data["time_gps_epoch"][0] == gps_from_utc(first)
    assert fixes.data["horizontal_accuracy"].tolist() == [5] * 3
    assert fixes.data["altitude"].tolist() == [447] * 3


def test_without_accuracies_fixes_are_of_type_5(tmp_path):
    path = tmp_path / "walk.nmea"
    path.write_text("".join(epoch(n) for n in (1, 2)))
    log, fixes = read(path)
    assert log.kinds == {MIN_GPS}
    assert fixes.data["latitude"].tolist() == pytest.approx([47 + 7.4073 / 60] * 2)


def test_of_two_types_the_better_stays_and_no_epoch_comes_twice(tmp_path):
    path = tmp_path / "walk.nmea"
    path.write_text(epoch(1) + "".join(2 * epoch(n, accuracy=True) for n in (2, 3)) + epoch(3))
    log, fixes = read(path)
    assert log.kinds == {GPS}
    assert fixes.t_ns.tolist() == [0, 1_000_000_000]


@pytest.mark.parametrize("name", ["ublox-neo-m8p.log", "ublox-neo-m9n-nmea.log"])
def test_logs_of_real_receivers(name):
    _, fixes = read(DATA / name)
    assert len(fixes) > 10
    assert (np.diff(fixes.t_ns) > 0).all()


@pytest.mark.parametrize("text", ["", "no log\n", "$GPGGA,1*00\r\n"])
def test_what_has_no_fix_is_refused(tmp_path, text):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match="has no fixes: expected GPX"):
        read_receiver_log(path)
