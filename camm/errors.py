"""The errors that the project raises on purpose.

Every one carries a message for the person at the keyboard: what was expected, what was found, what
to do. The command line prints that message as one line and exits with `exit_code`; anything else
that reaches it is a bug.
"""


class CammError(Exception):
    """Base of every expected failure: the work was understood and could not be done."""

    exit_code = 1


class UsageError(CammError, ValueError):
    """The request itself cannot be carried out: a missing file, an unknown name, a taken output."""

    exit_code = 2
