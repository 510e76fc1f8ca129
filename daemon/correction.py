"""Where a calibration meets samples: on their way into a clip, and back out of one."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import UsageError
from camm.frames import Array, check_mount
from daemon.calibration import NOTHING, Calibration, GyroTable, of_clip, told
from daemon.sources import Inertial, Magnetic
from fusion.calibration.correction import Correction

Times = npt.NDArray[np.int64]

_STEP_C = 0.25
"""The bias follows the temperature in steps of so many degrees: a clip tells every one."""
_REMEMBERED = 1000
_UNCHANGED = Correction(np.zeros(3), np.eye(3))


class SensorCorrection:
    """Corrects the samples of a rig's sensors, in the sensors' axes. One thread at a time.

    `temperature_c` asks for that of the motion sensor, None where it is not known.
    """

    def __init__(
        self,
        calibration: Calibration = NOTHING,
        temperature_c: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._told = told(calibration)
        self._ask_temperature_c = temperature_c
        self._gyro_table = calibration.gyro
        self._gyro, self._accel, self._mag = _corrections(calibration)
        self._at_c = math.nan
        self._steps: deque[tuple[int, Array]] = deque(maxlen=_REMEMBERED)

    def inertial(self, block: Inertial) -> Inertial:
        """The block as it would be of a sensor without errors."""
        if not self._told:
            return block
        self._follow_temperature(block)
        return replace(
            block, gyro=self._gyro.apply(block.gyro), accel=self._accel.apply(block.accel)
        )

    def magnetic(self, block: Magnetic) -> Magnetic:
        """The same of a field."""
        if not self._told:
            return block
        return replace(block, field=self._mag.apply(block.field))

    def gyro_limit(self, full_scale: float) -> float:
        """What a saturated axis reads then, at the least."""
        return self._gyro.least_of(full_scale)

    def accel_limit(self, full_scale: float) -> float:
        """The same of the accelerometer."""
        return self._accel.least_of(full_scale)

    @property
    def told(self) -> Mapping[str, Any] | str:
        """What a clip keeps, so that it can be undone."""
        if not self._told:
            return "none"  # the chips' own values, only turned
        steps = [{"monotonic_ns": t_ns, "bias": bias.tolist()} for t_ns, bias in list(self._steps)]
        return {**self._told, **({"gyro_biases": steps} if steps else {})}

    def _follow_temperature(self, block: Inertial) -> None:
        table = self._gyro_table
        if table is None or table.bias_per_c is None or not len(block.t_ns):
            return
        now_c = self._ask_temperature_c()
        if now_c is None or abs(now_c - self._at_c) < _STEP_C:
            return
        self._at_c = now_c
        bias = bias_at(table, now_c)
        self._gyro = Correction(bias, self._gyro.matrix)
        # Half a sample before: a clip's times are rounded, and the first is not to fall behind it.
        self._steps.append((int(block.t_ns[0]) - block.period_ns // 2, bias))


def bias_at(table: GyroTable, temperature_c: float) -> Array:
    """The gyroscope's bias at a temperature, (3,) rad/s."""
    bias = np.array(table.bias)
    if table.bias_per_c is None or table.temperature_c is None:
        return bias
    return bias + np.array(table.bias_per_c) * (temperature_c - table.temperature_c)


class SaidBySensors:
    """Brings a clip's samples back to what the sensors said, in their axes, by its metadata."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.applied = of_clip(metadata)
        self._mount = check_mount(metadata.get("mount", np.eye(3)))
        self._gyro, self._accel, self._mag = _corrections(self.applied)
        said = metadata.get("calibration")
        steps = said.get("gyro_biases", ()) if isinstance(said, dict) else ()
        zero_ns = metadata.get("movie", {}).get("zero_monotonic_ns", 0)
        self._step_ns = np.array([step["monotonic_ns"] - zero_ns for step in steps], np.int64)
        self._step_bias = np.array([step["bias"] for step in steps]).reshape(-1, 3)

    def gyro(self, t_ns: Times, rates: npt.ArrayLike) -> Array:
        """Angular rates (N, 3)."""
        correction = self._gyro
        if len(self._step_ns):
            which = np.searchsorted(self._step_ns, t_ns, "right") - 1
            correction = Correction(self._step_bias[np.maximum(which, 0)], correction.matrix)
        return correction.undo(self._turned(rates))

    def accel(self, forces: npt.ArrayLike) -> Array:
        """Specific forces (N, 3)."""
        return self._accel.undo(self._turned(forces))

    def mag(self, fields: npt.ArrayLike) -> Array:
        """Magnetic fields (N, 3), in the axes of the motion sensor."""
        return self._mag.undo(self._turned(fields))

    def _turned(self, vectors: npt.ArrayLike) -> Array:
        return np.asarray(vectors, np.float64) @ self._mount


def check_chips(calibration: Calibration, chips: Mapping[str, str]) -> None:
    """UsageError where a table is of another chip than the rig has; `chips` by table."""
    for name, table in told(calibration).items():
        found = chips.get(name, "")
        if table["chip"] and found and table["chip"] != found:
            raise UsageError(
                f"the calibration's [{name}] is of a {table['chip']}, found a {found}: calibrate "
                "this one, or take the file's table out"
            )


def _corrections(calibration: Calibration) -> tuple[Correction, Correction, Correction]:
    """Of gyroscope, accelerometer and magnetometer."""
    gyro, accel, mag = calibration.gyro, calibration.accel, calibration.mag
    return (
        _UNCHANGED if gyro is None else Correction(np.array(gyro.bias), np.eye(3)),
        _UNCHANGED if accel is None else Correction(np.array(accel.bias), np.array(accel.matrix)),
        _UNCHANGED if mag is None else Correction(np.array(mag.bias), np.array(mag.matrix)),
    )
