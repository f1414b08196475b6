"""What a server says to a basket on `<root>/status`: bytes in, a command or the reason why it is none out.

Fielded servers send plain text, JSON in several spellings, and ids as numbers or texts; everything that has one clear
meaning is taken, everything else is a reason to log. No payload raises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

import orjson

# The longest real command is about 80 bytes; a megabyte is not even parsed.
LONGEST_COMMAND = 16_384
# "99,999,999,999 원" fills the 16 columns of the display; a longer total could only be shown cut, which is wrong.
LARGEST_TOTAL = 99_999_999_999
# Beyond these digits nothing can be meant, and 1e999999999 would make a huge integer.
MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Start:
    """A session begins."""


@dataclass(frozen=True, slots=True)
class End:
    """The session ends: checkout and cancel are the same to a basket."""


@dataclass(frozen=True, slots=True)
class Total:
    """The server's total price in won; `basket_id` is None where the command names no basket."""

    total_price: int
    basket_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A payload that is no command, and why."""

    reason: str


type Command = Start | End | Total


def parse_command(payload: bytes) -> Command | Refused:
    """Read one payload of the command topic."""
    if len(payload) > LONGEST_COMMAND:
        return Refused(f"{len(payload)} bytes are longer than any command ({LONGEST_COMMAND})")
    try:
        text = payload.decode("utf-8-sig").strip(" \t\r\n\0")
    except UnicodeDecodeError:
        return Refused("not UTF-8 text")
    if not text:
        return Refused("empty")
    if not text.startswith(("{", "[", '"')):
        return _named(text, {})
    try:
        document: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Refused(f"not JSON: {error}")
    if isinstance(document, str):
        return _named(document, {})
    if not isinstance(document, dict):
        return Refused("neither a text nor a JSON object")
    keys = _plain_keys(document)
    name = keys.get("msg")
    if not isinstance(name, str):
        return Refused("no text under the key msg")
    payload_keys = keys.get("payload")
    return _named(name, _plain_keys(payload_keys) if isinstance(payload_keys, dict) else keys)


def same_basket(one: str, other: str) -> bool:
    """Tell whether two spellings name one basket: 1, "1" and "001" do."""
    if one.isdecimal() and other.isdecimal():
        return one.lstrip("0") == other.lstrip("0")
    return one.strip() == other.strip()


def _named(name: str, keys: Mapping[str, object]) -> Command | Refused:
    match name.strip().lower():
        case "start":
            return Start()
        case "end":
            return End()
        case "total":
            return _total(keys)
    return Refused(f"unknown command {name[:40]!r}")


def _total(keys: Mapping[str, object]) -> Total | Refused:
    if "totalprice" not in keys:
        return Refused("total without totalprice")
    price = _whole_number(keys["totalprice"])
    if price is None or not 0 <= price <= LARGEST_TOTAL:
        return Refused(f"totalprice is not a number from 0 to {LARGEST_TOTAL}")
    basket_id = keys.get("basketid")
    if basket_id is None:
        return Total(price, None)
    if isinstance(basket_id, str):
        return Total(price, basket_id.strip())
    number = _whole_number(basket_id)
    return Refused("basketid is neither a number nor a text") if number is None else Total(price, str(number))


def _plain_keys(document: Mapping[object, object]) -> dict[str, object]:
    """Return the keys in lower case and without underscores: totalprice, totalPrice and total_price are one key."""
    return {str(key).lower().replace("_", ""): value for key, value in document.items()}


def _whole_number(value: object) -> int | None:
    """Return a JSON number or a text of one, rounded half up to a whole number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).replace(",", "").strip())
        if not number.is_finite() or number.adjusted() >= MOST_DIGITS:
            return None
        return int(number.quantize(Decimal(1), ROUND_HALF_UP))
    except InvalidOperation:
        return None
