"""`cammcorder calibrate` on simulated rigs of known errors: found, taken away, or refused."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from camm.frames import from_angle_axis, to_matrix
from cammcorder.__main__ import main
from daemon import calibrating, measurement
from daemon.calibration import Calibration, load, save
from daemon.rig import Rig, simulated_rig
from daemon.sources import Delivery, Inertial, Source
from drivers.errors import EndOfSource
from hw_sim.clock import VirtualClock
from muxer import reader

SCENARIOS = Path(__file__).parents[2] / "hw_sim/scenarios"

REST = {"circle": {"speed_m_s": 0.0, "radius_m": 20.0, "start_deg": 0.0}}
SHAKEN = REST | {
    "yaw_deg": [[20.0, 0.43, 70.0], [7.0, 1.1, 250.0]],
    "pitch_deg": [[12.0, 0.51, 110.0], [3.0, 1.3, 20.0]],
    "roll_deg": [[12.0, 0.37, 300.0], [4.0, 0.935, 75.0]],
}
TUMBLING = REST | {
    "yaw_deg": [[170.0, 0.12, 0.0]],
    "pitch_deg": [[80.0, 0.173, 20.0]],
    "roll_deg": [[175.0, 0.093, 70.0]],
}
GYRO_DEG_S = [1.2, -0.8, 0.5]
ACCEL, ACCEL_MATRIX = (
    [0.2, -0.15, 0.3],
    [[1.03, 0.01, 0.0], [0.01, 0.98, -0.008], [0, -0.008, 1.02]],
)
HARD, SOFT = [22.0, -15.0, 31.0], [[1.12, 0.05, -0.02], [0.03, 0.93, 0.04], [0.01, -0.06, 1.02]]
WRONG_IMU = {
    "gyro_bias_deg_s": GYRO_DEG_S,
    "accel_bias_m_s2": ACCEL,
    "accel_matrix": ACCEL_MATRIX,
}
WRONG_MAG = {"hard_iron_ut": HARD, "soft_iron": SOFT}
SMALL = {"width": 320, "height": 180, "line_time_ns": 100_000, "stamp": False}


def as_toml(table, name=""):
    for key, value in table.items():
        if not isinstance(value, dict):
            text = value.isoformat() if isinstance(value, datetime) else json.dumps(value)
            yield f"{key} = {text}"
    for key, value in table.items():
        if isinstance(value, dict):
            path = f"{name}.{key}".removeprefix(".")
            yield f"[{path}]"
            yield from as_toml(value, path)


@pytest.fixture
def scenario(tmp_path):
    """Writes a scenario like the walk, but for what is given."""

    def write(name, trajectory, imu=None, mag=None):
        table = tomllib.loads((SCENARIOS / "walk.toml").read_text())
        table |= {"trajectory": trajectory, "camera": table["camera"] | SMALL}
        table["imu"] |= imu or {}
        table["mag"] |= mag or {}
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join(as_toml(table)))
        return path

    return write


@pytest.fixture
def film(tmp_path):
    """Records a scenario and gives the clip."""

    def record(path, seconds, *options):
        clip = tmp_path / f"{path.stem}{len(list(tmp_path.iterdir()))}.mp4"
        arguments = ["record", "--sim", path, "--speed", "max", "--duration", seconds, "-o", clip]
        assert main([*map(str, arguments), *map(str, options)]) == 0
        return clip

    return record


@pytest.fixture
def output(tmp_path):
    return tmp_path / "calibration.toml"


def calibrate(what, *arguments, output):
    return main(["calibrate", what, *map(str, arguments), "-o", str(output)])


def rotation(angle_axis):
    return to_matrix(from_angle_axis(np.asarray(angle_axis, float)))


def orientation_errors(clip):
    """Inclination and heading of a clip against the simulator's truth, rms degrees."""
    truth = np.load(clip.with_suffix(".truth.npz"))
    with reader.open(clip) as opened:
        t_ns = opened.angle_axis.t_ns[1:] + opened.metadata["movie"]["zero_monotonic_ns"]
        ours = rotation(opened.angle_axis.data[1:])
    which = np.abs(truth["imu_t_ns"][:, None] - t_ns[None, ::10]).argmin(axis=0)
    error = ours[::10] @ rotation(truth["imu_angle_axis"][which]).transpose(0, 2, 1)
    inclination = np.degrees(np.arccos(np.clip(error[:, 1, 1], -1, 1)))
    heading = np.arctan2(error[:, 0, 2] - error[:, 2, 0], error[:, 0, 0] + error[:, 2, 2])
    return np.sqrt(np.mean(inclination**2)), np.degrees(np.sqrt(np.mean(heading**2)))


