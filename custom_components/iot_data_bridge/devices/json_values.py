"""JSON as the field writes it: parsed once, judged value by value."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from math import isfinite

import orjson

from .errors import MalformedMessageError

type JsonValue = str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None
type JsonObject = dict[str, JsonValue]

# Far above a shop's amounts and a sensor's values, and far below the size that makes exact arithmetic slow.
LARGEST_NUMBER = Decimal(10) ** 15
LONGEST_NUMBER = 40
# The integers that JSON is written with.
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
# Above it, neighbouring integers are one float.
LARGEST_EXACT_FLOAT = 2**53
# A text of eleven characters can name a number of a billion digits, on which arithmetic raises and a text of it takes a
# gigabyte: exponents are compared first.
_LARGEST_EXPONENT = LARGEST_NUMBER.adjusted()
_SMALLEST_EXPONENT = -40
_DIGITS = re.compile(rf"[+-]?[0-9]{{1,{LONGEST_NUMBER}}}")


def parse_object(payload: bytes | str) -> JsonObject:
    """Return the JSON object of a message.

    Raises:
        MalformedMessageError: `not_json`, or `not_an_object`.
    """
    try:
        parsed: JsonValue = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise MalformedMessageError("not_json") from error
    if not isinstance(parsed, dict):
        raise MalformedMessageError("not_an_object")
    return parsed


def to_decimal(value: JsonValue) -> Decimal | None:
    """Return a JSON number, or text that holds one, as the decimal its writer wrote; None when it is no sane number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        # Python makes no text of an integer of more than 4,300 digits.
        return None
    # The shortest text of a float is its spelling in the message.
    text = value.strip() if isinstance(value, str) else repr(value)
    if not text or len(text) > LONGEST_NUMBER:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _SMALLEST_EXPONENT or number.adjusted() > _LARGEST_EXPONENT:
        return None
    return None if abs(number) > LARGEST_NUMBER else number


def to_float(value: JsonValue) -> float | None:
    """Return a JSON number, or text that holds one, as a float; None when it is not a finite one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return None
    try:
        number = float(value)
    except ValueError, OverflowError:
        return None
    return number if isfinite(number) else None


def to_integer(value: JsonValue) -> int | None:
    """Return a JSON number, or text that holds one, as an integer with all of its digits, the fraction cut off.

    None for a number of more than 64 bits, and for a float that has lost the last digits.
    """
    if isinstance(value, str) and _DIGITS.fullmatch(text := value.strip()):
        value = int(text)
    if type(value) is int:
        return value if SMALLEST_INTEGER <= value <= LARGEST_INTEGER else None
    number = to_float(value)
    return None if number is None or abs(number) > LARGEST_EXACT_FLOAT else int(number)


def to_count(value: JsonValue) -> int | None:
    """Return a whole number that is not negative; None for anything else."""
    if type(value) is int:
        return value if 0 <= value <= LARGEST_NUMBER else None
    number = to_decimal(value)
    if number is None or number < 0 or number != int(number):
        return None
    return int(number)


def to_json_text(value: JsonValue) -> str | None:
    """Return a value as JSON, None when it is nested too deeply to be written."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return None


def to_text(value: JsonValue, longest: int = 255) -> str | None:
    """Return a text, or a number as its text, cut to the longest state; None for an empty text, null or a container."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return text[:longest] or None


def to_moment(value: JsonValue) -> datetime | None:
    """Return a moment that was written in ISO 8601 with its offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
