"""How two triples of axes may be mixed up, and what to call it."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

IDENTITY = np.eye(3)


def _all() -> Floats:
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            turn = np.zeros((3, 3))
            turn[range(3), order] = signs
            found.append(turn)
    # What changes least comes first, and wins where motion leaves it open.
    return np.array(sorted(found, key=lambda turn: -np.trace(turn)))


TURNS = _all()
"""The 48 ways in which three axes can be exchanged and negated: right = turn @ wrong. The first is
none at all."""


def told(name: str, turn: Floats) -> str:
    """What is wrong with axes that `turn` puts right, in words."""
    axes = np.abs(turn).argmax(axis=1)
    signs = turn[range(3), axes]
    exchanged = [n for n in range(3) if axes[n] != n]
    negated = [n for n in range(3) if signs[n] < 0]
    if not exchanged:
        if len(negated) == 3:
            return f"{name} looks negated on all axes"
        return f"{name} {_listed(negated)} {'look' if len(negated) > 1 else 'looks'} negated"
    if len(exchanged) == 2 and not negated:
        return f"{name} {_listed(exchanged)} look swapped"
    means = ", ".join(
        f"{'-' if sign < 0 else ''}{'xyz'[axis]}"
        for axis, sign in zip(axes.tolist(), signs.tolist(), strict=True)
    )
    return f"what should be x, y, z of {name} looks to be its {means}"


def _listed(axes: list[int]) -> str:
    return " and ".join("xyz"[axis] for axis in axes)
