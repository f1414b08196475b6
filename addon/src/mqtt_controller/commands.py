"""What a server says to a basket on `<root>/status`: bytes in, a command or the reason why it is none out.

A message is a command if a controller in the field obeys it: UTF-8, without the blanks around it and in lower case, and
then JSON with `msg`, or else the plain word. Beyond that a price may be a text of digits, on which a fielded controller
stops. Everything else is a reason to log: tests/wire/basket_commands.yaml. No payload raises.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import orjson

# The longest real command is about 80 bytes; a megabyte is not even parsed.
LONGEST_COMMAND = 16_384
# "99,999,999,999 원" fills the 16 columns of the display; a longer total could only be shown cut, which is wrong.
LARGEST_TOTAL = 99_999_999_999
# No currency has more decimals; servers with binary floats send 10799.999999999998 and mean 10800.
SMALLEST_STEP = Decimal("0.0001")
DIGITS = re.compile("[0-9]{1,11}")
# Up to here a binary float that is a whole number is exactly one.
LARGEST_EXACT = 2**53
LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Start:
    """A session begins."""


@dataclass(frozen=True, slots=True)
class End:
    """The session ends: checkout and cancel are the same to a basket."""


@dataclass(frozen=True, slots=True)
class Total:
    """The server's total price, to four decimals; `basket_id` is None where the command names no basket."""

    total_price: Decimal
    basket_id: int | str | None


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
        text = payload.decode().strip().lower()
    except UnicodeDecodeError:
        return Refused("not UTF-8 text")
    if text in ("start", "end"):
        return _named(text, {})
    try:
        document: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Refused(f"neither start, end nor JSON: {text[:40]!r}")
    if not isinstance(document, dict):
        return Refused("no JSON object")
    name = document.get("msg")
    if not isinstance(name, str):
        return Refused("no text under the key msg")
    return _named(name.lower(), document)


def _named(name: str, document: Mapping[str, object]) -> Command | Refused:
    match name:
        case "start":
            return Start()
        case "end":
            return End()
        case "total":
            return _total(document.get("payload"))
    return Refused(f"unknown command {name[:40]!r}")


def _total(payload: object) -> Total | Refused:
    if not isinstance(payload, dict) or "totalprice" not in payload:
        return Refused("total without totalprice in its payload")
    price = _price(payload["totalprice"])
    if price is None:
        return Refused(f"totalprice is not a number from 0 to {LARGEST_TOTAL}")
    # An id that is null is none too: a fielded controller takes the total for another basket's.
    basket_id = _basket_id(payload["basketid"]) if "basketid" in payload else None
    if basket_id is None and "basketid" in payload:
        return Refused("basketid is neither a whole number nor a text")
    return Total(price, basket_id)


def _price(value: object) -> Decimal | None:
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST_TOTAL:
        return None
    return abs(Decimal(repr(value)).quantize(SMALLEST_STEP, ROUND_HALF_UP))


def _basket_id(value: object) -> int | str | None:
    if isinstance(value, str):
        return value if 0 < len(value) <= LONGEST_ID else None
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_EXACT:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
