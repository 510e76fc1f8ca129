"""The status as Prometheus reads it."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families


def metrics(client):
    """{name or (name, source): value}, as Prometheus' own parser reads them."""
    read = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            source = sample.labels.get("source")
            read[(sample.name, source) if source else sample.name] = sample.value
    return read


def test_what_the_status_says_can_be_measured(client, camcorder):
    camcorder.start()
    assert metrics(client) == {
        "cammcorder_info": 1,
        "cammcorder_recording": 1,
        "cammcorder_flowing": 1,
        "cammcorder_growing": 1,
        "cammcorder_warnings": 1,
        "cammcorder_free_bytes": 12_345_678,
        "cammcorder_left_seconds": 60,
        "cammcorder_missed_pictures_total": 2,
        "cammcorder_slowest_write_seconds": 0.25,
        "cammcorder_queued_deliveries": 1,
        "cammcorder_clip_seconds": 12.5,
        "cammcorder_clip_bytes": 5_000_000,
        "cammcorder_clip_records": 9000,
        "cammcorder_clip_late_records": 4,
        ("cammcorder_source_delivering", "imu"): 1,
        ("cammcorder_source_rate_hertz", "imu"): 225.1,
        ("cammcorder_source_delivered_total", "imu"): 4711,
        ("cammcorder_source_lost_total", "imu"): 3,
        ("cammcorder_source_failures_total", "imu"): 1,
    }


def test_what_is_not_known_is_left_out(client):
    read = metrics(client)
    assert read["cammcorder_recording"] == 0
    assert not [name for name in read if "clip" in name or "left" in name]


def test_a_camcorder_without_sources_yet_is_measured_all_the_same(client, camcorder):
    camcorder.status = replace(camcorder.status, sources=())
    assert not [name for name in metrics(client) if isinstance(name, tuple)]


def test_nothing_but_the_camcorders_own_is_told(client):
    for line in client.get("/metrics").text.splitlines():
        assert line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith("cammcorder_")
