"""What is to be extracted: a clip, which packet types of it, and what many formats ask of both."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from camm import PacketType, Samples
from muxer.clip import Clip
from muxer.extract.document import NothingToExtractError
from muxer.extract.track import Track, with_fix
from muxer.extract.utc import UtcClock


class Selection:
    """A clip and the packet types wanted of it, None for all there are.

    `per_frame` asks tables for a row of every video frame instead of one of every record.
    """

    def __init__(
        self,
        clip: Clip,
        kinds: Collection[PacketType] | None = None,
        *,
        per_frame: bool = False,
    ) -> None:
        self.clip = clip
        self.kinds = kinds
        self.per_frame = per_frame
        self._read_fixes: dict[PacketType, Samples] = {}

    @property
    def name(self) -> str:
        """The clip's file name, of a URL without what may stand behind it."""
        path = self.clip.path
        return Path(urlsplit(path).path if "://" in path else path).name

    def wants(self, kind: int) -> bool:
        """Whether records of this type are asked for."""
        return self.kinds is None or kind in self.kinds

    @cached_property
    def present(self) -> list[PacketType]:
        """The types that are both in the clip and wanted."""
        return [kind for kind in self.clip.counts if self.wants(kind)]

    def require(self, form: str) -> list[PacketType]:
        """The same; NothingToExtractError where there are none for that form."""
        if not self.present:
            wanted = ", ".join(kind.label for kind in self.kinds or PacketType)
            raise NothingToExtractError(f"{self.clip.path} has no records for {form} of {wanted}")
        return self.present

    @cached_property
    def utc(self) -> UtcClock:
        """UTC of the clip's times, told by its fixes whether or not they are wanted."""
        return UtcClock(self._fixes(PacketType.GPS), self.clip)

    @cached_property
    def track(self) -> Track | None:
        """Where the camera went: fixes of type 6, or of type 5 where there are none; None without.

        They are few, whatever the clip's length, and are kept.
        """
        for kind in (PacketType.GPS, PacketType.MIN_GPS):
            if self.wants(kind):
                fixes = with_fix(self._fixes(kind))
                if len(fixes):
                    return Track.of(fixes, self.utc.at(fixes.t_ns))
        return None

    def require_track(self, form: str) -> Track:
        """The same; NothingToExtractError where there is none for that form."""
        if self.track is None:
            raise NothingToExtractError(f"{self.clip.path} has no GPS fix to make {form} of")
        return self.track

    def _fixes(self, kind: PacketType) -> Samples:
        if kind not in self.clip.counts:
            return Samples.empty(kind)
        if kind not in self._read_fixes:
            self._read_fixes[kind] = Samples.concatenate(kind, self.clip.blocks(kind))
        return self._read_fixes[kind]
