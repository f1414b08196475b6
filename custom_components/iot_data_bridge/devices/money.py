"""Exact money: decimal amounts in a currency that knows how many digits its smallest coin has."""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

DEFAULT_DIGITS = 2
# Signs that a reader takes for this currency; all other currencies are written as their code.
_SIGNS = {"EUR": "€", "GBP": "£", "JPY": "¥", "KRW": "₩", "USD": "$"}
# ISO 4217, the currencies whose minor unit is not a hundredth.
_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency by its ISO 4217 code.

    Attributes:
        digits: digits after the point of the smallest amount.
        smallest: the smallest amount, for example 1 for KRW and 0.01 for EUR.
    """

    code: str

    digits: int = field(init=False)
    smallest: Decimal = field(init=False)

    def __post_init__(self) -> None:
        """Know the digits, which every amount needs."""
        digits = _DIGITS.get(self.code, DEFAULT_DIGITS)
        object.__setattr__(self, "digits", digits)
        object.__setattr__(self, "smallest", Decimal(1).scaleb(-digits))

    def round(self, amount: Decimal) -> Decimal:
        """Return the nearest amount that can be paid; a half goes up, as at a till."""
        return amount.quantize(self.smallest, rounding=ROUND_HALF_UP)

    def plain(self, amount: Decimal) -> int | float:
        """Return the amount as the number of an answer: an integer where the currency has no coins.

        A float's shortest text has every digit of the amount.
        """
        rounded = self.round(amount)
        return int(rounded) if self.digits == 0 else float(rounded)

    def written(self, amount: Decimal) -> str:
        """Return the amount in the one notation of all texts: `12,345 ₩`, `1,234.50 €`, `1.500 KWD`."""
        return f"{self.round(amount):,} {_SIGNS.get(self.code, self.code)}"
