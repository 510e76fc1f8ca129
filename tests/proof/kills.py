"""Recordings that are killed, and what is left of them.

Run as a script this is the recording: `python kills.py LEDGER SPEED OUTPUT` films the simulated
walk and keeps a ledger, in memory shared with whoever kills it, of what the sources have
delivered, of what of it the writer has taken up, and of the fragments that were begun and done.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av

from muxer import reader, repair

LEDGER = struct.Struct("<5q")
"""Presentation times of the first picture delivered, of the last one delivered, and of the last one
taken up; fragments begun, and on the disk."""


@dataclass(frozen=True)
class Killed:
    """What was left of a recording, and what it had been given until it was killed.

    `delivered_ns`  presentation time of the last picture that the camera had handed over
    `taken_ns`      of the last one that the writer's thread had taken out of its queue
    `begun`, `done` fragments
    """

    clip: Path
    delivered_ns: int
    taken_ns: int
    begun: int
    done: int


def kill_one(folder: Path, chance: random.Random, speed: str, longest_s: float) -> Killed:
    """Record in a process of its own, and kill it some time after its file has appeared."""
    folder.mkdir()
    unfinished = folder / "out.unfinished.mp4"
    ledger = folder / "ledger"
    ledger.write_bytes(bytes(LEDGER.size))
    command = [sys.executable, __file__, str(ledger), speed, str(folder / "out.mp4")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    patience_s = chance.uniform(0, longest_s)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as recording:
        while not unfinished.exists():
            assert recording.poll() is None, recording.stderr.read()
            time.sleep(0.01)
        time.sleep(patience_s)
        recording.kill()
    first, delivered, taken, begun, done = LEDGER.unpack(ledger.read_bytes())
    return Killed(unfinished, delivered - first, taken - first, begun, done)


@dataclass(frozen=True)
class Toll:
    """What kills have cost, in seconds of the clip, and all clips together.

    `worst_held_s` is the most that was lost of what the writer had taken up. The rest of a loss was
    still in its queue: that grows while the disk is waited for, and with the speed.
    """

    kills: int
    worst_loss_s: float
    mean_loss_s: float
    worst_held_s: float
    fragments: int
    fragments_lost: int


def kill_many(
    folder: Path, reference: Path, kills: int, seed: int, speed: str, longest_s: float
) -> Toll:
    """Kill, repair and compare with the recording that nobody killed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    whole = contents(reference)
    losses, held, fragments, lost = [], [], 0, 0
    for number in range(kills):
        killed = kill_one(folder / f"{seed}-{number}", chance, speed, longest_s)
        if not killed.done:
            continue
        with reader.open(killed.clip) as clip:
            assert clip.fragmented
        examination = repair.examine(killed.clip)
        assert killed.done <= examination.fragments <= killed.begun <= killed.done + 1
        assert examination.intact >= killed.done
        out = killed.clip.with_name("repaired.mp4")
        repair.finish(examination, out)
        left = contents(out)
        for track in whole:
            assert left[track] == whole[track][: len(left[track])], (number, track)
        with reader.open(out) as clip:
            assert not clip.fragmented
            last_ns = int(clip.video.pts_ns.max())
        losses.append((killed.delivered_ns - last_ns) / 1e9)
        held.append((killed.taken_ns - last_ns) / 1e9)
        fragments += killed.begun
        lost += killed.begun - examination.intact
    mean = sum(losses) / len(losses)
    return Toll(len(losses), max(losses), mean, max(held), fragments, lost)


def contents(path: Path) -> dict[int, list[tuple[int, bytes]]]:
    """Every sample of every track as FFmpeg's index has it: (decoding time, bytes)."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        return {
            stream.index: [
                (at.timestamp, data[at.pos : at.pos + at.size]) for at in stream.index_entries
            ]
            for stream in container.streams
        }


def record(ledger: Path, speed: str, output: Path) -> None:
    """The recording that is to be killed."""
    from cammcorder.__main__ import main
    from daemon.recorder import Recorder
    from daemon.session import RecordingSession
    from muxer.recording_file import RecordingFile

    with ledger.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), LEDGER.size)
    page = [0, 0, 0, 0, 0]

    def note(place: int, value: int) -> None:
        page[place] = value  # a place of its own in memory, too: several threads write
        struct.pack_into("<q", memory, place * 8, value)

    def note_pictures(place: int, delivery: object) -> None:
        if getattr(delivery, "source", "") == "camera" and delivery.content:
            times = [packet.pts_ns for packet in delivery.content]
            if not page[0]:
                note(0, min(times))
            note(place, max(page[place], *times))

    deliver, take, append = RecordingSession._deliver, Recorder.take, RecordingFile.append

    def noted_deliver(self, delivery):
        note_pictures(1, delivery)
        deliver(self, delivery)

    def noted_take(self, delivery):
        note_pictures(2, delivery)
        take(self, delivery)

    def noted_append(self, runs):
        note(3, page[3] + 1)
        append(self, runs)
        note(4, page[4] + 1)

    RecordingSession._deliver, Recorder.take = noted_deliver, noted_take
    RecordingFile.append = noted_append
    main(["record", "--sim", "walk", "--speed", speed, "-o", str(output)])


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
