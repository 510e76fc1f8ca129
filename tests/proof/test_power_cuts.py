"""A power cut at any moment costs nothing that was on the disk."""

import pytest
from takes import KINDS, shoot, survive

STATES = 1000


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_power_cut_costs_nothing_that_was_synced(tmp_path, kind, seed):
    tried = survive(shoot(tmp_path, kind), tmp_path / "state.mp4", STATES, seed)
    told = ", ".join(f"{n} {what}" for what, n in sorted(tried.items()))
    print(f"{kind}, seed {seed}: {told}")  # noqa: T201 - the measured numbers, for docs/REPAIR.md
    assert tried["cut again during the repair"] > STATES // 10
