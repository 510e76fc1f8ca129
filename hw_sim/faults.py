"""What breaks when: a scenario's faults, as the parts of the rig ask for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hw_sim.scenario import Fault

_FOREVER_NS = 1 << 62


@dataclass(frozen=True, slots=True)
class Span:
    """When something is broken: from a moment of CLOCK_MONOTONIC until before another."""

    start_ns: int
    end_ns: int
    chance: float

    def __contains__(self, t_ns: int) -> bool:
        return self.start_ns <= t_ns < self.end_ns


class Faults:
    """The faults of a scenario, for a rig that was made at `start_ns`."""

    def __init__(self, faults: Iterable[Fault] = (), start_ns: int = 0) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        for fault in sorted(faults, key=lambda fault: fault.at_s):
            begin_ns = start_ns + round(fault.at_s * 1e9)
            lasts_ns = _FOREVER_NS if fault.for_s is None else round(fault.for_s * 1e9)
            span = Span(begin_ns, begin_ns + lasts_ns, fault.chance)
            self._spans.setdefault((fault.kind, fault.part), []).append(span)

    def of(self, kind: str, part: str) -> list[Span]:
        """All times at which a part has a fault, by their beginnings."""
        return self._spans.get((kind, part), [])

    def at(self, kind: str, part: str, t_ns: int) -> Span | None:
        """The fault that a part has at a moment."""
        return next((span for span in self.of(kind, part) if t_ns in span), None)
