"""What a GPS receiver has sent, read at once: its fixes, dated, without its line and its delays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camm import Samples, UsageError
from camm.gps_time import utc_from_gps
from drivers.gps_decoder import GpsDecoder
from drivers.gps_fix import GpsFix
from drivers.gps_messages import MessageCutter
from hw_sim.replay.log import Log

_CHUNK = 1 << 20


def read_receiver_log(path: Path) -> Log:
    """The fixes in the UBX or NMEA of a file, in order of time and each of them once.

    All are of one type, as in a recording: 6 where any is. UsageError where there is none.
    """
    fixes = _fixes(path)
    if not fixes:
        raise UsageError(
            f"{path} has no fixes: expected GPX, .gcsv, tables of `extract`, a clip, or the UBX or "
            "NMEA of a receiver"
        )
    kind = max(fix.kind for fix in fixes)
    times = {fix.gps_time_ns: fix for fix in reversed(fixes) if fix.kind is kind}
    gps_ns = np.array(sorted(times))
    values = np.concatenate([times[t_ns].values for t_ns in gps_ns.tolist()])
    samples = Samples(kind, gps_ns - gps_ns[0], values)
    created = utc_from_gps(int(gps_ns[0]) / 1e9)
    return Log(str(path), frozenset({kind}), lambda _: iter([samples]), created, by_utc=True)


def _fixes(path: Path) -> list[GpsFix]:
    cutter, decoder = MessageCutter(), GpsDecoder()
    found: list[GpsFix | None] = []
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            cutter.add(chunk, 0)
            while (message := cutter.next()) is not None:
                found.append(decoder.take(message))
    found.append(decoder.finish())
    return [fix for fix in found if fix is not None]
