"""A recording that is killed keeps every fragment it has written."""

import pytest
from kills import kill_many

FRAGMENT_S, PATIENCE_S, DELIVERY_S = 1.0, 2.0, 0.2
"""The longest fragment, how long one waits for a source that is behind, and two deliveries."""


@pytest.mark.proof
@pytest.mark.parametrize(
    ("seed", "kills", "speed", "longest_s"),
    [(1, 20, "10", 3.0), (2, 20, "10", 3.0), (3, 10, "1", 6.0)],
)
def test_a_kill_costs_no_fragment_that_was_written(run, tmp_path, seed, kills, speed, longest_s):
    reference = tmp_path / "reference.mp4"
    take = ["--sim", "walk", "--speed", "max", "--duration", "45"]
    assert run("record", *take, "-o", reference).returncode == 0
    toll = kill_many(tmp_path, reference, kills, seed, speed, longest_s)
    print(  # noqa: T201 - the measured numbers, for docs/REPAIR.md
        f"speed {speed}: {toll.kills} kills, worst loss {toll.worst_loss_s:.2f} s of clip "
        f"(mean {toll.mean_loss_s:.2f} s; {toll.worst_held_s:.2f} s of what the writer had taken), "
        f"{toll.fragments_lost} of {toll.fragments} fragments"
    )
    assert toll.kills > kills * 0.8
    # What was in the queue depends on the disk and its load; what was out of it must not.
    assert toll.worst_held_s < FRAGMENT_S + PATIENCE_S + DELIVERY_S
