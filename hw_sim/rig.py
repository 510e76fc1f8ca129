"""The whole simulated rig: what the drivers find where the real one has wires."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw_sim.ak09916 import Ak09916
from hw_sim.ak8963 import Ak8963
from hw_sim.akm import AkmChip, FieldAt, MagTruth
from hw_sim.bus import Chip, SimulatedI2C
from hw_sim.camera import SimulatedCamera
from hw_sim.clock import VirtualClock
from hw_sim.icm20948 import Icm20948
from hw_sim.icm42688p import Icm42688P
from hw_sim.inertial import InertialChip, Motion
from hw_sim.lsm6dsox import Lsm6dsox
from hw_sim.mpu import Mpu
from hw_sim.receiver import SimulatedReceiver
from hw_sim.rotation import Floats, to_angle_axis
from hw_sim.scenario import ImuErrors, MagErrors, Scenario
from hw_sim.trajectory import Field, Trajectory

_AKM_ADDRESS = 0x0C
_NO_TIMES, _NO_VECTORS = np.empty(0, np.int64), np.empty((0, 3))


def make_imu(motion: Motion, errors: ImuErrors, start_ns: int, seed: int) -> InertialChip:
    """The simulated chip that a scenario names."""
    kinds: dict[str, type[InertialChip]] = {
        "ICM-20948": Icm20948,
        "ICM-42688-P": Icm42688P,
        "LSM6DSOX": Lsm6dsox,
    }
    if kind := kinds.get(errors.chip):
        return kind(motion, errors, start_ns, seed)
    return Mpu(motion, errors, start_ns, seed, errors.chip)


def make_magnetometer(
    field: FieldAt, errors: MagErrors, start_ns: int, seed: int, imu: InertialChip, chip: str
) -> AkmChip | None:
    """The magnetometer in the package of such a chip, where it has one."""
    kinds: dict[str, type[AkmChip]] = {
        "ICM-20948": Ak09916,
        "MPU-9250": Ak8963,
        "MPU-9255": Ak8963,
    }
    kind = kinds.get(chip)
    return kind(field, errors, start_ns, seed, lambda: imu.bypass) if kind else None


class SimulatedRig:
    """A bus with a motion sensor and its magnetometer, a receiver on a terminal, and a camera.

    `bus`, `gps_port`, `time_pulse` (None without) and `camera` go where the real ones would;
    `mount` says how the IMU sits. The trajectory begins at the moment the rig is made; `start`
    sets the receiver going.
    """

    def __init__(self, scenario: Scenario, clock: VirtualClock) -> None:
        self.scenario = scenario
        self.mount = scenario.mount
        self._start_ns = clock.now_ns()
        self._to_camera = scenario.mount.matrix()
        self._trajectory = Trajectory(scenario.trajectory, scenario.place.gravity_m_s2)
        self._field = Field(scenario.magnetic_field)
        # Every part has its own noise: adding one part leaves the others as they were.
        imu_seed, mag_seed, gps_seed, paint_seed = (
            int(seed) for seed in np.random.SeedSequence(scenario.seed).generate_state(4)
        )
        chip = scenario.imu.chip
        self._imu = make_imu(self._motion, scenario.imu, self._start_ns, imu_seed)
        self._mag = make_magnetometer(
            self._field_in_imu, scenario.mag, self._start_ns, mag_seed, self._imu, chip
        )
        devices: dict[int, Chip] = {scenario.imu.address: self._imu}
        if self._mag is not None:
            devices[_AKM_ADDRESS] = self._mag
        self.bus = SimulatedI2C(clock, devices)
        self._receiver = SimulatedReceiver(
            clock,
            scenario.gps,
            scenario.place,
            self._trajectory,
            scenario.start,
            self._start_ns,
            gps_seed,
        )
        self.gps_port = self._receiver.path
        self.time_pulse = self._receiver.time_pulse
        self.camera = SimulatedCamera(
            clock, scenario.camera, self._trajectory, self._start_ns, paint_seed
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
        mag = self._mag.truth() if self._mag else MagTruth(_NO_TIMES, _NO_VECTORS, _NO_TIMES > 0)
        return {
            "scenario": np.array(self.scenario.name),
            "seed": np.array(self.scenario.seed),
            "imu_t_ns": imu.gyro_t_ns,
            "imu_gyro": imu.gyro @ self._to_camera.T,
            "imu_accel_t_ns": imu.accel_t_ns,
            "imu_accel": imu.accel @ self._to_camera.T,
            "imu_in_fifo": imu.in_fifo,
            "imu_angle_axis": to_angle_axis(
                self._trajectory.pose(self._seconds(imu.gyro_t_ns)).quaternion
            ),
            "mag_t_ns": mag.t_ns,
            "mag_field": mag.field @ self._to_camera.T,
            "mag_kept": mag.kept,
            **self._receiver.truth(),
            **self.camera.truth(),
        }

    def save_truth(self, path: str | Path) -> None:
        """Write `truth()` as a compressed .npz."""
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **self.truth())  # type: ignore[arg-type]  # names, not flags

    def _seconds(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        return (t_ns - self._start_ns) / 1e9

    def _motion(self, t_ns: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        pose = self._trajectory.pose(self._seconds(t_ns))
        return pose.angular_rate @ self._to_camera, pose.specific_force @ self._to_camera

    def _field_in_imu(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        pose = self._trajectory.pose(self._seconds(t_ns))
        return self._field.in_camera(pose.quaternion) @ self._to_camera
