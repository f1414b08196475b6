"""From what a message holds to what a catalog promises: one prepared function for each rule."""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import isfinite
from typing import TypeGuard

import orjson

type Raw = bool | int | float | str | list[Raw] | dict[str, Raw] | None
type Value = bool | int | float | str
type Cast = Callable[[Raw], Value]

# What JSON readers elsewhere hold without loss, and what our encoder writes.
MINIMUM_INTEGER = -(2**63)
MAXIMUM_INTEGER = 2**63 - 1
# Texts beyond this are not numbers that anybody meant.
_LONGEST_NUMBER = 400

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
    """A value that cannot become what the rule asks for; `reason` is one of reasons.Reason's words."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def _shown(raw: Raw) -> str:
    try:
        text = repr(raw)
    except (ValueError, RecursionError):  # more digits than Python writes, or nested too deep
        return "something too large to be shown"
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 -- what fits a log line


def _refuse(raw: Raw, wanted: ValueType) -> CastError:
    if raw is None:
        return CastError("null_value", "the value is null")
    return CastError("cast_failed", f"{_shown(raw)} is no {wanted}")


def to_float(raw: Raw) -> float:
    """Return a finite number from a number or a text like "37.5"; JSON itself knows no NaN and no infinity."""
    if type(raw) is float:  # a third of isinstance's cost, and no bool passes for a number
        return raw
    if type(raw) is int:
        try:
            return float(raw)
        except OverflowError:
            raise _too_large(raw) from None
    if not isinstance(raw, str) or len(raw) > _LONGEST_NUMBER or "_" in raw:
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
    elif isinstance(raw, float) or (isinstance(raw, str) and len(raw) <= _LONGEST_NUMBER and "_" not in raw):
        try:
            value = int(raw)
        except (ValueError, OverflowError):
            value = _whole(to_float(raw), raw)
        else:
            if isinstance(raw, float):
                value = _whole(raw, raw)
    else:
        raise _refuse(raw, ValueType.INTEGER)
    if MINIMUM_INTEGER <= value <= MAXIMUM_INTEGER:
        return value
    raise _too_large(raw)


def _too_large(raw: Raw) -> CastError:
    return CastError("out_of_range", f"{_shown(raw)} needs more than 64 bits")


def _whole(number: float, raw: Raw) -> int:
    if not number.is_integer():
        raise CastError("cast_failed", f"{_shown(raw)} is no whole number")
    return int(number)


def to_text(raw: Raw) -> str:
    """Return a text; numbers and truths as JSON writes them."""
    if isinstance(raw, str):
        return raw
    if type(raw) is int:
        return _digits(raw)
    if isinstance(raw, bool | int | float):
        return orjson.dumps(raw).decode()
    raise _refuse(raw, ValueType.TEXT)


def _digits(number: int) -> str:
    # orjson would refuse one of more than 64 bits.
    try:
        return str(number)
    except ValueError:
        raise CastError("out_of_range", "a number of more digits than anybody meant") from None


def to_boolean(raw: Raw) -> bool:
    """Return a truth; true/1/yes/on and false/0/no/off in any case, and nothing else, are known words."""
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
    """Tell whether a value is one of this type as it stands, without a cast."""
    return type(value) in _TYPES[value_type]


def _scaled(value_type: ValueType, scale: float, offset: float) -> Cast:
    def cast_scaled(raw: Raw) -> float:
        value = to_float(raw) * scale + offset
        if not isfinite(value):
            raise CastError("not_finite", f"{_shown(raw)} scaled is not a finite number")
        return value

    def cast_scaled_integer(raw: Raw) -> Value:
        return to_integer(math.floor(cast_scaled(raw) + 0.5))

    return cast_scaled_integer if value_type is ValueType.INTEGER else cast_scaled


def enum_key(raw: Raw) -> str:
    """Return the spelling under which an enum map holds a raw value: 1, 1.0 and "1" are all "1".

    Raises:
        CastError: no map holds it.
    """
    if isinstance(raw, str):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        return str(int(raw))
    if type(raw) is int:
        return _digits(raw)
    if isinstance(raw, list | dict):
        raise _not_in_map(raw)
    return orjson.dumps(raw).decode()


def _not_in_map(raw: Raw) -> CastError:
    return CastError("unknown_option", f"{_shown(raw)} is not in the enum map")


def _enumerated(value_type: ValueType, words: Mapping[str, str]) -> Cast:
    plain = _PLAIN[value_type]
    values = {key: plain(word) for key, word in words.items()}

    def cast_enumerated(raw: Raw) -> Value:
        if raw is None:
            raise _refuse(raw, value_type)
        value = values.get(enum_key(raw))
        if value is None:
            raise _not_in_map(raw)
        return value

    return cast_enumerated


def prepare_cast(
    value_type: ValueType,
    *,
    scale: float | None = None,
    offset: float | None = None,
    enum: Mapping[str, str] | None = None,
) -> Cast:
    """Return the function from a raw value to a value of `value_type`, or one that raises CastError.

    With `scale` and `offset` the number becomes raw * scale + offset (an integer is rounded, halves up); with `enum`
    the raw value's spelling is looked up and its word cast.

    Raises:
        ValueError: scale or offset for a type that is no number, beside an enum map, or not finite.
        CastError: a word of the enum map is not of `value_type`.
    """
    if scale is not None or offset is not None:
        if value_type not in (ValueType.INTEGER, ValueType.FLOAT) or enum:
            raise ValueError("scale and offset need a value_type integer or float without an enum map")
        if not isfinite(scale or 0.0) or not isfinite(offset or 0.0):
            raise ValueError("scale and offset must be finite numbers")
        return _scaled(value_type, 1.0 if scale is None else scale, offset or 0.0)
    return _enumerated(value_type, enum) if enum else _PLAIN[value_type]
