"""The status as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from daemon.control import Control

_Family: TypeAlias = type[GaugeMetricFamily] | type[CounterMetricFamily]
_Metrics: TypeAlias = tuple[tuple[_Family, str, str, str], ...]

_GAUGE, _COUNTER = GaugeMetricFamily, CounterMetricFamily
_OF_THE_WHOLE: _Metrics = (
    (_GAUGE, "recording", "recording", "Whether a clip is in the making."),
    (_GAUGE, "flowing", "flowing", "Whether all sources that are required deliver."),
    (_GAUGE, "growing", "growing", "Whether the clip grows."),
    (_GAUGE, "warnings", "warnings", "How many things are wrong."),
    (_GAUGE, "free_bytes", "free_bytes", "Bytes for clips."),
    (_GAUGE, "left_seconds", "seconds_left", "How long they last at the rate of this clip."),
    (_COUNTER, "missed_pictures", "missed", "Pictures that no clip could take, since the start."),
    (_GAUGE, "slowest_write_seconds", "slowest_write_s", "The longest that a fragment has taken."),
    (_GAUGE, "queued_deliveries", "queued", "Deliveries that wait for the writer."),
    (_GAUGE, "clip_seconds", "clip_seconds", "Length of the clip in the making."),
    (_GAUGE, "clip_bytes", "clip_bytes", "Size of the clip in the making."),
    (_GAUGE, "clip_records", "clip_records", "Samples in the clip in the making."),
    (_GAUGE, "clip_late_records", "clip_late", "Samples that came too late for it."),
)
_OF_SOURCES: _Metrics = (
    (_GAUGE, "delivering", "delivering", "Whether it delivers."),
    (_GAUGE, "rate_hertz", "rate_hz", "Samples a second over the last two seconds."),
    (_COUNTER, "delivered", "delivered", "Samples delivered since the start."),
    (_COUNTER, "lost", "lost", "Samples lost since the start."),
    (_COUNTER, "failures", "failures", "How often it has failed since the start."),
)
"""What it is counted as, its name, the key in the status, its meaning."""


class StatusCollector(Collector):
    """Makes metrics of the status as it is when they are asked for; what is not known is absent."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def collect(self) -> Iterator[Metric]:
        """Of the whole, then by source."""
        status = self._control.status()
        clip = status["clip"] or {}
        values = {
            **status,
            **{f"clip_{key}": value for key, value in clip.items()},
            "recording": bool(clip),
            "warnings": len(status["warnings"]),
        }
        yield InfoMetricFamily("cammcorder", "The program.", value={"version": status["version"]})
        for family, name, key, words in _OF_THE_WHOLE:
            if (value := values.get(key)) is not None:
                yield family(f"cammcorder_{name}", words, value=value)
        for family, name, key, words in _OF_SOURCES:
            metric = family(f"cammcorder_source_{name}", words, labels=["source"])
            for source in status["sources"]:
                metric.add_metric([source["name"]], source[key])
            yield metric


def registry(control: Control) -> CollectorRegistry:
    """Holds the camcorder's metrics and nothing else."""
    own = CollectorRegistry()
    own.register(StatusCollector(control))
    return own
