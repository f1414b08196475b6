"""Casts from raw values to the value types of a catalog: one prepared function for each rule."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import TypeGuard

import orjson

from data_bridge.catalog.decimals import LARGEST_EXPONENT, LONGEST_NUMBER, parse_decimal, ratio_of

type Raw = bool | int | float | str | list[Raw] | dict[str, Raw] | None
type Value = bool | int | float | str
type Cast = Callable[[Raw], Value]

# The range that other JSON readers keep without loss, and the encoder writes.
MINIMUM_INTEGER = -(2**63)
MAXIMUM_INTEGER = 2**63 - 1
# A float represents every whole number below this exactly, but not every one above.
_LEAST_ROUNDED = 2.0**53

_NO_FINITE_NUMBERS = frozenset({"nan", "inf", "infinity"})
_TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
_FALSE_WORDS = frozenset({"false", "0", "no", "off"})


class ValueType(StrEnum):
    """The four types of a value; older catalogs call them int, float, str and bool."""

    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    BOOLEAN = "boolean"


SPELLINGS: Mapping[str, ValueType] = {
    "integer": ValueType.INTEGER,
    "int": ValueType.INTEGER,
    "float": ValueType.FLOAT,
    "text": ValueType.TEXT,
    "str": ValueType.TEXT,
    "string": ValueType.TEXT,
    "boolean": ValueType.BOOLEAN,
    "bool": ValueType.BOOLEAN,
}


class CastError(ValueError):
    """A value that cannot be cast to the rule's type; `reason` is a value of reasons.Reason."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class DigitsLostError(CastError):
    """A number whose digits were lost in a float; the cast needs its text in the message instead."""

    def __init__(self, raw: float) -> None:
        super().__init__("cast_failed", f"the digits of {raw!r} are not known")


def _shown(raw: Raw) -> str:
    try:
        text = repr(raw)
    except (ValueError, RecursionError):  # more digits than Python writes, or nested too deep
        return "something too large to be shown"
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 -- the length for a log line


def _refuse(raw: Raw, wanted: ValueType) -> CastError:
    if raw is None:
        return CastError("null_value", "the value is null")
    return CastError("cast_failed", f"{_shown(raw)} is no {wanted}")


def to_float(raw: Raw) -> float:
    """Return a finite number from a number or a text like "37.5"; JSON has no NaN and no infinity."""
    if type(raw) is float:  # a third of isinstance's cost, and no bool passes for a number
        return raw
    if type(raw) is int:
        try:
            return float(raw)
        except OverflowError:
            raise _too_large(raw) from None
    if not isinstance(raw, str) or len(raw) > LONGEST_NUMBER or "_" in raw:
        raise _refuse(raw, ValueType.FLOAT)
    try:
        value = float(raw)
    except ValueError:
        raise _refuse(raw, ValueType.FLOAT) from None
    if not isfinite(value):
        raise CastError("not_finite", f"{_shown(raw)} is not a finite number")
    return value


def to_integer(raw: Raw) -> int:
    """Return a whole number of 64 bits from a number or a text; 12.0 is 12, and 12.5 is refused, not cut."""
    value: int
    if type(raw) is int:
        value = raw
    elif isinstance(raw, float):
        if abs(raw) >= _LEAST_ROUNDED:
            raise DigitsLostError(raw) if abs(raw) <= -MINIMUM_INTEGER else _too_large(raw)
        value = _whole(raw, raw)
    elif isinstance(raw, str):
        value = _whole_of(raw)
    else:
        raise _refuse(raw, ValueType.INTEGER)
    return _limited(value)


def _whole_of(text: str) -> int:
    if len(text) <= LONGEST_NUMBER and "_" not in text:
        try:
            return int(text)
        except ValueError:
            pass
    number = parse_decimal(text)
    if number is None:
        raise _no_number(text, ValueType.INTEGER)
    return _whole(number, text)


def _whole(number: float | Decimal, raw: Raw) -> int:
    whole = int(number)
    if whole != number:
        raise CastError("cast_failed", f"{_shown(raw)} is no whole number")
    return whole


def _no_number(text: str, wanted: ValueType) -> CastError:
    if text.strip().lstrip("+-").lower() in _NO_FINITE_NUMBERS:
        return CastError("not_finite", f"{_shown(text)} is not a finite number")
    return _refuse(text, wanted)


def _limited(value: int) -> int:
    if MINIMUM_INTEGER <= value <= MAXIMUM_INTEGER:
        return value
    raise _too_large(value)


def _too_large(raw: Raw) -> CastError:
    return CastError("out_of_range", f"{_shown(raw)} needs more than 64 bits")


def to_text(raw: Raw) -> str:
    """Return a text: strings as they are, booleans as JSON writes them.

    Raises:
        CastError: it is a structure or null.
        DigitsLostError: it is a number that may have been written otherwise, such as 1.10 or -0.
    """
    if isinstance(raw, str):
        return raw
    if type(raw) is int and raw:
        return _digits(raw)
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        raise DigitsLostError(raw)
    raise _refuse(raw, ValueType.TEXT)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:
        raise CastError("out_of_range", "a number of more digits than Python writes") from None


def as_written(raw: Raw) -> Raw:
    """Return a number that no message holds any more as the text that JSON writes for it, and all else as it is."""
    return _digits(raw) if type(raw) is int else orjson.dumps(raw).decode() if isinstance(raw, float) else raw


