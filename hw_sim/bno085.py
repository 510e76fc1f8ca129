"""The BNO085 behind SHTP, the transport of its sensor hub: cargoes both ways, no registers.

Written from the BNO08X datasheet (1000-3927), the SHTP reference (1000-3535) and the SH-2
reference (1000-3625), for what a recorder needs. It is calibrated from the start and its fusion
makes no error but that of its delay. Not modelled: clock stretching, the interrupt as a pin,
batching, FRS records, executable commands but reset, other sensors than those four.
"""

from __future__ import annotations

import errno
import math
import struct
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from drivers.errors import BusError
from hw_sim.imperfection import Imperfection
from hw_sim.inertial import ImuTruth, Motion, Times
from hw_sim.magnetic import FieldAt, MagTruth
from hw_sim.oscillator import Oscillator
from hw_sim.rotation import AttitudeAt, Floats
from hw_sim.scenario import ImuErrors, MagErrors

_COMMAND, _EXECUTABLE, _CONTROL, _INPUT = range(4)  # channels
_RESET, _RESET_COMPLETE = 0x01, 0x01  # on the executable's, to it and from it
_ACCELEROMETER, _GYROSCOPE, _MAGNETIC_FIELD, _ROTATION_VECTOR = 0x01, 0x02, 0x03, 0x05
_COMMAND_RESPONSE, _PRODUCT_ID_RESPONSE, _PRODUCT_ID_REQUEST = 0xF1, 0xF8, 0xF9
_TIMEBASE, _FEATURE_RESPONSE, _SET_FEATURE, _GET_FEATURE = 0xFB, 0xFC, 0xFD, 0xFE

_FASTEST_HZ = {_ACCELEROMETER: 500, _GYROSCOPE: 400, _MAGNETIC_FIELD: 100, _ROTATION_VECTOR: 400}
"""Figure 6-14; slower rates are halves of these."""
_READY_NS = {_ROTATION_VECTOR: 1_600_000}
"""From the end of a sample until it can be sent; of those that are not fused, a third of that."""
_USUALLY_READY_NS = 500_000
_BOOT_NS = 160_000_000
_TICK_NS = 100_000
_LONGEST_CARGO = 128
_MOST_WAITING = 300
_BLOCK = 64
_ADVERTISEMENT = bytes(272)


