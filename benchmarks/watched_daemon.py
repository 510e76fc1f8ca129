"""`cammcorder daemon`, whose event loop is watched: `python -m benchmarks.watched_daemon -c FILE`.

At its end it says on standard output by which callbacks the loop was held up.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from unittest.mock import patch

from cammcorder.__main__ import main as cammcorder

_WORTH_TELLING_S = 1e-3


def main(arguments: list[str]) -> int:
    """Run it, and print [when it began, how long it took, how long it worked] of each callback.

    Seconds, the first of `time.monotonic`; those of a millisecond and more. What took long and
    worked little has waited: for the interpreter's lock, or for a core.
    """
    stalls: list[tuple[float, float, float]] = []
    run: Callable[[asyncio.Handle], None] = asyncio.Handle._run

    def watched(handle: asyncio.Handle) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        run(handle)
        worked, took = time.thread_time() - cpu, time.monotonic() - began
        if took > _WORTH_TELLING_S:
            stalls.append((began, took, worked))

    with patch.object(asyncio.Handle, "_run", watched):
        status = cammcorder(["daemon", *arguments])
    print(json.dumps(stalls))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
