"""What logs hold, by packet type, whatever kind of logs they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from camm import PacketType, Samples
from daemon.logs import open_logs
from daemon.receiver_log import read_receiver_log
from hw_sim.replay.log import Log


def recorded_logs(paths: Sequence[Path], holds: ExitStack) -> dict[PacketType, Log]:
    """The log that has each type, in packet type order; a receiver's bytes are read for fixes.

    `holds` gets what must be closed after use. UsageError where one has nothing in it, and where
    two have the same.
    """
    recorded = open_logs(paths, holds)
    logs = dict(recorded.logs)
    if recorded.receiver is not None:
        log = read_receiver_log(recorded.receiver)
        logs |= dict.fromkeys(log.kinds, log)
    return dict(sorted(logs.items()))


def recorded_blocks(path: Path, holds: ExitStack) -> dict[PacketType, Iterator[Samples]]:
    """Blocks of each type of one log; times count from whatever moment the log counts from."""
    return {kind: log.blocks(kind) for kind, log in recorded_logs([path], holds).items()}
