"""Arrays on their way into a page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt


class Arrays:
    """The arrays of a page, each told once: types that were sampled together share their times.

    `texts` is what the page holds of them: the type ("f4", "f8", "i2", little-endian) and the bytes
    in base64. NaN says that there is nothing.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[str, int] = {}

    def add(self, array: npt.NDArray[Any]) -> int:
        """The number by which the page asks for it."""
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        octets = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        text = f"{kind}:{base64.b64encode(octets).decode()}"
        if text not in self._known:
            self._known[text] = len(self.texts)
            self.texts.append(text)
        return self._known[text]
