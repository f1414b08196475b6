"""Price displays: the 16x2 LCD of a basket and its stand-in in a terminal, behind one interface."""

from typing import Protocol

COLUMNS = 16
ROWS = 2

type Lines = tuple[str, str]


class DisplayError(Exception):
    """A display that cannot be used: not connected, or its libraries are missing."""


class Display(Protocol):
    """A display of two lines."""

    def show(self, lines: Lines) -> None:
        """Light up and show both lines.

        Raises:
            DisplayError: the display did not take it.
        """
        ...

    def off(self) -> None:
        """Go blank and dark.

        Raises:
            DisplayError: the display did not take it.
        """
        ...

    def close(self) -> None:
        """Release the device."""
        ...


def total_lines(total_price: int) -> Lines:
    """Return what a basket shows for a total in won."""
    return "Total Price:", f"{total_price:,} 원"