def to_boolean(raw: Raw) -> bool:
    """Return a boolean; the only accepted words are true/1/yes/on and false/0/no/off, in any case."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        if raw in (0, 1):
            return bool(raw)
    elif isinstance(raw, str):
        word = raw.strip().lower()
        if word in _TRUE_WORDS:
            return True
        if word in _FALSE_WORDS:
            return False
    raise _refuse(raw, ValueType.BOOLEAN)


_PLAIN: Mapping[ValueType, Cast] = {
    ValueType.INTEGER: to_integer,
    ValueType.FLOAT: to_float,
    ValueType.TEXT: to_text,
    ValueType.BOOLEAN: to_boolean,
}


_TYPES: Mapping[ValueType, tuple[type[Value], ...]] = {
    ValueType.INTEGER: (int,),
    ValueType.FLOAT: (float, int),  # JSON writers elsewhere leave out the fraction of a whole number
    ValueType.TEXT: (str,),
    ValueType.BOOLEAN: (bool,),
}


def is_of(value: Raw, value_type: ValueType) -> TypeGuard[Value]:
    """Return whether a value has this type without a cast."""
    return type(value) in _TYPES[value_type]


def _scaled(value_type: ValueType, scale: Decimal, offset: Decimal) -> Cast:
    # raw * scale + offset as one fraction of whole numbers, so that the result is rounded once: 17 * 0.1 is 1.7.
    scale_above, scale_below = scale.as_integer_ratio()
    offset_above, offset_below = offset.as_integer_ratio()
    factor, addend, divisor = scale_above * offset_below, offset_above * scale_below, scale_below * offset_below

    def cast_scaled(raw: Raw) -> float:
        above, below = (raw, 1) if type(raw) is int else _ratio(raw, value_type)
        try:
            return (above * factor + addend * below) / (below * divisor)
        except OverflowError:
            raise CastError("not_finite", f"{_shown(raw)} scaled is not a finite number") from None

    def cast_scaled_integer(raw: Raw) -> int:
        if isinstance(raw, float) and abs(raw) >= _LEAST_ROUNDED:
            raise DigitsLostError(raw)
        above, below = (raw, 1) if type(raw) is int else _ratio(raw, value_type)
        above, below = above * factor + addend * below, below * divisor
        return _limited((2 * above + below) // (2 * below))

    return cast_scaled_integer if value_type is ValueType.INTEGER else cast_scaled


def _ratio(raw: Raw, wanted: ValueType) -> tuple[int, int]:
    """Return numerator and denominator of a number or its spelling."""
    if type(raw) is float:
        return ratio_of(raw)
    if not isinstance(raw, str):
        raise _refuse(raw, wanted)
    number = parse_decimal(raw)
    if number is None:
        raise _no_number(raw, wanted)
    return number.as_integer_ratio()


type _EnumKey = str | int | Decimal


def enum_key(raw: Raw) -> _EnumKey:
    """Return the key of a raw value in an enum map: 1, 1.0, "1" and "01" are equal, and so are true and "True".

    Raises:
        CastError: no map holds it.
        DigitsLostError: it is a number that a float only approximates.
    """
    if isinstance(raw, str):
        number = parse_decimal(raw)
        if number is not None:
            return number
        word = raw.lower()
        return word if word in ("true", "false") else raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, float):
        if abs(raw) >= _LEAST_ROUNDED:
            raise DigitsLostError(raw)
        return Decimal(repr(raw))
    if isinstance(raw, int):
        return raw
    raise _not_in_map(raw)


def _not_in_map(raw: Raw) -> CastError:
    return CastError("unknown_option", f"{_shown(raw)} is not in the enum map")


def _enumerated(value_type: ValueType, words: Mapping[str, str]) -> Cast:
    plain = _PLAIN[value_type]
    written: dict[_EnumKey, str] = {}
    values: dict[_EnumKey, Value] = {}
    for word, meaning in words.items():
        key = enum_key(word)
        if key in written:
            raise ValueError(f"the enum keys {written[key]!r} and {word!r} are the same value")
        written[key] = word
        # A text that is spelled as in the file is found without being parsed.
        values[key] = values[word] = plain(meaning)

    def cast_enumerated(raw: Raw) -> Value:
        if raw is None:
            raise _refuse(raw, value_type)
        value = values.get(raw) if type(raw) is str else None
        if value is None:
            value = values.get(enum_key(raw))
        if value is None:
            raise _not_in_map(raw)
        return value

    return cast_enumerated


def prepare_cast(
    value_type: ValueType,
    *,
    scale: Decimal | float | None = None,
    offset: Decimal | float | None = None,
    enum: Mapping[str, str] | None = None,
) -> Cast:
    """Return the function from a raw value to a value of `value_type`, or one that raises CastError.

    With `scale` and `offset` the number becomes raw * scale + offset in decimal arithmetic, rounded once (an integer
    to the nearest, halves up); with `enum` the raw value is looked up by `enum_key` and its word cast.

    Raises:
        ValueError: scale or offset for a type that is no number, beside an enum map, or beyond all measure; two keys of
            the enum map that are one value.
        CastError: a word of the enum map is not of `value_type`.
    """
    if scale is not None or offset is not None:
        if value_type not in (ValueType.INTEGER, ValueType.FLOAT) or enum:
            raise ValueError("scale and offset need a value_type integer or float without an enum map")
        return _scaled(value_type, _factor(1 if scale is None else scale), _factor(offset or 0))
    return _enumerated(value_type, enum) if enum else _PLAIN[value_type]


def _factor(number: Decimal | float) -> Decimal:
    exact = number if isinstance(number, Decimal) else Decimal(str(number))
    digits = len(exact.as_tuple().digits)
    if not exact.is_finite() or digits > LONGEST_NUMBER or abs(exact.adjusted()) > LARGEST_EXPONENT:
        raise ValueError(f"scale and offset must be finite numbers of at most {LONGEST_NUMBER} digits")
    return exact
