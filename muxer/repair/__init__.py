"""Repairing recordings: find what a crash, a power cut or a bad disk has left, and finish it.

    from muxer import repair
    examination = repair.examine("walk.unfinished.mp4")   # reads only
    repair.finish(examination, Path("walk.mp4"))

docs/REPAIR.md says what is kept, and how that was proven.
"""

from muxer.repair.examination import Examination, NotOurRecordingError, Remedy, bears_marks, examine
from muxer.repair.findings import Stretch, TrackFindings
from muxer.repair.finish import (
    NothingRecoveredError,
    finish,
    finish_in_place,
    require_recovered,
)

__all__ = [
    "Examination",
    "NotOurRecordingError",
    "NothingRecoveredError",
    "Remedy",
    "Stretch",
    "TrackFindings",
    "bears_marks",
    "examine",
    "finish",
    "finish_in_place",
    "require_recovered",
]
