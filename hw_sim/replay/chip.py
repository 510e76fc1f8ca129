"""A recording of a motion sensor as a simulated chip: every recorded sample comes out of its FIFO.

Nothing is interpolated. The chip's crystal runs as that of the recorded sensor did, so its sample
number n falls on the recorded one's; what is lost is what its registers cannot hold, which is half
a step of the range that it was set to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw_sim.inertial import InertialChip
from hw_sim.rig import make_imu
from hw_sim.rotation import Floats
from hw_sim.scenario import ImuErrors

Times = npt.NDArray[np.int64]

_KEPT = 4096  # rows behind the newest: more than a chip prepares ahead and is asked about
_NEVER = 1 << 61


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Recorded samples: CLOCK_MONOTONIC, angular rate and specific force (N, 3), chip axes."""

    t_ns: Times
    gyro: Floats
    accel: Floats


class RecordedMotion:
    """A recording as both the motion that a chip senses and the crystal that it counts by.

    `rows` are read as time goes on; there must be some. Before the first the chip samples every
    `period_ns`, at rest in the attitude that this one tells (but for the last of these samples: a
    clip begins with what lies between it and the first). Behind the last row it makes no more.
    """

    def __init__(self, rows: Iterator[Rows], period_ns: float) -> None:
        self._rows = rows
        self._period_ns = period_ns
        self._chip_period_s = 1.0
        self._delay_ns = 0
        first = next(rows)
        self._start_ns = int(first.t_ns[0])
        self._times, self._values = first.t_ns, np.hstack([first.gyro, first.accel])
        self._rest = np.concatenate([np.zeros(3), first.accel[0]])
        self._number = 0  # of the first row that is kept
        self._exhausted = False

    def __call__(self, t_ns: Times) -> tuple[Floats, Floats]:
        """The samples that were recorded nearest to the moments in the first half of these.

        They are the angular rate's. Those in the second half are the force's, which a chip's other
        filter may put a sample away: but it is one sample that was recorded.
        """
        rate_ns = t_ns[: len(t_ns) // 2]
        middles = self._times[:-1] + np.diff(self._times) // 2
        values = self._values[np.searchsorted(middles, rate_ns)]
        values[rate_ns < self._start_ns - 1.5 * self._period_ns] = self._rest
        both = np.concatenate([values, values])
        return both[:, :3], both[:, 3:]

    def begin(self, at_ns: int, period_s: float, delay_ns: int) -> float:
        """Begin to sample, on a recorded sample; see `hw_sim.oscillator.Oscillator`."""
        self._chip_period_s, self._delay_ns = period_s, delay_ns
        return float(np.ceil(self.chip_s(at_ns) / period_s)) * period_s

    def chip_s(self, host_ns: int) -> float:
        """What the chip's counter shows at a moment of CLOCK_MONOTONIC; 0 at the first row."""
        measured_ns = host_ns - self._delay_ns
        while measured_ns > self._times[-1] and self._read_on():
            pass
        if measured_ns <= self._start_ns:
            number = (measured_ns - self._start_ns) / self._period_ns
        else:
            rows = np.arange(len(self._times)) + self._number
            number = float(
                np.interp(measured_ns - self._start_ns, self._times - self._start_ns, rows)
            )
            number += max(0, measured_ns - int(self._times[-1])) / self._period_ns
        return number * self._chip_period_s

    def host_ns(self, chip_s: Floats) -> Times:
        """When the chip's counter shows `chip_s`: when what it measured then is ready."""
        number = chip_s / self._chip_period_s
        while number[-1] >= self._number + len(self._times) - 1 and self._read_on():
            pass
        place = number - self._number
        rows = np.arange(len(self._times))
        measured = self._start_ns + np.rint(
            np.interp(place, rows, self._times - self._start_ns)
        ).astype(np.int64)
        early = number < 0
        measured[early] += np.rint(number[early] * self._period_ns).astype(np.int64)
        measured[place > len(self._times) - 0.5] = _NEVER
        result: Times = measured + self._delay_ns
        return result

    def _read_on(self) -> bool:
        """Read some more rows; whether there were any."""
        if self._exhausted:
            return False
        more = next(self._rows, None)
        if more is None:
            self._exhausted = True
            return False
        drop = max(0, len(self._times) - _KEPT)
        self._number += drop
        self._times = np.concatenate([self._times[drop:], more.t_ns])
        values = np.hstack([more.gyro, more.accel])
        self._values = np.concatenate([self._values[drop:], values])
        return True


def recorded_chip(chip: str, address: int, motion: RecordedMotion, start_ns: int) -> InertialChip:
    """A chip of that name without errors of its own, which measures what was recorded."""
    still = (0.0, 0.0, 0.0)
    errors = ImuErrors(
        chip=chip,  # type: ignore[arg-type]  # a name that the caller has from the scenarios' list
        address=address,
        clock_ppm=0.0,
        clock_drift_ppm=0.0,
        clock_drift_period_s=1.0,
        gyro_bias_deg_s=still,
        gyro_noise_deg_s_rthz=0.0,
        accel_bias_m_s2=still,
        accel_noise_m_s2_rthz=0.0,
        temperature_c=25.0,
    )
    made = make_imu(motion, errors, start_ns, seed=0)
    made.run_by(motion)
    return made
