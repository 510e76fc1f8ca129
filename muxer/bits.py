"""Bits of a video stream's parameters, most significant first."""

from __future__ import annotations

from muxer.errors import Mp4Error


class Bits:
    """Reads fields of any width, one after another; Mp4Error where they are cut short."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise Mp4Error("a parameter set of the video stream is cut short")
        return self._value >> self._left & ((1 << count) - 1)

    def exp_golomb(self, most: int | None = None) -> int:
        """An unsigned Exp-Golomb number; Mp4Error where it is over `most`.

        ue(v) of H.264 and H.265, uvlc() of AV1.
        """
        zeros = 0
        while not self.take(1):
            zeros += 1
        number = (1 << zeros | self.take(zeros)) - 1
        if most is not None and number > most:
            raise Mp4Error(
                f"a parameter set of the video stream says {number}, expected at most {most}"
            )
        return number
