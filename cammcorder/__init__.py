"""cammcorder, a camcorder that writes CAMM: the public Python API.

    import cammcorder
    clip = cammcorder.open("walk.mp4")
    clip.gyro.t_ns, clip.gyro.data

Everything here lives in the rooms below and is fetched from there when it is first asked for, so
that `import cammcorder` and `cammcorder --help` cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camm import CammError as CammError
    from camm import PacketType as PacketType
    from camm import Samples as Samples
    from camm import UsageError as UsageError
    from muxer.clip import Clip as Clip
    from muxer.errors import Mp4Error as Mp4Error
    from muxer.errors import NoCammError as NoCammError
    from muxer.reader import open as open  # noqa: A004 - clip = cammcorder.open(path)

__version__ = "0.1.0"

_HOMES = {
    "CammError": "camm",
    "Clip": "muxer.clip",
    "Mp4Error": "muxer.errors",
    "NoCammError": "muxer.errors",
    "PacketType": "camm",
    "Samples": "camm",
    "UsageError": "camm",
    "open": "muxer.reader",
}

__all__ = [
    "CammError",
    "Clip",
    "Mp4Error",
    "NoCammError",
    "PacketType",
    "Samples",
    "UsageError",
    "__version__",
    "open",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the room has under that name
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cammcorder' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