def angle_deg(one, other):
    cosine = (np.trace(np.array(one) @ np.array(other).T) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def poses_of(scenario):
    """Measurements of a rig with errors at rest in fourteen poses."""
    for number, (pitch, roll) in enumerate(
        [(0, roll) for roll in range(0, 360, 60)]
        + [(pitch, roll) for pitch in (-45, 45) for roll in (30, 150, 270)]
        + [(85, 0), (-85, 0)]
    ):
        trajectory = REST | {"pitch_mean_deg": float(pitch), "roll_mean_deg": float(roll)}
        path = scenario(f"pose{number}", trajectory, WRONG_IMU)
        with simulated_rig(str(path), None, with_truth=False) as rig:
            yield measurement.listen(rig, 2.0)


def test_a_gyroscope_at_rest_tells_its_bias(scenario, output, capsys):
    still = scenario("still", REST, WRONG_IMU)
    assert calibrate("gyro", "--sim", still, output=output) == 0
    gyro = load(output).gyro
    np.testing.assert_allclose(np.degrees(gyro.bias), GYRO_DEG_S, atol=0.01)
    assert (gyro.chip, gyro.bias_per_c) == ("ICM-20948", None)
    assert gyro.temperature_c == pytest.approx(34.5, abs=0.1)
    assert "[gyro] is written" in capsys.readouterr().out


def test_a_clip_tells_the_same_and_again_when_it_was_corrected(scenario, film, output):
    still = scenario("still", REST, WRONG_IMU)
    assert calibrate("gyro", film(still, 6), output=output) == 0
    first = load(output).gyro
    np.testing.assert_allclose(np.degrees(first.bias), GYRO_DEG_S, atol=0.01)
    corrected = film(still, 6, "--calibration", output)
    with reader.open(corrected) as clip:
        assert np.degrees(np.abs(clip.gyro.data.mean(axis=0))).max() < 0.01
        assert clip.metadata["calibration"]["gyro"]["bias"] == list(first.bias)
    assert calibrate("gyro", corrected, output=output) == 0
    np.testing.assert_allclose(load(output).gyro.bias, first.bias, atol=1e-6)


@pytest.mark.proof
def test_while_the_chip_warms_up_its_bias_is_followed_and_can_be_undone(scenario, film, output):
    slope = [0.02, -0.015, 0.01]
    warming = WRONG_IMU | {"warm_up_c": 12.0, "warm_up_s": 20.0, "gyro_bias_deg_s_per_c": slope}
    path = scenario("warming", REST, warming)
    assert calibrate("gyro", "--sim", path, "--seconds", 40, output=output) == 0
    np.testing.assert_allclose(np.degrees(load(output).gyro.bias_per_c), slope, atol=0.003)
    raw, corrected = film(path, 8), film(path, 8, "--calibration", output)
    with reader.open(raw) as before, reader.open(corrected) as after:
        parts = np.array_split(np.degrees(after.gyro.data), 8)
        assert max(np.abs(part.mean(axis=0)).max() for part in parts) < 0.05
        assert np.ptp([p.mean(axis=0)[0] for p in np.array_split(before.gyro.data, 8)]) > 5e-4
        assert len(after.metadata["calibration"]["gyro_biases"]) > 5
    said, undone = measurement.of_clip(raw), measurement.of_clip(corrected)
    np.testing.assert_allclose(undone.gyro, said.gyro, atol=1e-6)
    np.testing.assert_allclose(undone.accel, said.accel, atol=1e-5)


def test_an_accelerometer_is_found_by_its_poses(scenario):
    table = calibrating.accel(list(poses_of(scenario)))
    np.testing.assert_allclose(table.bias, ACCEL, atol=0.01)
    np.testing.assert_allclose(np.array(table.matrix) @ ACCEL_MATRIX, np.eye(3), atol=0.002)
    assert (table.samples, table.residual < 0.01) == (14, True)


def test_hard_and_soft_iron_are_found_with_the_field_of_the_place(scenario, output, capsys):
    path = scenario("tumbling", TUMBLING, WRONG_IMU, WRONG_MAG)
    assert calibrate("mag", "--sim", path, "--position", "37.7694,-122.4862", output=output) == 0
    mag = load(output).mag
    np.testing.assert_allclose(mag.bias, HARD, atol=0.4)
    np.testing.assert_allclose(np.array(mag.matrix) @ SOFT, np.eye(3), atol=0.02)
    assert mag.strength_ut == pytest.approx(47.336, abs=0.01)
    assert mag.dip_deg == pytest.approx(61.03, abs=1.5)
    assert mag.chip == "AK09916"
    assert "dips by" in capsys.readouterr().out
    # On the equator the field lies level.
    before = output.read_text()
    assert calibrate("mag", "--sim", path, "--position", "0,0", output=output) == 1
    assert "at this place it should by" in capsys.readouterr().err
    assert output.read_text() == before


@pytest.mark.proof
def test_what_was_calibrated_is_gone_from_the_next_recording(scenario, film, output):
    tumbling = scenario("tumbling", TUMBLING, WRONG_IMU, WRONG_MAG)
    with simulated_rig(str(tumbling), None, with_truth=False) as rig:
        mag, _ = calibrating.mag(measurement.listen(rig, 40.0))
    accel = calibrating.accel(list(poses_of(scenario)))
    with simulated_rig(str(scenario("rest", REST, WRONG_IMU)), None, with_truth=False) as rig:
        gyro = calibrating.gyro([measurement.listen(rig, 10.0)], at_rest_all_the_time=True)
    save(output, Calibration(gyro=gyro, accel=accel, mag=mag))
    path = scenario("shaken", SHAKEN, WRONG_IMU, WRONG_MAG)
    inclination, heading = orientation_errors(film(path, 6))
    assert inclination > 1.5
    assert heading > 15
    clip = film(path, 6, "--calibration", output)
    inclination, heading = orientation_errors(clip)
    assert inclination < 0.5
    assert heading < 2
    truth = np.load(clip.with_suffix(".truth.npz"))
    with reader.open(clip) as opened:
        field = opened.magnetic_field.data
        force = opened.acceleration.data
    assert np.linalg.norm(field, axis=1) == pytest.approx(
        np.linalg.norm(truth["mag_field"][0]), rel=0.05
    )
    assert np.linalg.norm(force, axis=1).mean() == pytest.approx(
        np.linalg.norm(truth["imu_accel"], axis=1).mean(), abs=0.01
    )


@pytest.mark.proof
def test_noise_is_that_of_the_datasheet(scenario, output, capsys):
    quiet = scenario("quiet", REST, {"gyro_noise_deg_s_rthz": 0.02})
    assert calibrate("noise", "--sim", quiet, "--seconds", 65, output=output) == 0
    noise = load(output).noise
    # One-sided density, and a filter that passes less than half the rate: hence not the same.
    walk = np.degrees(noise.gyro_random_walk) * np.sqrt(2)
    np.testing.assert_allclose(walk, 0.02, rtol=0.3)
    np.testing.assert_allclose(np.array(noise.accel_random_walk) * np.sqrt(2), 0.00226, rtol=0.4)
    out = capsys.readouterr().out
    assert out.count("Allan deviation") == 2
    assert "°/s/√Hz" in out


def test_offset_and_mount_come_of_a_clip_with_a_rolling_shutter(scenario, film, output, capsys):
    clip = film(scenario("shaken", SHAKEN), 5)
    assert calibrate("sync", clip, output=output) == 0
    assert calibrate("mount", clip, "--hfov", 70, output=output) == 0
    found = load(output)
    assert abs(found.sync.offset_ms) < 1
    assert found.sync.hfov_deg == pytest.approx(70, abs=1)
    assert angle_deg(found.mount.matrix, [[1, 0, 0], [0, 0, -1], [0, 1, 0]]) < 0.5
    assert "x right (0." in capsys.readouterr().out


@pytest.mark.proof
def test_an_offset_that_was_applied_is_part_of_what_is_found(scenario, film, output, tmp_path):
    path = scenario("shaken", SHAKEN)
    plain = film(path, 5)
    assert calibrate("sync", plain, output=output) == 0
    (tmp_path / "late.toml").write_text(
        output.read_text().replace(f"offset_ms = {load(output).sync.offset_ms}", "offset_ms = 40.0")
    )
    late = film(path, 5, "--calibration", tmp_path / "late.toml")
    with reader.open(plain) as one, reader.open(late) as other:
        moved = [clip.metadata["movie"]["zero_monotonic_ns"] for clip in (one, other)]
        assert moved[1] - moved[0] == 40_000_000
        assert len(other.video.pts_ns) == len(one.video.pts_ns)
        assert other.metadata["calibration"]["sync"]["offset_ms"] == 40.0
    assert calibrate("sync", late, output=output) == 0
    assert abs(load(output).sync.offset_ms) < 1


@pytest.mark.proof
def test_a_sensor_that_sits_askew_is_found_and_then_recorded_straight(scenario, film, output):
    askew = rotation([0.06, -0.05, 0.08])
    rows = askew.tolist()
    imu, mag = {"gyro_matrix": rows, "accel_matrix": rows}, {"soft_iron": rows}
    path = scenario("askew", SHAKEN, imu, mag)
    clip = film(path, 5)
    assert sum(orientation_errors(clip)) > 5
    assert calibrate("mount", clip, output=output) == 0
    named = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert angle_deg(load(output).mount.matrix, named @ askew.T) < 0.5
    straight = film(path, 5, "--calibration", output)
    inclination, heading = orientation_errors(straight)
    assert inclination < 0.5
    assert heading < 2


class Poses(Source):
    """A motion sensor that is turned into another pose every two seconds, without errors."""

    def __init__(self, clock, directions):
        super().__init__("imu", clock)
        self._directions = directions
        self._next_ns = 0

    def open(self):
        self._begin_ns = self._next_ns = self.clock.now_ns()

    def close(self):
        pass

    def describe(self):
        return {"chip": "stand-in"}

    def read(self):
        self._next_ns += 100_000_000
        self.clock.sleep_until(self._next_ns)
        t_ns = self._next_ns - np.arange(10, 0, -1) * 10_000_000
        number = (t_ns - self._begin_ns) // 2_000_000_000
        if number[-1] >= len(self._directions):
            raise EndOfSource(0, "no more")
        rng = np.random.default_rng(self._next_ns)
        force = 9.80665 * self._directions[number] + rng.normal(0, 0.01, (10, 3))
        gyro = rng.normal(0, 1e-3, (10, 3))
        return Delivery("imu", Inertial(t_ns, gyro, force, 10_000_000), int(t_ns[-1]), t_ns[-1])


@pytest.fixture
def posed(monkeypatch):
    """Has `--sim` be a rig in these poses; gives the list in which it stands when it is made."""

    def pose(directions):
        rigs = []

        def make(*_, **__):
            clock = VirtualClock(1_000_000_000, 1_790_000_000_000_000_000)
            rigs.append(Rig(clock, imu=Poses(clock, np.array(directions, float))))
            return rigs[0]

        monkeypatch.setattr("daemon.rig.simulated_rig", make)
        return rigs

    return pose


FACES = [v for x in np.eye(3) for v in (x, -x)]
EDGES = [(a + b) / np.sqrt(2) for a in FACES for b in FACES if abs(a @ b) < 1e-9]


def test_poses_are_counted_while_the_rig_is_turned_until_they_suffice(posed, output):
    rigs = posed([*FACES, *EDGES])
    assert calibrate("accel", "--sim", "it", output=output) == 0
    table = load(output).accel
    np.testing.assert_allclose(table.matrix, np.eye(3), atol=0.003)
    np.testing.assert_allclose(table.bias, 0, atol=0.01)
    assert 12 <= table.samples < 18
    ended_s = (rigs[0].clock.now_ns() - 1_000_000_000) / 1e9
    assert ended_s < 2 * len([*FACES, *EDGES]) - 4, "no longer than was needed"


def refused(capsys, output, *words):
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    for word in words:
        assert word in told
    assert not output.exists()


def test_six_faces_are_too_few_poses(posed, output, capsys):
    posed([*FACES, *[FACES[0]] * 3])
    assert calibrate("accel", "--sim", "it", "--seconds", 20, output=output) == 1
    refused(capsys, output, "6 different poses", "in 12 or more")


@pytest.mark.parametrize(
    ("what", "trajectory", "words"),
    [
        ("gyro", SHAKEN, ["at rest for 0.0 s", "put it down"]),
        ("noise", REST, ["at rest for 6.", "expected 60"]),
        ("accel", REST, ["1 different poses", "missing with"]),
        ("mag", REST, ["0 % of all directions", "turn the rig"]),
    ],
)
def test_what_does_not_suffice_is_refused(scenario, output, capsys, what, trajectory, words):
    path = scenario("unfit", trajectory)
    options = ["--position", "37.8,-122.5"] if what == "mag" else []
    assert calibrate(what, "--sim", path, "--seconds", 6, *options, output=output) == 1
    refused(capsys, output, *words)


def test_a_rig_without_a_magnetometer_is_told_so_at_once(scenario, output, capsys):
    path = scenario("bare", TUMBLING, {"chip": "MPU-6500", "address": 0x68})
    assert calibrate("mag", "--sim", path, output=output) == 1
    told = capsys.readouterr().err
    assert told.splitlines()[-1] == ("cammcorder: there is no magnetometer: nothing to calibrate")
    assert not output.exists()


NODDING = REST | {"pitch_deg": [[15.0, 0.6, 0.0], [4.0, 1.3, 20.0]]}


@pytest.mark.parametrize(
    ("what", "trajectory", "words"),
    [
        ("mount", NODDING, ["one axis alone", "nod"]),
        ("sync", REST, ["hardly turned"]),
    ],
)
def test_a_clip_without_enough_motion_is_refused(
    scenario, film, output, capsys, what, trajectory, words
):
    clip = film(scenario("unfit", trajectory), 4)
    capsys.readouterr()
    assert calibrate(what, clip, output=output) == 1
    refused(capsys, output, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gyro"], ["say what to calibrate", "--sim"]),
        (["gyro", "--sim", "walk", "-c", "rig.toml"], ["say what to calibrate"]),
        (["gyro", "x.mp4", "--sim", "walk"], ["leave --sim out"]),
        (["gyro", "nothing.mp4"], ["nothing.mp4"]),
        (["gyro", "--sim", "walk", "--seconds", "0"], ["--seconds", "above 0"]),
        (["mag", "one.mp4", "two.mp4"], ["name the best"]),
        (["mag", "--sim", "walk", "--position", "95,8"], ["LAT,LON", "95,8"]),
        (["mount", "one.mp4", "--hfov", "180"], ["less than 180", "found 180"]),
        (["noise", "one.mp4", "two.mp4"], ["name one clip"]),
        (["mag", "--sim", "walk", "--position", "here"], ["LAT,LON", "here"]),
        (["sync", "nothing.mp4"], ["nothing.mp4"]),
        (["show", "nothing.toml"], ["no calibration nothing.toml"]),
        (["gyro", "--sim", "walk", "-o", "no/such/place.toml"], ["no/such", "make it"]),
    ],
)
def test_a_request_that_cannot_be_carried_out(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    for word in words:
        assert word in told
    assert list(tmp_path.iterdir()) == []


def test_a_clip_without_motion_is_refused(film, scenario, replay, output, capsys):
    assert calibrate("gyro", replay, output=output) == 1
    refused(capsys, output, "no angular rates")


def test_other_tables_stay_and_show_tells_all(scenario, output, capsys):
    still = scenario("still", REST)
    assert calibrate("noise", "--sim", still, "--seconds", 62, output=output) == 0
    assert calibrate("gyro", "--sim", still, output=output) == 0
    found = load(output)
    assert found.noise is not None
    assert found.gyro is not None
    capsys.readouterr()
    assert main(["calibrate", "show", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["gyro", "noise"]


def test_a_calibration_of_another_chip_is_refused(scenario, output, tmp_path, capsys):
    assert calibrate("gyro", "--sim", scenario("still", REST), output=output) == 0
    output.write_text(output.read_text().replace("ICM-20948", "MPU-9250"))
    capsys.readouterr()
    arguments = ["record", "--sim", "walk", "--speed", "max", "--duration", "1"]
    clip = tmp_path / "x.mp4"
    assert main([*arguments, "-o", str(clip), "--calibration", str(output)]) == 2
    told = capsys.readouterr().err
    assert "[gyro] is of a MPU-9250, found a ICM-20948" in told
    assert not clip.exists()


def test_what_is_replayed_takes_no_calibration(tmp_path, capsys):
    arguments = ["--replay", "x.log", "--calibration", "c.toml", "-o", str(tmp_path / "x.mp4")]
    assert main(["record", *arguments]) == 2
    assert "--calibration is for sensors" in capsys.readouterr().err
