"""Figures are those of the process that was measured, and of the median run."""

import json
import sys

import pytest

from benchmarks import process, table

PRINT = "import json; print(json.dumps({found}))"


def python(code):
    return [sys.executable, "-c", code]


def test_memory_is_the_peak_of_the_process():
    cost = process.run(python("b'x' * 500_000_000"), answers=False)
    assert 500 < cost.rss_mb < 1000


def test_processor_time_is_that_of_the_process():
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    cost = process.run(python(busy), answers=False)
    assert cost.cpu_s >= 0.3
    assert cost.wall_s >= 0.3


def test_a_process_answers_in_json():
    answer = process.run(python(PRINT.format(found={"records": 7})), answers=True)
    assert answer.found == {"records": 7}


def test_a_failure_says_what_the_process_said_last():
    with pytest.raises(process.MeasurementError, match="no such track"):
        process.run(python("import sys; print('hm'); sys.exit('no such track')"), answers=True)


def test_the_first_run_warms_up_and_the_median_counts(tmp_path):
    log = tmp_path / "log"
    code = (
        "import json, pathlib\n"
        f"log = pathlib.Path({str(log)!r})\n"
        "runs = log.read_text() + '.' if log.exists() else '.'\n"
        "log.write_text(runs)\n"
        "print(json.dumps({'run': [90, 1, 5, 2][len(runs) - 1], 'name': 'x'}))"
    )
    cost = process.measure(python(code), 3, answers=True)
    assert cost.found == {"run": 2, "name": "x"}
    assert log.read_text() == "...."


ROWS = [
    {"reader": "one", "wall_s": 1.23456, "records": 246_000},
    {"reader": "two", "error": "absent"},
]


def test_json_lines_have_every_row_and_the_load(capsys):
    table.present("title", ROWS, {"reader": "reader"}, json_lines=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["reader"] for line in lines] == ["one", "two"]
    assert lines[0]["wall_s"] == 1.23456
    assert all(line["processors"] >= 1 and line["load"] >= 0 for line in lines)


def test_a_table_shows_figures_and_errors(capsys):
    columns = {"reader": "reader", "wall_s": "s", "records": "records", "more": "more"}
    table.present("title", ROWS, columns, json_lines=False)
    shown = capsys.readouterr().out
    assert "title" in shown
    one, two = (line for line in shown.splitlines() if "one" in line or "two" in line)
    assert "1.23" in one
    assert "246,000" in one
    assert "absent" in two
