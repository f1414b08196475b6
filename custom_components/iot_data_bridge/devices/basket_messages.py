"""Every message of a smart basket: parsers of received ones, encoders of commands.

A basket has a root topic. It publishes on `<root>/update` and, if it is ours, on `<root>/availability`; servers
command it on `<root>/status`, despite that topic's name.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .errors import MalformedMessageError
from .json_values import (
    JsonObject,
    JsonValue,
    casefold_keys,
    parse_object,
    to_count,
    to_decimal,
    to_float,
    to_json_text,
    to_text,
)

type BasketId = int | str

LONGEST_CODE = 64
MOST_PRODUCTS = 1000
MOST_PIECES = 100_000


class Detail(StrEnum):
    """The values of a controller besides its contents; the spellings in any case are in `_DETAIL_KEYS`."""

    WEIGHT = "weight"  # grams
    BATTERY = "battery"  # percent
    SIGNAL_STRENGTH = "signal_strength"  # dBm
    LOCATION = "location"
    ERROR = "error"


type DetailValue = float | str | None

_DETAIL_KEYS = {
    "weight": Detail.WEIGHT,
    "battery": Detail.BATTERY,
    "batterylevel": Detail.BATTERY,
    "battery_level": Detail.BATTERY,
    "signalstrength": Detail.SIGNAL_STRENGTH,
    "signal_strength": Detail.SIGNAL_STRENGTH,
    "signal": Detail.SIGNAL_STRENGTH,
    "rssi": Detail.SIGNAL_STRENGTH,
    "location": Detail.LOCATION,
    "error": Detail.ERROR,
}
_NUMBERS = frozenset({Detail.WEIGHT, Detail.BATTERY, Detail.SIGNAL_STRENGTH})
# How controllers write that there is no error; zero, however it is written, is another way.
_NO_ERROR = frozenset({"", "false", "none", "null", "ok"})


@dataclass(frozen=True, slots=True)
class BasketUpdate:
    """A basket's update: its id, a full snapshot of its contents (None when the message has none), details."""

    basket_id: BasketId | None
    contents: dict[str, int] | None
    details: dict[Detail, DetailValue]


class CommandKind(StrEnum):
    """The kinds of commands."""

    START = "start"
    END = "end"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class BasketCommand:
    """A command seen on the wire; the id and the price only with a total."""

    kind: CommandKind
    basket_id: BasketId | None = None
    total_price: Decimal | None = None


START = BasketCommand(CommandKind.START)
END = BasketCommand(CommandKind.END)


def parse_update(payload: bytes) -> BasketUpdate:
    """Read `{"id":1,"list":{"MLON":2}}`; unknown keys are ignored, keys count in any case.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object`, `nothing_known`, `list_invalid`, `code_invalid` or
            `count_invalid`.
    """
    message = parse_object(payload)
    contents: dict[str, int] | None = None
    basket_id: BasketId | None = None
    details: dict[Detail, DetailValue] = {}
    for key, value in message.items():
        name = key.casefold()
        if name == "list":
            contents = _contents(value)
        elif name in ("id", "basketid", "basket_id"):
            basket_id = _basket_id(value)
        elif (detail := _DETAIL_KEYS.get(name)) is not None:
            details[detail] = read_detail(detail, value)
    if contents is None and not details:
        raise MalformedMessageError("nothing_known")
    return BasketUpdate(basket_id, contents, details)


def read_detail(detail: Detail, value: JsonValue) -> DetailValue:
    """Return the value of a detail, None for an empty one."""
    if detail in _NUMBERS:
        return to_float(value)
    return _error(value) if detail is Detail.ERROR else to_text(value)


def _error(value: JsonValue) -> str | None:
    """Return the error as a text; whatever means that there is none, such as the code 0, is none."""
    if value is True:
        return "true"
    if isinstance(value, list | dict) and value:
        return to_text(to_json_text(value)) or "true"
    text = to_text(value)
    if text is None or text.casefold() in _NO_ERROR or to_decimal(value) == 0:
        return None
    return text


