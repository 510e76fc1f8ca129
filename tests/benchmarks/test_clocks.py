import numpy as np
import pytest

from benchmarks import clocks


def test_the_simulated_sensor_has_the_errors_that_are_claimed():
    periods = np.diff(clocks.sample_times(1000.0, 600))
    assert periods[0] == pytest.approx(1e6 / 1.012, rel=1e-7)
    assert periods[0] / periods[-1] - 1 == pytest.approx(300e-6, rel=1e-3)


@pytest.mark.parametrize("way", clocks.WAYS)
def test_the_goals_hold_for_a_minute_at_a_kilohertz(way):
    online, afterwards = clocks.measure(1000.0, way, 60, seed=5)
    assert (online["stamps"], afterwards["stamps"]) == ("online", "afterwards")
    assert online["dated_by"] == way
    assert 0.0005 < online["sd_ms"] < 0.035
    assert 0.002 < afterwards["sd_ms"] < 0.02
    assert online["jitter_percent"] < 1
    assert afterwards["jitter_percent"] < 1
