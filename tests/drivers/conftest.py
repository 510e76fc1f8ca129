"""A clock that stands still until somebody waits."""

import pytest


class StillClock:
    def __init__(self):
        self.t_ns = 1_000_000_000_000

    def now_ns(self):
        return self.t_ns

    def sleep_until(self, t_ns):
        self.t_ns = max(self.t_ns, t_ns)


@pytest.fixture
def clock():
    return StillClock()
