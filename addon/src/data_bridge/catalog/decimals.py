"""Decimal numbers with all their digits; a float keeps about 16."""

import re
from decimal import Decimal

# Texts and exponents beyond these are no measured values; the largest float has an exponent of 308.
LONGEST_NUMBER = 400
LARGEST_EXPONENT = 400
# Larger or smaller than every number whose mantissa and exponent are within the bounds above.
_BEYOND = 3 * LONGEST_NUMBER
# JSON writes a float with at most 17 digits, and an exponent for very small numbers.
_POWERS_OF_TEN = tuple(10**exponent for exponent in range(25))

_NUMBER = re.compile(r"\s*(?P<mantissa>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE](?P<exponent>[+-]?\d+))?\s*")


def parse_decimal(text: str) -> Decimal | None:
    """Return the number that a text spells in decimal digits, None where it spells none.

    The exponent of the result is bounded: 1e999999999 becomes a number beyond every float and every integer, and
    1e-999999999 one that is nearer to 0 than every float.
    """
    found = _NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if found is None:
        return None
    mantissa = Decimal(found["mantissa"])
    exponent = int(found["exponent"] or 0)
    if abs(exponent) > LARGEST_EXPONENT:
        if not mantissa:
            return mantissa
        return Decimal(1).copy_sign(mantissa).scaleb(_BEYOND if exponent > 0 else -_BEYOND)
    sign, digits, shift = mantissa.as_tuple()
    return Decimal((sign, digits, int(shift) + exponent))


def ratio_of(number: float) -> tuple[int, int]:
    """Return numerator and denominator of the decimal number that JSON writes for a float: 0.1 is 1 and 10."""
    text = repr(number)
    whole, _, fraction = text.partition(".")
    if "e" in text or not fraction:  # with an exponent, or no finite number, for which Decimal raises
        return Decimal(text).as_integer_ratio()
    return int(whole + fraction), _POWERS_OF_TEN[len(fraction)]
