"""The whole simulated rig: what the drivers find where the real one has wires."""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw_sim.ak09916 import Ak09916
from hw_sim.ak8963 import Ak8963
from hw_sim.bmi160 import Bmi160
from hw_sim.bmi270 import Bmi270
from hw_sim.bno055 import Bno055
from hw_sim.bno085 import Bno085
from hw_sim.bus import Chip, MessageChip, SimulatedI2C
from hw_sim.camera import SimulatedCamera
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.hmc5883l import Hmc5883L
from hw_sim.icm20948 import Icm20948
from hw_sim.icm42688p import Icm42688P
from hw_sim.inertial import InertialChip, Motion
from hw_sim.interrupt import SimulatedInterrupt
from hw_sim.lis3mdl import Lis3mdl, Lsm9ds1Mag
from hw_sim.lsm6ds3trc import Lsm6ds3trC
from hw_sim.lsm6dsox import Lsm6dsox
from hw_sim.lsm9ds1 import Lsm9ds1
from hw_sim.magnetic import FieldAt, MagneticChip, MagTruth
from hw_sim.microphone import SimulatedMicrophone
from hw_sim.mmc5983ma import Mmc5983ma
from hw_sim.mpu import Mpu
from hw_sim.qmc5883l import Qmc5883L
from hw_sim.qmc5883p import Qmc5883P
from hw_sim.receiver import SimulatedReceiver
from hw_sim.rotation import Floats, against_magnetic_north, to_angle_axis
from hw_sim.scenario import Fault, ImuErrors, MagErrors, Scenario
from hw_sim.trajectory import Field, Trajectory

_log = logging.getLogger(__name__)

_AKM_ADDRESS = 0x0C
_LSM9DS1_ADDRESS = 0x1C  # as on the Sense HAT
_MAGNETOMETERS: dict[str, tuple[type[MagneticChip], int]] = {
    "LIS3MDL": (Lis3mdl, 0x1C),
    "HMC5883L": (Hmc5883L, 0x1E),
    "QMC5883L": (Qmc5883L, 0x0D),
    "QMC5883P": (Qmc5883P, 0x2C),
    "MMC5983MA": (Mmc5983ma, 0x30),
}
"""Those of a package of their own, with their usual addresses."""
_WITH_FUSION: dict[str, type[Bno055 | Bno085]] = {"BNO055": Bno055, "BNO085": Bno085}
"""Motion sensors that work out their orientation, and have a magnetometer to do it with."""
_NO_TIMES, _NO_VECTORS = np.empty(0, np.int64), np.empty((0, 3))


def make_imu(motion: Motion, errors: ImuErrors, start_ns: int, seed: int) -> InertialChip:
    """The simulated chip that a scenario names."""
    kinds: dict[str, type[InertialChip]] = {
        "BMI160": Bmi160,
        "BMI270": Bmi270,
        "ICM-20948": Icm20948,
        "ICM-42688-P": Icm42688P,
        "LSM6DS3TR-C": Lsm6ds3trC,
        "LSM6DSOX": Lsm6dsox,
        "LSM9DS1": Lsm9ds1,
    }
    if kind := kinds.get(errors.chip):
        return kind(motion, errors, start_ns, seed)
    return Mpu(motion, errors, start_ns, seed, errors.chip)


def make_magnetometer(
    field: FieldAt,
    errors: MagErrors,
    start_ns: int,
    seed: int,
    imu: InertialChip | Bno085,
    chip: str,
) -> tuple[int, MagneticChip] | None:
    """The magnetometer that a scenario names, and its address.

    The internal one is that in the package of the IMU `chip`; None where it has none.
    """
    if own := _MAGNETOMETERS.get(errors.chip):
        kind, address = own
        return errors.address or address, kind(field, errors, start_ns, seed)
    if chip == "LSM9DS1":
        return _LSM9DS1_ADDRESS, Lsm9ds1Mag(field, errors, start_ns, seed)
    behind: dict[str, type[MagneticChip]] = {
        "ICM-20948": Ak09916,
        "MPU-9250": Ak8963,
        "MPU-9255": Ak8963,
    }
    if inside := behind.get(chip):
        return _AKM_ADDRESS, inside(field, errors, start_ns, seed, lambda: imu.bypass)
    return None


def _with_what_hangs_on_them(scenario: Scenario) -> list[Fault]:
    """The faults, with those of the magnetometer that has its power from the IMU's package."""
    follow = [
        dataclasses.replace(fault, part="mag")
        for fault in scenario.fault
        if (fault.kind, fault.part) == ("unplug", "imu") and scenario.mag.chip == "internal"
    ]
    return [*scenario.fault, *follow]