class Bno085:
    """One chip on the bus, that has just come up. `attitude` and `field` as of `hw_sim.bno055`.

    `status`  what its reports say of their accuracy, 0 to 3
    """

    bypass = False
    """There is no bus behind it that it could let through."""

    def __init__(
        self,
        motion: Motion,
        attitude: AttitudeAt,
        field: FieldAt,
        errors: ImuErrors,
        mag_errors: MagErrors,
        start_ns: int,
        seed: int,
    ) -> None:
        self._motion, self._attitude, self._field = motion, attitude, field
        self._errors, self._mag_errors = errors, mag_errors
        self._imperfection = Imperfection(errors, start_ns, seed)
        self._noise = np.random.default_rng(seed)
        self._clock = Oscillator(
            errors.clock_ppm,
            errors.clock_drift_ppm,
            errors.clock_drift_period_s,
            start_ns,
            -errors.clock_ppm_per_c * errors.warm_up_c,
            errors.warm_up_s,
        )
        self.status = 3
        self._past: dict[int, deque[Times]] = {report: deque() for report in _FASTEST_HZ}
        self._boot(start_ns - _BOOT_NS)

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._past = {report: deque(maxlen=0) for report in self._past}

    def truth(self) -> ImuTruth:
        """Every sample so far, by the end of what it is the mean of, less half of that."""
        gyro_t, accel_t = self._told(_GYROSCOPE), self._told(_ACCELEROMETER)
        gyro, accel = self._motion(gyro_t)[0], self._motion(accel_t)[1]
        return ImuTruth(gyro_t, gyro, accel_t, accel, np.ones(len(gyro_t), bool))

    def mag_truth(self) -> MagTruth:
        """Every measurement of the field so far."""
        t_ns = self._told(_MAGNETIC_FIELD)
        return MagTruth(t_ns, self._field(t_ns), np.ones(len(t_ns), bool))

    def answers(self) -> bool:
        return True

    def lose_power(self, at_ns: int, until_ns: int) -> None:
        self._measure_until(at_ns)
        self._boot(until_ns)

    def exchange(self, out: bytes, length: int, at_ns: int) -> bytes:
        if out and length:
            raise BusError(errno.EREMOTEIO, "a BNO085 knows no repeated start: write, then read")
        if at_ns < self._awake_ns:
            return bytes(length)
        if not self._greeted:
            self._greet(self._awake_ns)
        self._measure_until(at_ns)
        if out:
            self._hear(out, at_ns)
        return self._say(length, at_ns) if length else b""

    def _boot(self, at_ns: int) -> None:
        self._awake_ns = self._free_ns = at_ns + _BOOT_NS
        self._greeted = False
        self._features: dict[int, _Feature] = {}
        self._waiting: deque[tuple[int, int, bytes]] = deque()
        self._cargoes: deque[tuple[int, bytes]] = deque()
        self._rest: tuple[int, bytes] | None = None
        self._sequence = bytearray(6)

    def _greet(self, at_ns: int) -> None:
        self._greeted = True
        initialised = bytes([_COMMAND_RESPONSE, 0, 0x84, 0, 0, 0, 1]).ljust(16, b"\0")
        self._cargoes += [
            (_COMMAND, _ADVERTISEMENT),
            (_EXECUTABLE, bytes([_RESET_COMPLETE])),
            (_CONTROL, initialised),
        ]

    def _hear(self, out: bytes, at_ns: int) -> None:
        length, channel = struct.unpack_from("<HB", out)
        payload = out[4 : length & 0x7FFF]
        if channel == _EXECUTABLE and payload[:1] == bytes([_RESET]):
            self._boot(at_ns)
        elif channel == _CONTROL and payload[:1] == bytes([_PRODUCT_ID_REQUEST]):
            said = struct.pack("<BBBBIIHH", _PRODUCT_ID_RESPONSE, 1, 3, 2, 10_003_608, 370, 13, 0)
            self._cargoes.append((_CONTROL, said))
        elif channel == _CONTROL and payload[:1] == bytes([_SET_FEATURE]) and len(payload) == 17:
            report, interval_us = payload[1], struct.unpack_from("<I", payload, 5)[0]
            if report in _FASTEST_HZ:
                self._set_feature(report, interval_us, at_ns)
        elif channel == _CONTROL and payload[:1] == bytes([_GET_FEATURE]):
            self._tell_feature(payload[1])

    def _set_feature(self, report: int, interval_us: int, at_ns: int) -> None:
        self._features.pop(report, None)
        if interval_us:
            rate = float(_FASTEST_HZ[report])
            while 0.9 * rate / 2 * interval_us >= 0.9e6:  # no slower than was asked for
                rate /= 2
            self._features[report] = _Feature(
                self._clock, rate, self._clock.chip_s(at_ns), self._words(report, rate)
            )
        self._tell_feature(report)

    def _tell_feature(self, report: int) -> None:
        feature = self._features.get(report)
        interval_us = round(1e6 / feature.rate_hz) if feature else 0
        said = struct.pack("<BBBHIII", _FEATURE_RESPONSE, report, 0, 0, interval_us, 0, 0)
        self._cargoes.append((_CONTROL, said))

    def _words(self, report: int, rate_hz: float) -> Callable[[Times], npt.NDArray[np.int16]]:
        """What a report says of samples that ended at some instants: words (N, 3) or (N, 5)."""
        delay_ns = round(0.5e9 / rate_hz)
        band = math.sqrt(rate_hz / 2)

        def noisy(values: Floats, sigma: float, lsb: float) -> npt.NDArray[np.int16]:
            noise = self._noise.standard_normal(values.shape) * sigma
            return np.clip(np.rint((values + noise) * lsb), -32768, 32767).astype("<i2")

        def words(ended: Times) -> npt.NDArray[np.int16]:
            t_ns = ended - delay_ns
            if report == _GYROSCOPE:
                rate = self._imperfection.gyro(t_ns, self._motion(t_ns)[0])
                return noisy(rate, math.radians(self._errors.gyro_noise_deg_s_rthz) * band, 512.0)
            if report == _ACCELEROMETER:
                force = self._imperfection.accel(t_ns, self._motion(t_ns)[1])
                force = np.clip(force, -8 * 9.80665, 8 * 9.80665)
                return noisy(force, self._errors.accel_noise_m_s2_rthz * band, 256.0)
            if report == _MAGNETIC_FIELD:
                field = self._field(t_ns) @ np.array(self._mag_errors.soft_iron).T
                field += self._mag_errors.hard_iron_ut
                return noisy(field, self._mag_errors.noise_ut, 16.0)
            w, x, y, z = self._attitude(t_ns).T
            accuracy = np.full(len(t_ns), math.radians(2) / 4)  # of Q12
            return noisy(np.stack([x, y, z, w, accuracy], axis=1), 0.0, 16384.0)

        return words

    def _measure_until(self, at_ns: int) -> None:
        """Queue the reports that are ready by then; the oldest go where there are too many."""
        fresh: list[tuple[int, int, bytes]] = []
        for report, feature in self._features.items():
            takes_ns = _READY_NS.get(report, _USUALLY_READY_NS)
            ended, first, words = feature.until(at_ns - takes_ns)
            if not len(ended):
                continue
            self._past[report].append(ended - round(0.5e9 / feature.rate_hz))
            for number, (t_ns, row) in enumerate(zip(ended.tolist(), words, strict=True), first):
                head = bytes([report, number & 0xFF, self.status])
                fresh.append((t_ns + takes_ns, t_ns, head + b"\0" + row.tobytes()))
        self._waiting += sorted(fresh)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()

    def _say(self, length: int, at_ns: int) -> bytes:
        """A header and as much of the cargo as the host reads; the rest is for its next read."""
        beyond = 0x8000 if self._rest else 0
        if self._rest is None:
            self._rest = self._next_cargo(at_ns)
        if self._rest is None:
            return bytes(length)
        channel, payload = self._rest
        taken = payload[: max(0, length - 4)]
        header = struct.pack("<HBB", (len(payload) + 4) | beyond, channel, self._sequence[channel])
        self._sequence[channel] = (self._sequence[channel] + 1) & 0xFF
        self._rest = (channel, payload[len(taken) :]) if len(taken) < len(payload) else None
        self._free_ns = at_ns
        return (header + taken)[:length].ljust(length, b"\0")

    def _next_cargo(self, at_ns: int) -> tuple[int, bytes] | None:
        if self._cargoes:
            return self._cargoes.popleft()
        if not self._waiting:
            return None
        # The interrupt is raised for the first that is ready, once the last cargo has gone; what is
        # ready at that moment goes with it.
        asserted_ns = max(self._waiting[0][0], self._free_ns)
        batch: list[tuple[int, bytes]] = []
        size = 5
        while (
            self._waiting
            and self._waiting[0][0] <= asserted_ns
            and size + len(self._waiting[0][2]) <= _LONGEST_CARGO
        ):
            _, t_ns, report = self._waiting.popleft()
            batch.append((t_ns, report))
            size += len(report)
        base_ns = min(t_ns for t_ns, _ in batch)
        payload = struct.pack("<Bi", _TIMEBASE, round((asserted_ns - base_ns) / _TICK_NS))
        for t_ns, report in batch:
            delay = round((t_ns - base_ns) / _TICK_NS)
            payload += report[:2] + bytes([report[2] | delay >> 8 << 2, delay & 0xFF]) + report[4:]
        return _INPUT, payload

    def _told(self, report: int) -> Times:
        return np.concatenate([np.empty(0, np.int64), *self._past[report]])


