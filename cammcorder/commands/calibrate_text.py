"""What `calibrate` shows: sentences, the sphere that is still to be covered, Allan's curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daemon.calibrating import strength_as_said
from fusion.calibration.sphere import COLUMNS, ROWS

if TYPE_CHECKING:
    from camm.allan import Allan
    from daemon.calibration import Calibration, Matrix

_WIDE, _HIGH = 64, 14
_DIRECTIONS = (("right", "left"), ("down", "up"), ("forward", "back"))


def sentences(calibration: Calibration) -> Iterator[str]:
    """A line for each table that there is."""
    if (gyro := calibration.gyro) is not None:
        slope = ""
        if gyro.bias_per_c is not None:
            slope = f", a degree more adds {_numbers(np.degrees(gyro.bias_per_c), 4)} °/s"
        yield (
            f"gyro   bias {_numbers(np.degrees(gyro.bias), 3)} °/s{_at(gyro)}{slope}; a second is "
            f"off by {math.degrees(gyro.residual):.4f} °/s; {_made(gyro, 'samples')}"
        )
    if (accel := calibration.accel) is not None:
        yield (
            f"accel  bias {_numbers(accel.bias, 3)} m/s², {_axes(accel.matrix)}; gravity is off by "
            f"{accel.residual:.4f} m/s²; {_made(accel, 'poses')}"
        )
    if (mag := calibration.mag) is not None:
        dip = "" if mag.dip_deg is None else f", which dips by {mag.dip_deg:.1f}°"
        yield (
            f"mag    bias {_numbers(mag.bias, 2)} µT, {_axes(mag.matrix)}; a field of "
            f"{mag.strength_ut:.1f} µT (the chip says {strength_as_said(mag):.1f}){dip}; it is off "
            f"by {mag.residual:.2f} µT; {_made(mag, 'samples')}"
        )
    if (noise := calibration.noise) is not None:
        yield (
            f"noise  gyro {_numbers(np.degrees(noise.gyro_random_walk), 4)} °/s/√Hz, instability "
            f"{_numbers(3600 * np.degrees(noise.gyro_bias_instability), 1)} °/h; accel "
            f"{_numbers(noise.accel_random_walk, 5)} m/s²/√Hz, instability "
            f"{_numbers(noise.accel_bias_instability, 5)} m/s²; {_made(noise, 'samples')}"
        )
    if (mount := calibration.mount) is not None:
        yield (
            f"mount  {_directions(mount.matrix)}, ± {mount.uncertainty_deg:.2f}°; the picture is "
            f"{mount.hfov_deg:.1f}° wide, a point {mount.residual:.2f} pixels off; "
            f"{_made(mount, 'pairs of frames')}"
        )
    if (sync := calibration.sync) is not None:
        yield (
            f"sync   {sync.offset_ms:+.2f} ± {sync.uncertainty_ms:.2f} ms are added to the times "
            f"of pictures; the picture is {sync.hfov_deg:.1f}° wide, a point {sync.residual:.2f} "
            f"pixels off; {_made(sync, 'pairs of frames')}"
        )


def sphere(seen: npt.NDArray[np.bool_]) -> str:
    """The directions of the field as a map, the sensor's +Z on top: what is dark is still to do."""
    rows = seen.reshape(ROWS, COLUMNS)
    lines = ["".join("██" if cell else "··" for cell in row) for row in rows]
    return "\n".join([*lines, f"{100 * seen.mean():.0f} % of all directions"])


def curves(allan: Allan, unit: str) -> str:
    """The Allan deviation of X, Y and Z over the averaging time, both logarithmic."""
    across, up = np.log10(allan.tau_s), np.log10(allan.deviation)
    left, right = float(across[0]), float(across[-1])
    low, high = float(up.min()), float(up.max())
    grid = [[" "] * _WIDE for _ in range(_HIGH)]
    column = np.rint((across - left) / (right - left or 1.0) * (_WIDE - 1)).astype(int)
    row = np.rint((high - up) / (high - low or 1.0) * (_HIGH - 1)).astype(int)
    for axis, name in enumerate("XYZ"):
        for x, y in zip(column.tolist(), row[:, axis].tolist(), strict=True):
            grid[y][x] = name if grid[y][x] == " " else "*"
    edges = {0: f"{10**high:9.2g}", _HIGH - 1: f"{10**low:9.2g}"}
    lines = [f"{edges.get(y, ''):>9} ┤{''.join(cells)}" for y, cells in enumerate(grid)]
    under = f"{10**left:.2g} s".ljust(_WIDE - 8) + f"{10**right:.2g} s".rjust(8)
    return "\n".join(
        [f"Allan deviation, {unit}", *lines, f"{'':9} └{'─' * _WIDE}", f"{'':11}{under}"]
    )


def _numbers(values: Sequence[float] | npt.NDArray[np.float64], digits: int) -> str:
    return " ".join(f"{value:+.{digits}f}" for value in values)


def _at(table: Any) -> str:  # noqa: ANN401 - whichever has a temperature
    return "" if table.temperature_c is None else f" at {table.temperature_c:.1f} °C"


def _made(table: Any, what: str) -> str:  # noqa: ANN401 - any table
    return f"{table.samples} {what}, {table.chip or 'unknown chip'}, {table.when:%Y-%m-%d %H:%M}"


def _axes(matrix: Matrix) -> str:
    """How far the axes are off: scale, and the greatest angle between them."""
    values = np.array(matrix)
    lengths = np.linalg.norm(values, axis=1)
    rows = values / lengths[:, None]
    crossed = np.degrees(np.arcsin(np.abs(rows @ rows.T - np.eye(3)).max()))
    return f"scale {_numbers(100 * (values.diagonal() - 1), 2)} %, axes crossed by {crossed:.2f}°"


def _directions(matrix: Matrix) -> str:
    """Where each axis of the sensor points, in the words of `--mount`, and how far from there."""
    parts = []
    for name, axis in zip("xyz", np.array(matrix).T, strict=True):
        nearest = int(np.abs(axis).argmax())
        words = _DIRECTIONS[nearest][int(axis[nearest] < 0)]
        off = math.degrees(math.acos(min(abs(float(axis[nearest])), 1.0)))
        parts.append(f"{name} {words} ({off:.1f}° off)")
    return ", ".join(parts)
