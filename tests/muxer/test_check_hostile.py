"""Records with any bytes and any times: the rules have something to say, and never fall over."""

import json
from dataclasses import asdict
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from muxer import reader
from muxer.check import PROFILES, check

SIZES = {0: 12, 1: 8, 2: 12, 3: 12, 4: 12, 5: 24, 6: 56, 7: 12}


def packets(kind):
    content = st.binary(min_size=SIZES[kind], max_size=SIZES[kind])
    return content.map(lambda body: bytes([0, 0, kind, 0]) + body)


RECORDS = st.lists(st.sampled_from(list(SIZES)).flatmap(packets), min_size=1, max_size=40)
STEPS = st.integers(0, (1 << 32) - 1)


@settings(max_examples=40)
@given(records=RECORDS, data=st.data())
def test_any_records_at_any_times_come_to_a_verdict(mp4, tmp_path, records, data):
    steps = data.draw(st.lists(STEPS, min_size=len(records), max_size=len(records)))
    timescale = data.draw(st.sampled_from([1, 1000, 90_000, 1_000_000, 1_000_000_000]))
    path = tmp_path / "any.mp4"
    path.write_bytes(mp4.write(records, steps, timescale=timescale))
    with reader.open(path) as clip:
        for profile in PROFILES:
            verdict = check(clip, profile, now=datetime(2026, 6, 2, tzinfo=UTC))
            for finding in verdict.findings:
                json.dumps(asdict(finding), allow_nan=False)
