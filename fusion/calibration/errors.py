"""What a calibration refuses to answer from."""

from __future__ import annotations

from camm.errors import CammError


class CalibrationError(CammError):
    """The measurement does not tell what was asked; says what was missing and what to do."""
