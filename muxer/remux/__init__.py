"""New files around the media of old ones, with other tracks of camera motion metadata.

    from muxer.remux import convert, inject
    convert(clip, Path("restored.mp4"))

Not a byte of picture or sound is decoded or made anew.
"""

from muxer.remux.convert import Converted, convert
from muxer.remux.inject import Cover, Injected, Log, inject

__all__ = ["Converted", "Cover", "Injected", "Log", "convert", "inject"]