class SimulatedRig:
    """A bus with a motion sensor and its magnetometer, a receiver on a terminal, and a camera.

    `bus`, `interrupt` (the motion sensor's; None without), `gps_port`, `time_pulse` (None without)
    and `camera` go where the real ones would; `mount` says how the IMU sits. The trajectory begins
    at the moment the rig is made; `start` sets the receiver going.
    """

    def __init__(self, scenario: Scenario, clock: VirtualClock) -> None:
        self.scenario = scenario
        self.mount = scenario.mount
        self._start_ns = clock.now_ns()
        self._to_camera = scenario.mount.matrix()
        self._mag_to_camera = (scenario.mag.mount or scenario.mount).matrix()
        self._field = Field(scenario.magnetic_field)
        # Every part has its own noise: adding one part leaves the others as they were.
        imu_seed, mag_seed, gps_seed, paint_seed, way_seed, hiss_seed = (
            int(seed) for seed in np.random.SeedSequence(scenario.seed).generate_state(6)
        )
        self._trajectory = Trajectory(scenario.trajectory, scenario.place.gravity_m_s2, way_seed)
        faults = Faults(_with_what_hangs_on_them(scenario), self._start_ns)
        for part in ("imu", "mag", "gps", "camera", "microphone"):
            for span in faults.of("stall", part):
                clock.stall(part, span.start_ns, span.end_ns)
        for fault in scenario.fault:
            if fault.part == "disk":
                _log.warning(
                    "%s at %g s: there is no disk in the simulator, nothing will happen",
                    fault.kind,
                    fault.at_s,
                )
        chip = scenario.imu.chip
        self._imu: InertialChip | Bno085
        if with_fusion := _WITH_FUSION.get(chip):
            self._imu = with_fusion(
                self._motion,
                self._attitude,
                self._field_in_imu,
                scenario.imu,
                scenario.mag,
                self._start_ns,
                imu_seed,
            )
        else:
            self._imu = make_imu(self._motion, scenario.imu, self._start_ns, imu_seed)
        mag = make_magnetometer(
            self._field_in_mag, scenario.mag, self._start_ns, mag_seed, self._imu, chip
        )
        devices: dict[int, Chip | MessageChip] = {scenario.imu.address: self._imu}
        parts = {scenario.imu.address: "imu"}
        self._mag: MagneticChip | None = None
        if mag is not None:
            address, self._mag = mag
            devices[address], parts[address] = self._mag, "mag"
        self.bus = SimulatedI2C(clock, devices, faults=faults, parts=parts)
        self.interrupt = (
            SimulatedInterrupt(clock, self._imu, imu_seed)
            if isinstance(self._imu, InertialChip)
            else None
        )
        self._receiver = SimulatedReceiver(
            clock,
            scenario.gps,
            scenario.place,
            self._trajectory,
            scenario.start,
            self._start_ns,
            gps_seed,
            faults,
        )
        self.gps_port = self._receiver.path
        self.time_pulse = self._receiver.time_pulse
        self.camera = SimulatedCamera(
            clock, scenario.camera, self._trajectory, self._start_ns, paint_seed, faults
        )
        self.microphone: SimulatedMicrophone | None = None
        if scenario.microphone is not None:
            self.microphone = SimulatedMicrophone(
                clock, scenario.microphone, self._start_ns, hiss_seed, faults
            )

    @property
    def gps_bytes_lost(self) -> int:
        """Bytes of the receiver that came while nobody read them."""
        return self._receiver.lost

    def start(self) -> None:
        """Set the receiver going."""
        self._receiver.start()

    def close(self) -> None:
        """Stop everything. What was true stays to be asked for. May be called twice."""
        self._receiver.close()
        self.camera.close()
        self.bus.close()

    def truth(self) -> dict[str, npt.NDArray[np.generic]]:
        """What really happened so far, as arrays; docs/SIMULATOR.md lists them."""
        imu = self._imu.truth()
        mag = MagTruth(_NO_TIMES, _NO_VECTORS, _NO_TIMES > 0)
        if self._mag is not None:
            mag = self._mag.truth()
        elif isinstance(self._imu, Bno055 | Bno085):
            mag = self._imu.mag_truth()
        pose = self._trajectory.pose(self._seconds(imu.gyro_t_ns))
        return {
            "scenario": np.array(self.scenario.name),
            "seed": np.array(self.scenario.seed),
            "imu_t_ns": imu.gyro_t_ns,
            "imu_gyro": imu.gyro @ self._to_camera.T,
            "imu_accel_t_ns": imu.accel_t_ns,
            "imu_accel": imu.accel @ self._to_camera.T,
            "imu_in_fifo": imu.in_fifo,
            "imu_angle_axis": to_angle_axis(pose.quaternion),
            "imu_position": pose.position[:, (0, 2, 1)] * (1, -1, 1),
            "mag_t_ns": mag.t_ns,
            "mag_field": mag.field @ self._mag_to_camera.T,
            "mag_kept": mag.kept,
            **self._receiver.truth(),
            **self.camera.truth(),
            **(self.microphone.truth() if self.microphone is not None else {}),
        }

    def forget_truth(self) -> None:
        """Remember none of it: for a rig that runs for days."""
        for part in (self._imu, self._mag, self._receiver, self.camera, self.microphone):
            if part is not None:
                part.forget_truth()

    def save_truth(self, path: str | Path) -> None:
        """Write `truth()` as a compressed .npz."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **self.truth())  # type: ignore[arg-type]  # names, not flags

    def _seconds(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        return (t_ns - self._start_ns) / 1e9

    def _motion(self, t_ns: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        pose = self._trajectory.pose(self._seconds(t_ns))
        return pose.angular_rate @ self._to_camera, pose.specific_force @ self._to_camera

    def _attitude(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        pose = self._trajectory.pose(self._seconds(t_ns))
        declination = math.radians(self.scenario.magnetic_field.declination_deg)
        return against_magnetic_north(pose.quaternion, self._to_camera, declination)

    def _field_in_imu(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        pose = self._trajectory.pose(self._seconds(t_ns))
        return self._field.in_camera(pose.quaternion) @ self._to_camera

    def _field_in_mag(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        pose = self._trajectory.pose(self._seconds(t_ns))
        return self._field.in_camera(pose.quaternion) @ self._mag_to_camera
