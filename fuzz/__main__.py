"""`python -m fuzz reader|repair [options of libFuzzer]`: try inputs until told to stop."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

try:
    import atheris
except ModuleNotFoundError:
    sys.exit("fuzzing needs atheris, which has wheels for Python 3.11 to 3.13: use one of those")

with atheris.instrument_imports(include=["camm", "muxer"]):
    from camm import CammError, PacketType
    from muxer import reader, repair
    from muxer.check import check
    from muxer.extract import FORMATS, NothingToExtractError, Selection, make_together

FOUND = Path(".fuzz")
"""Inputs that were worth keeping, by target, and those that showed a fault."""
LIMITS = ("-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={FOUND}/")


def read_all(path: Path) -> None:
    """Everything that reading offers, of a clip of whatever maker."""
    with reader.open(path) as clip:
        for track in clip.tracks:
            track.pts_ns  # noqa: B018 - reading it is the deed
        for kind in PacketType:
            clip.samples(kind)
        clip.faults, clip.gps_utc, clip.gps_time_s, clip.duration_ns  # noqa: B018
        if clip.motion is None:
            return
        check(clip)
        selection = Selection(clip)
        for name, documents in FORMATS.items():
            if name == "mcap+video":
                continue  # it is FFmpeg that reads there
            with suppress(NothingToExtractError):
                for _ in make_together(documents(selection), clip.record_blocks()):
                    pass


def examine(path: Path) -> None:
    """What a repair finds in a damaged file."""
    repair.examine(path)


TARGETS: dict[str, Callable[[Path], None]] = {"reader": read_all, "repair": examine}


def main(name: str, *options: str) -> None:
    """Feed one target."""
    from fuzz.seeds import write_seeds

    seeds, kept = FOUND / "seeds", FOUND / name
    write_seeds(seeds)
    kept.mkdir(exist_ok=True)
    warnings.simplefilter("error")
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.mp4"

        def attempt(data: bytes) -> None:
            path.write_bytes(data)
            with suppress(CammError):  # it may be refused
                target(path)

        atheris.Setup([sys.argv[0], *LIMITS, *options, str(kept), str(seeds)], attempt)
        atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m fuzz {'|'.join(TARGETS)} [options of libFuzzer]")
    main(*sys.argv[1:])
