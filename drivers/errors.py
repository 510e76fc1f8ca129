"""What can go wrong between the host and its sensors."""

from camm.errors import CammError


class DeviceError(CammError, OSError):
    """A sensor, receiver or camera that cannot be used; the message says what to do.

    Made like any OSError, from a number and a text; prints as the text alone.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class BusError(DeviceError):
    """A transaction on the bus failed: no answer, a bus held down, no permission."""


class WrongChip(DeviceError):
    """Something answers at the address, and it is not the chip that was asked for."""


class EndOfSource(DeviceError):
    """A source that has an end (a file, a replayed log) has reached it. No failure."""
