"""Find what is wrong with a clip, by the specification and for other people's readers.

Exit code 0 where there is no error (warnings are told and do not count), 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.check import Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to check")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")


def run(options: argparse.Namespace) -> int:
    """Check the clip, and say in the exit code whether it is sound."""
    from muxer import reader
    from muxer.check import check

    with reader.open(options.clip) as clip:
        verdict = check(reader.require_motion(clip))
    sys.stdout.write(_json(verdict) if options.json else _text(verdict))
    return 0 if verdict.sound else 1


def _text(verdict: Verdict) -> str:
    lines = [verdict.headline]
    for finding in verdict.findings:
        where = "" if finding.t_s is None else f" (at {finding.t_s:.6f} s)"
        lines.append(f"{finding.severity}: {finding.message}{where} [{finding.rule}]")
    return "".join(f"{line}\n" for line in lines)


def _json(verdict: Verdict) -> str:
    import json
    from dataclasses import asdict

    facts = {
        "path": verdict.path,
        "sound": verdict.sound,
        "records": {kind.label: count for kind, count in verdict.counts.items()},
        "findings": [asdict(finding) for finding in verdict.findings],
    }
    return json.dumps(facts, indent=2) + "\n"
