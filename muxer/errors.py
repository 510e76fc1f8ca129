"""What can be wrong with a file."""

from camm.errors import CammError


class Mp4Error(CammError, ValueError):
    """A file that is no MP4, or one whose boxes contradict themselves."""


class NoCammError(Mp4Error):
    """A sound MP4 that carries no camera motion metadata."""


class RemoteError(CammError, OSError):
    """A file behind a URL that cannot be read."""
