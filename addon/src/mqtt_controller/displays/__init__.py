"""Price displays: the 16x2 LCD of a basket and its stand-in in a terminal, behind one interface."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

COLUMNS = 16
ROWS = 2
WON = "원"
# Of every currency, and of the totals that are understood.
MOST_DECIMALS = 4

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


@dataclass(frozen=True, slots=True)
class PriceFormat:
    """How amounts are written: what follows them, and how many digits come after the point at least."""

    currency: str = WON
    decimals: int = 0

    def amount(self, price: Decimal) -> str:
        """Return an amount in full, and its currency where that fits.

        An amount is never rounded or cut: a price in another currency than the display's stays the price.
        """
        exponent = price.normalize().as_tuple().exponent
        digits = max(self.decimals, -exponent if isinstance(exponent, int) else 0)
        long, short = f"{price:,.{digits}f}", f"{price:.{digits}f}"
        spellings = (f"{long} {self.currency}", f"{short} {self.currency}", long)
        return next((spelling for spelling in spellings if len(spelling) <= COLUMNS), short)


def total_lines(total_price: Decimal | int, price_format: PriceFormat | None = None) -> Lines:
    """Return what a basket shows for a total; in whole won unless a format is given."""
    return "Total Price:", (price_format or PriceFormat()).amount(Decimal(total_price))
