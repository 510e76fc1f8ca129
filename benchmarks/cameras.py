"""What encoding costs: `python -m benchmarks.cameras [--seconds N] [--json-lines]`.

Pictures of 1080p30 wait in memory, and are encoded as a camera's are, in a GOP of a second. `alone`
is FFmpeg's encoder and nothing else, set up alike, `ours` is `drivers.encoder.VideoEncoder` with
its packets and their times: processor seconds for a second of film, in turns, the least of some.
Raw pictures of a USB camera (`yuyv422`) are turned into 4:2:0 first. An encoder that this machine
does not have is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from benchmarks.table import present
from camm import CammError
from drivers.camera import CameraOptions
from drivers.encoder import VideoEncoder, open_context
from drivers.shutter import Shutter

COLUMNS = {
    "encoder": "encoder",
    "pixels": "pixels",
    "alone_s": "alone CPU s/s",
    "ours_s": "ours CPU s/s",
    "above_percent": "above, % of a core",
}
PATHS = (
    ("h264_v4l2m2m", "yuv420p"),
    ("libx264", "yuv420p"),
    ("libx264", "yuyv422"),
    ("libx265", "yuv420p"),
)

_WIDTH, _HEIGHT, _FPS = 1920, 1080, 30
_KEPT = 30  # pictures in memory: a second of film, again and again
_ROUNDS = 3


def rows(seconds: int) -> Iterator[dict[str, Any]]:
    """One for each encoder and kind of picture."""
    for encoder, pixels in PATHS:
        options = CameraOptions("memory", _WIDTH, _HEIGHT, _FPS, encoder=encoder)
        film = [_picture(number, pixels) for number in range(_KEPT)]
        try:
            VideoEncoder(options).open(_WIDTH, _HEIGHT, pixels)
        except CammError:
            continue
        alone, ours = [], []
        for _ in range(_ROUNDS):
            alone.append(_cpu_s(_encode_alone, options, film, seconds))
            ours.append(_cpu_s(_encode_as_we_do, options, film, seconds))
        yield {
            "encoder": encoder,
            "pixels": pixels,
            "alone_s": round(min(alone), 3),
            "ours_s": round(min(ours), 3),
            "above_percent": round(100 * (min(ours) - min(alone)), 1),
        }


def _cpu_s(
    encode: Callable[[CameraOptions, Sequence[av.VideoFrame], int], None],
    options: CameraOptions,
    film: Sequence[av.VideoFrame],
    seconds: int,
) -> float:
    before = time.process_time()
    encode(options, film, seconds)
    return (time.process_time() - before) / seconds


def _encode_as_we_do(options: CameraOptions, film: Sequence[av.VideoFrame], seconds: int) -> None:
    encoder = VideoEncoder(options)
    encoder.open(_WIDTH, _HEIGHT, film[0].format.name)
    for number in range(seconds * _FPS):
        centre_ns = (number + 1) * options.frame_ns
        encoder.encode(film[number % _KEPT], Shutter(centre_ns, centre_ns, 0, 0))


def _encode_alone(options: CameraOptions, film: Sequence[av.VideoFrame], seconds: int) -> None:
    pixels = film[0].format.name
    encoder = open_context(options, options.encoder, _WIDTH, _HEIGHT, pixels)
    convert = VideoReformatter()
    for number in range(seconds * _FPS):
        picture = film[number % _KEPT]
        if picture.format.name != encoder.pix_fmt:
            picture = convert.reformat(picture, format=encoder.pix_fmt)
        picture.pts, picture.time_base = number, encoder.time_base
        encoder.encode(picture)


def _picture(number: int, pixels: str) -> av.VideoFrame:
    """Blocks of grey that move, with a grain that does not."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(30, 220, (_HEIGHT // 40, _WIDTH // 40)).repeat(40, 0).repeat(40, 1)
    grain = rng.integers(-8, 8, (_HEIGHT, _WIDTH))
    grey = (np.roll(blocks, 6 * number, 1) + grain).astype(np.uint8)
    return av.VideoFrame.from_ndarray(grey, format="gray").reformat(format=pixels)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What encoding costs.")
    parser.add_argument("--seconds", type=int, default=4, help="of film (%(default)s)")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    present("encoding 1080p30", rows(options.seconds), COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