class _Feature:
    """A sensor that reports: what it says and when, by the chip's clock."""

    def __init__(
        self,
        clock: Oscillator,
        rate_hz: float,
        origin_s: float,
        words: Callable[[Times], npt.NDArray[np.int16]],
    ) -> None:
        self.rate_hz = rate_hz
        self._clock, self._words = clock, words
        self._origin_s = origin_s
        self._made = self._given = 0
        self._ended: Times = np.empty(0, np.int64)
        self._values: npt.NDArray[np.int16] = np.empty((0, 0), np.int16)
        self._prepare()

    def until(self, at_ns: int) -> tuple[Times, int, npt.NDArray[np.int16]]:
        """Samples that ended by then and are new: when, the number of the first, their words."""
        first = self._given
        times, values = [self._ended[:0]], [self._values[:0]]
        while self._ended[-1] <= at_ns:
            times.append(self._ended)
            values.append(self._values)
            self._prepare()
        stop = int(np.searchsorted(self._ended, at_ns, "right"))
        times.append(self._ended[:stop])
        values.append(self._values[:stop])
        self._ended, self._values = self._ended[stop:], self._values[stop:]
        ended = np.concatenate(times)
        self._given += len(ended)
        return ended, first, np.concatenate(values)

    def _prepare(self) -> None:
        numbers = np.arange(self._made, self._made + _BLOCK)
        self._made += _BLOCK
        self._ended = self._clock.host_ns(self._origin_s + (numbers + 1) / self.rate_hz)
        self._values = self._words(self._ended)
