"""Orientation filters: what every one of them promises, and how one is chosen by name.

The libraries disagree about the world (ENU, NWU), about who keeps the state, and about what they
do with a missing or broken sample. An adapter, one file each, hides all that: behind
`OrientationFilter` they can be swapped without a reader of the clip noticing but for the accuracy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from camm.errors import UsageError
from camm.frames import Array

_log = logging.getLogger(__name__)

CHIP = "chip"
"""In place of a filter's name: the orientation that the motion sensor works out by itself."""

TRACKER = "tracker"
"""The same: the orientation that a program beside ours works out."""

SIX_AXES = "vqf-6d"
"""The filter that leaves the magnetometer out: its north is arbitrary."""

OFFLINE = "vqf-offline"
"""The filter that looks ahead as well as back, and so wants all samples before it says anything."""


class OrientationFilter(Protocol):
    """Turns inertial and magnetic samples into orientation, block by block, for one sample period.

    Every call continues where the last one ended: how a recording is cut into blocks makes no
    difference to what comes out. That is so for all but those that are `acausal`.
    """

    @property
    def name(self) -> str:
        """The name it is chosen by."""
        ...

    @property
    def acausal(self) -> bool:
        """Whether it knows nothing of the call before: it must be given all there is in one."""
        ...

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        """Orientation sensor -> east-north-up, quaternions (N, 4), after each of N samples.

        All three are C-contiguous float64 (N, 3) in sensor axes: rad/s; specific force in m/s^2 (a
        sensor lying flat reads +9.81 on the axis that points up); field in any unit. A row of zeros
        in `accel` or `mag` says that there is no such sample, and the filter goes on by what there
        is. Without any magnetic sample north is arbitrary, and steady but for the gyro's drift.
        The caller sees to it that all is finite: one NaN would stay in the state for good.
        """
        ...

    def restart(self) -> None:
        """Forget the orientation, as after a gap; keep what was learned of the sensor itself."""
        ...


_FILTERS = {
    "vqf": ("vqf", "fusion.vqf_filter", "VqfFilter"),
    "madgwick": ("ahrs", "fusion.madgwick_filter", "MadgwickFilter"),
    "imufusion": ("imufusion", "fusion.imufusion_filter", "ImufusionFilter"),
    SIX_AXES: ("vqf", "fusion.vqf_filter", "Vqf6dFilter"),
    "mahony": ("ahrs", "fusion.mahony_filter", "MahonyFilter"),
    "ekf": ("ahrs", "fusion.ekf_filter", "EkfFilter"),
    "aqua": ("ahrs", "fusion.aqua_filter", "AquaFilter"),
    "complementary": ("ahrs", "fusion.complementary_filter", "ComplementaryFilter"),
    OFFLINE: ("vqf", "fusion.vqf_filter", "OfflineVqfFilter"),
}
"""The package that a filter needs, and where its adapter is."""

_FALLBACK = "madgwick"


def filters() -> tuple[str, ...]:
    """The names of those that can work while samples come in."""
    return tuple(name for name in _FILTERS if name != OFFLINE)


def check_name(name: str) -> str:
    """The name, once it is known to be a filter's; else UsageError."""
    if name not in _FILTERS:
        raise UsageError(
            f"no orientation filter is called {name!r}; there are: {', '.join(_FILTERS)}, and "
            f"{CHIP!r} for a motion sensor with one of its own"
        )
    return name


def make_filter(name: str, period_s: float) -> OrientationFilter:
    """A filter for samples `period_s` seconds apart.

    Where vqf is asked for and not installed (there are wheels for x86-64 only) a warning is logged
    and Madgwick's comes back; its `name` tells. UsageError for a name that is none, another package
    that is not installed, or no period.
    """
    package, module, adapter = _FILTERS[check_name(name)]
    if not 0 < period_s < float("inf"):
        raise UsageError(f"an orientation filter needs a sample period above 0 s, found {period_s}")
    try:
        make: Callable[[float], OrientationFilter] = getattr(import_module(module), adapter)
    except ImportError as error:
        if name not in ("vqf", OFFLINE):
            raise UsageError(
                f"filter {name!r} needs the package {package}: pip install 'cammcorder[{package}]'"
            ) from error
        _log.warning(
            "vqf is not installed: orientation falls back on Madgwick's filter, with about twice "
            "the error and much more load. To have it: pip install 'cammcorder[vqf]' (builds with "
            "g++ and python3-dev)"
        )
        return make_filter(_FALLBACK, period_s)
    return make(period_s)
