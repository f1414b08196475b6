"""RFID readers: the module on a serial port and its stand-ins, behind one interface."""

from collections.abc import Collection
from typing import Protocol

from mqtt_controller.presence import Sighting


class ReaderError(Exception):
    """A reader that cannot be used now: unplugged, silent, or refusing its settings."""


class Reader(Protocol):
    """One RFID reader. All methods but `close` are called by one thread, the poller's; `close` after it ended."""

    @property
    def name(self) -> str:
        """Return a name that is unique among the readers of one basket."""
        ...

    def start(self) -> None:
        """Make the reader ready to poll; called at each session's start and again after an error.

        Raises:
            ReaderError: it is not there or does not do what it is told.
        """
        ...

    def cycle(self) -> Collection[Sighting]:
        """Poll for one cycle, which takes its time, and return what was seen.

        Raises:
            ReaderError: the reader did not answer; nothing is known of the tags.
        """
        ...

    def stop(self) -> None:
        """End polling: the transmitter goes off."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...
