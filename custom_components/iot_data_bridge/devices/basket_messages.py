"""Every message of a smart basket: parsers of received ones, encoders of commands.

A basket has a root topic. It publishes on `<root>/update` and, if it is ours, on `<root>/availability` and
`<root>/session`; servers command it on `<root>/status`, despite that topic's name.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from .errors import MalformedMessageError
from .json_values import (
    JsonValue,
    parse_object,
    to_count,
    to_decimal,
    to_float,
    to_json_text,
    to_moment,
    to_text,
)
from .product_codes import product_code

type BasketId = int | str

# The rules of commands are those of controllers in the field, and of ours: tests/wire/basket_commands.yaml.
LONGEST_COMMAND = 16_384
# "99,999,999,999 원" fills the display.
LARGEST_TOTAL = Decimal(99_999_999_999)
# No currency has more decimals; servers with binary floats send 10799.999999999998 and mean 10800.
_SMALLEST_STEP = Decimal("0.0001")
_DIGITS = re.compile("[0-9]{1,11}")
# Up to here a binary float that is a whole number is exactly one.
_LARGEST_EXACT = 2**53
LONGEST_ID = 64
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


@dataclass(frozen=True, slots=True)
class ControllerSession:
    """The session as a controller publishes it.

    Attributes:
        active: whether it runs.
        since: the beginning of this state, None while the controller does not know the time.
    """

    active: bool
    since: datetime | None
    basket_id: BasketId | None


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
    for spelled, raw in value.items():
        code = product_code(spelled)
        if code is None:
            raise MalformedMessageError("code_invalid")
        # Nearly every count is a plain one.
        count = raw if type(raw) is int and raw > 0 else to_count(raw)
        if count is None or count > MOST_PIECES:
            # A snapshot that is wrong in one place would look as if goods had left: keep the last good one instead.
            raise MalformedMessageError("count_invalid")
        if count:
            # Two spellings of one code are one product.
            contents[code] = contents.get(code, 0) + count
    return contents


def _basket_id(value: JsonValue) -> BasketId | None:
    """Return an id that is a text or a whole number, None for anything else."""
    # Nearly every id is a number, and a whole number of JSON is never too long.
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return int(value)
    # Longer is no id that any controller was configured with.
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_ID else None


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


def parse_session(payload: bytes) -> ControllerSession | None:
    """Read `{"state":"active"|"idle","since":…,"id":…}`; None for the empty message that clears a retained one.

    A time that cannot be read is an unknown one.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object` or `not_a_session`.
    """
    if not payload:
        return None
    message = parse_object(payload)
    state = message.get("state")
    if state not in ("active", "idle"):
        raise MalformedMessageError("not_a_session")
    return ControllerSession(state == "active", to_moment(message.get("since")), _basket_id(message.get("id")))


def parse_command(payload: bytes) -> BasketCommand:
    """Read a command as controllers in the field do: plain `start` or `end`, or a JSON object with `msg`.

    The whole message counts in any case, blanks around it do not. A price is read to four decimals.

    Raises:
        MalformedMessageError: `too_long`, `not_json`, `not_an_object`, `unknown_command` or `total_invalid`; also for
            messages that stop controllers, a plain `total`, a bare number, a total without `payload`.
    """
    if len(payload) > LONGEST_COMMAND:
        raise MalformedMessageError("too_long")
    try:
        text = payload.decode().strip().lower()
    except UnicodeDecodeError as error:
        raise MalformedMessageError("not_json") from error
    match text:
        case "start":
            return START
        case "end":
            return END
    message = parse_object(text)
    kind = message.get("msg")
    match kind.lower() if isinstance(kind, str) else None:
        case "start":
            return START
        case "end":
            return END
        case "total":
            return _total(message.get("payload"))
    raise MalformedMessageError("unknown_command")


def _total(payload: JsonValue) -> BasketCommand:
    if not isinstance(payload, dict):
        raise MalformedMessageError("total_invalid")
    price = _price(payload.get("totalprice"))
    basket_id = _basket_id(payload["basketid"]) if "basketid" in payload else None
    # A controller compares an id that is null too, and takes the total for another basket's.
    if price is None or (basket_id is None and "basketid" in payload):
        raise MalformedMessageError("total_invalid")
    return BasketCommand(CommandKind.TOTAL, basket_id, price)


def _price(value: JsonValue) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _DIGITS.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_TOTAL:
        return None
    return abs(Decimal(repr(value)).quantize(_SMALLEST_STEP, ROUND_HALF_UP))


def same_basket(told: BasketId | None, named: BasketId | None) -> bool:
    """Tell whether a total that names a basket is for the one that told its id: 1 is not "1", as to a controller.

    A total that names no basket is for every one, and of a basket that has told no id nothing is known.
    """
    return told is None or named is None or told == named


# Fielded controllers read a plain `start` too, but only as what is left when their JSON parser fails. The object is the
# one form that every controller which can show a total is certain to parse, and no misreading of it can be a bare word,
# number or quoted text, on which they stop.
def encode_start() -> str:
    """Return the command that begins a session."""
    return '{"msg":"start"}'


def encode_end() -> str:
    """Return the command that ends a session."""
    return '{"msg":"end"}'


def encode_total(basket_id: BasketId | None, total_price: Decimal) -> str:
    """Return the command that shows a total; keys in lower case, the price digit for digit and never a binary float.

    Only an id that is a number is sent: a controller ignores a total with another id than its own, and takes one
    without an id. A whole amount has no decimals, which controllers in the field would show.
    """
    # A number without exponent: 1E+3 is legal JSON, but a float for most readers.
    price = format(
        total_price.to_integral_value() if total_price == total_price.to_integral_value() else total_price, "f"
    )
    named = f'"basketid":{json.dumps(basket_id)},' if isinstance(basket_id, int) else ""
    return f'{{"msg":"total","payload":{{{named}"totalprice":{price}}}}}'