def _contents(value: JsonValue) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > MOST_PRODUCTS:
        raise MalformedMessageError("list_invalid")
    contents: dict[str, int] = {}
    for code, raw in value.items():
        if not 0 < len(code) <= LONGEST_CODE:
            raise MalformedMessageError("code_invalid")
        # Nearly every count is a plain one.
        count = raw if type(raw) is int and raw > 0 else to_count(raw)
        if count is None or count > MOST_PIECES:
            # A snapshot that is wrong in one place would look as if goods had left: keep the last good one instead.
            raise MalformedMessageError("count_invalid")
        if count:
            contents[code] = count
    return contents


def _basket_id(value: JsonValue) -> BasketId | None:
    # Nearly every id is a number, and a whole number of JSON is never too long.
    if type(value) is int:
        return value
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    # Longer is no id that any controller was configured with, and would travel in every total.
    return value if len(str(value)) <= LONGEST_CODE else None


def parse_availability(payload: bytes) -> bool | None:
    """Read the last will `online` / `offline`; None for the empty message that clears a retained one.

    Raises:
        MalformedMessageError: `not_an_availability`.
    """
    match payload.strip().lower():
        case b"online":
            return True
        case b"offline":
            return False
        case b"":
            return None
    raise MalformedMessageError("not_an_availability")


def parse_command(payload: bytes) -> BasketCommand:
    """Read a command as controllers in the field do: plain `start` or `end`, or a JSON object with `msg`.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object`, `unknown_command` or `total_invalid`; also for what stops
            controllers, a plain `total`, a bare number and a quoted text.
    """
    match payload.strip().lower():
        case b"start":
            return START
        case b"end":
            return END
    message = casefold_keys(parse_object(payload))
    kind = message.get("msg")
    match kind.strip().casefold() if isinstance(kind, str) else None:
        case "start":
            return START
        case "end":
            return END
        case "total":
            return _total(message)
    raise MalformedMessageError("unknown_command")


def _total(message: JsonObject) -> BasketCommand:
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise MalformedMessageError("total_invalid")
    values = casefold_keys(payload)
    price = to_decimal(values.get("totalprice"))
    if price is None or price < 0:
        raise MalformedMessageError("total_invalid")
    return BasketCommand(CommandKind.TOTAL, _basket_id(values.get("basketid")), price)


def same_basket(one: BasketId | None, other: BasketId | None) -> bool:
    """Tell whether two ids mean one basket: 1, "1" and "001" do; an unknown id contradicts nothing."""
    return one is None or other is None or _plain(one) == _plain(other)


def _plain(basket_id: BasketId) -> str:
    text = str(basket_id).strip()
    return text.lstrip("0") or "0" if text.isdecimal() else text


def basket_id_of(root: str) -> BasketId | None:
    """Return the id that a root ends in, for a basket that has not told its own: 15 of `basket/store02/unit015`."""
    last = root.rsplit("/", 1)[-1]
    digits = last[len(last.rstrip("0123456789")) :] if last.isascii() else ""
    return int(digits) if 0 < len(digits) <= LONGEST_CODE else None


# Fielded controllers read a plain `start` too, but only as what is left when their JSON parser fails. The object is the
# one form that every controller which can show a total is certain to parse, and no misreading of it can be a bare word,
# number or quoted text, on which they stop.
def encode_start() -> str:
    """Return the command that begins a session."""
    return '{"msg":"start"}'


def encode_end() -> str:
    """Return the command that ends a session."""
    return '{"msg":"end"}'


def encode_total(basket_id: BasketId, total_price: Decimal) -> str:
    """Return the command that shows a total; keys in lower case, the price digit for digit and never a binary float."""
    # A number without exponent: 1E+3 is legal JSON, but a float for most readers.
    price = format(total_price, "f")
    return f'{{"msg":"total","payload":{{"basketid":{json.dumps(basket_id)},"totalprice":{price}}}}}'
