"""Readers that are Python packages, timed from inside: without the start of Python and imports.

`python -m benchmarks.readers READER CLIP` prints the records that it got and the seconds it took.
A reader is a function that imports what it needs and returns the function that is timed.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

Read = Callable[[str], int]
"""Read a clip and say how many records there were."""


def columns() -> Read:
    """cammcorder: every packet type as columns."""
    from camm import PacketType
    from muxer import reader

    def read(path: str) -> int:
        with reader.open(path) as clip:
            return sum(len(clip.samples(kind)) for kind in PacketType)

    return read


def blocks() -> Read:
    """cammcorder: every packet, ten seconds at a time, in little memory."""
    from muxer import reader

    def read(path: str) -> int:
        with reader.open(path) as clip:
            return sum(map(len, clip.blocks()))

    return read


def telemetry_parser() -> Read:
    """Everything that telemetry-parser makes of a clip."""
    from telemetry_parser import Parser

    def read(path: str) -> int:
        sections = Parser(path).telemetry()
        return sum(len(group["Data"]) for section in sections for group in section.values())

    return read


def mapillary_motion() -> Read:
    """mapillary_tools: gyroscope, accelerometer and magnetometer."""
    from mapillary_tools.camm.camm_parser import extract_camm_info

    def read(path: str) -> int:
        with Path(path).open("rb") as file:
            info = extract_camm_info(file, telemetry_only=True)
        return sum(len(points or ()) for points in (info.gyro, info.accl, info.magn))

    return read


def mapillary_gps() -> Read:
    """mapillary_tools: positions."""
    from mapillary_tools.camm.camm_parser import extract_camm_info

    def read(path: str) -> int:
        with Path(path).open("rb") as file:
            info = extract_camm_info(file)
        return sum(len(points or ()) for points in (info.gps, info.mini_gps))

    return read


def pyav() -> Read:
    """A script as people write it: FFmpeg's demuxer, and `struct` for each packet."""
    import av

    layouts = ["<4x3f", "<4x2i", "<4x3f", "<4x3f", "<4x3f", "<4x3d", "<4xdidd7f", "<4x3f"]
    unpack = [struct.Struct(layout).unpack for layout in layouts]

    def read(path: str) -> int:
        rows = []
        with av.open(path) as container:
            stream = container.streams.data[0]
            tick = float(stream.time_base or 0)
            for packet in container.demux(stream):
                if packet.pts is not None:  # the last one is empty
                    data = bytes(packet)
                    rows.append((packet.pts * tick, unpack[data[2]](data)))
        return len(rows)

    return read


READERS = {
    reader.__name__: reader
    for reader in (columns, blocks, telemetry_parser, mapillary_motion, mapillary_gps, pyav)
}


def main(name: str, path: str) -> None:
    """Time one reader on one clip."""
    read = READERS[name]()
    begin = time.perf_counter()
    records = read(path)
    print(json.dumps({"records": records, "inside_s": time.perf_counter() - begin}))


if __name__ == "__main__":
    main(*sys.argv[1:])
