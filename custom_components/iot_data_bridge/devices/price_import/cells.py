"""The cells of a price list: codes, prices and discounts as people and spreadsheets write them, damage refused."""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from ..json_values import to_decimal
from ..money import Currency
from ..products import PriceListError

# Excel's spelling of a text that looks like a number: ="0880".
_EXPLICIT_TEXT = re.compile(r'="((?:[^"]|"")*)"')
# What spreadsheets make of a long code: 8.80123E+12, 8801234567890.0.
_DAMAGED_CODE = re.compile(r"\d(?:[.,]\d+)?E\+\d{2,3}|\d+\.0+", re.IGNORECASE)
_SPACES = " '\u2019\u00a0\u202f"
_SIGN = "[₩원€£¥$円元]|[A-Z]{3}"
# An amount with the sign or the code of its currency before or after it.
_AMOUNT = re.compile(rf"(?P<before>{_SIGN})?\s*(?P<number>-?\d(?:[\d.,{_SPACES}]*\d)?)\s*(?P<after>{_SIGN})?", re.ASCII)
_CURRENCIES = {"₩": "KRW", "원": "KRW", "€": "EUR", "£": "GBP", "¥": "JPY CNY", "円": "JPY", "元": "CNY TWD"}
_NO_DOLLARS = "KRW EUR GBP JPY CNY"
# Twelve, or twelve thousand.
_POINT_GROUPS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+", re.ASCII)


class DecimalMark(Enum):
    """What separates the decimals of a list's numbers; the other one may separate thousands."""

    POINT = "."
    COMMA = ","

    @property
    def other(self) -> DecimalMark:
        """Return the mark of thousands."""
        return DecimalMark.COMMA if self is DecimalMark.POINT else DecimalMark.POINT


def _number_pattern(mark: DecimalMark) -> re.Pattern[str]:
    return re.compile(
        rf"(-?)(\d{{1,3}}([{mark.other.value}{_SPACES}])\d{{3}}(?:\3\d{{3}})*|\d+)(?:{re.escape(mark.value)}(\d+))?",
        re.ASCII,
    )


def _proof_pattern(mark: DecimalMark) -> re.Pattern[str]:
    decimal, thousands = re.escape(mark.value), re.escape(mark.other.value)
    return re.compile(
        rf".*\d{decimal}(?:\d{{1,2}}|\d{{4,}})|-?0{decimal}\d+"
        rf"|-?\d{{1,3}}(?:{thousands}\d{{3}}){{2,}}|.*\d{thousands}\d{{3}}{decimal}\d+",
        re.ASCII,
    )


_NUMBERS = {mark: _number_pattern(mark) for mark in DecimalMark}
_PROOFS = {mark: _proof_pattern(mark) for mark in DecimalMark}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the amounts of a list are written; `mark` is None where no number of it tells."""

    currency: Currency
    mark: DecimalMark | None = DecimalMark.POINT


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount as it was written: 10, 10 %, or 0.1, which may mean either."""

    value: Decimal
    has_percent_sign: bool

    @property
    def may_be_fraction(self) -> bool:
        """Tell whether it may be a fraction of one, as which spreadsheets store percentages."""
        return not self.has_percent_sign and 0 < self.value < 1


def plain_text(cell: str) -> str:
    """Return the text of a cell."""
    text = cell.strip()
    explicit = _EXPLICIT_TEXT.fullmatch(text)
    return text if explicit is None else explicit[1].replace('""', '"').strip()


def read_code(cell: str) -> str:
    """Return a product's code.

    Raises:
        PriceListError: `code_damaged`.
    """
    # A cell that says that it is text, ="12.0", was not damaged.
    if _DAMAGED_CODE.fullmatch(cell.strip()):
        raise PriceListError("code_damaged", text=cell.strip())
    # An apostrophe is how spreadsheets and shop systems mark a text: '0880.
    return plain_text(cell).removeprefix("'")


def proved_mark(cell: str) -> DecimalMark | None:
    """Return the decimal mark that a number proves: 12,50 or 1.234.567 a comma, 12.50 or 1,234,567 a point."""
    amount = _AMOUNT.fullmatch(plain_text(cell).removesuffix("%").rstrip())
    if amount is None:
        return None
    proved = [mark for mark, proof in _PROOFS.items() if proof.fullmatch(amount["number"])]
    return proved[0] if len(proved) == 1 else None


def read_price(cell: str, numbers: NumberFormat) -> Decimal | None:
    """Return a price; None for an empty cell.

    Raises:
        PriceListError: `price_invalid`; `price_ambiguous`, 12.000 is twelve or twelve thousand; `price_not_whole`,
            decimals in a currency without; `price_other_currency`.
    """
    text = plain_text(cell)
    if not text:
        return None
    amount = _AMOUNT.fullmatch(text)
    if amount is None:
        price = to_decimal(text)
    else:
        if any(_is_other_currency(amount[side], numbers.currency) for side in ("before", "after")):
            raise PriceListError("price_other_currency", text=text)
        price = _read_amount(amount["number"], text, numbers)
    if price is None:
        raise PriceListError("price_invalid", text=text)
    if numbers.currency.digits == 0 and price != int(price):
        raise PriceListError("price_not_whole", text=text)
    return price


def read_discount(cell: str, mark: DecimalMark | None) -> Discount | None:
    """Return a discount; None for an empty cell.

    Raises:
        PriceListError: `discount_invalid`.
    """
    text = plain_text(cell)
    if not text:
        return None
    digits = text.removesuffix("%").rstrip()
    value = to_decimal(digits) if mark is None else _read_number(digits, mark)
    if value is None:
        raise PriceListError("discount_invalid", text=text)
    return Discount(value, digits != text)


def _read_amount(number: str, text: str, numbers: NumberFormat) -> Decimal | None:
    whole = numbers.currency.digits == 0
    if whole and numbers.mark is not DecimalMark.COMMA and _POINT_GROUPS.fullmatch(number):
        raise PriceListError("price_ambiguous", text=text)
    if numbers.mark is not None:
        return _read_number(number, numbers.mark)
    with_point, with_comma = (_read_number(number, mark) for mark in DecimalMark)
    if with_point is None or with_comma is None or with_point == with_comma:
        return with_comma if with_point is None else with_point
    # 12,000 is no amount with decimals in a currency that has none.
    if not whole:
        raise PriceListError("price_ambiguous", text=text)
    return with_point


def _read_number(number: str, mark: DecimalMark) -> Decimal | None:
    written = _NUMBERS[mark].fullmatch(number)
    if written is None:
        return None
    sign, digits, group, decimals = written.groups()
    if group:
        digits = digits.replace(group, "")
    return to_decimal(f"{sign}{digits}.{decimals}" if decimals else f"{sign}{digits}")


def _is_other_currency(sign: str | None, currency: Currency) -> bool:
    if sign is None:
        return False
    if sign == "$":
        return currency.code in _NO_DOLLARS
    return currency.code not in _CURRENCIES.get(sign, sign)
