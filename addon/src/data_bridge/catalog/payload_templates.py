"""Payload templates of devices that do not read the standard `{"object","value"}`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from data_bridge.catalog.casts import Value
from data_bridge.catalog.near_misses import did_you_mean

type PayloadTemplate = Callable[[Value, str], bytes]
"""encode(value, trace_id) -> payload"""

type _Piece = bytes | PayloadTemplate

_PLACES = ("device", "object", "value", "timestamp", "trace_id")
# JSON has braces of its own, but their content begins with a quote or a bracket, or is empty.
_PLACE = re.compile(r"\{( *[A-Za-z_][A-Za-z0-9_ -]*)\}")
_QUOTE = re.compile(r'\\.|"', re.DOTALL)


def check_payload(template: str) -> None:
    """Refuse a template that no payload can be made of.

    Raises:
        ValueError: it names something that there is not.
    """
    for name in _PLACE.findall(template):
        if name not in _PLACES:
            known = ", ".join(f"{{{place}}}" for place in _PLACES)
            raise ValueError(f"there is no {{{name}}}{did_you_mean(name, _PLACES)}; a payload may hold {known}")


def broken_json(template: str) -> str | None:
    """Return why a template that begins like a JSON object or list makes none; None where it does, or never began."""
    text = _sample(template)
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return str(error)
    return None


def prepare_payload(template: str, device: str, name: str) -> PayloadTemplate:
    """Return the encoder of a template such as `{"v":{value},"t":"{timestamp}"}` or `POWER {value}`.

    Where the template makes a JSON object or list, {value} is the value as JSON and, within a JSON string, its text
    without quotes; {object}, {device} and {trace_id} are escaped as JSON demands. In any other template all of them are
    plain text. {timestamp} is the UTC time in ISO 8601.
    """
    json = _sample(template).lstrip().startswith(("{", "[")) and broken_json(template) is None
    texts = _PLACE.split(template)
    pieces: list[_Piece] = []
    quoted = False
    # Text and place names alternate.
    for number, text in enumerate(texts):
        if number % 2 == 0:
            pieces.append(text.encode())
            quoted ^= len([each for each in _QUOTE.findall(text) if each == '"']) % 2 == 1
        else:
            pieces.append(_piece(text, device, name, json=json, quoted=quoted))

    def encode(value: Value, trace_id: str) -> bytes:
        return b"".join([piece if isinstance(piece, bytes) else piece(value, trace_id) for piece in pieces])

    return encode


def _piece(place: str, device: str, name: str, *, json: bool, quoted: bool) -> _Piece:
    text = _escaped if json else str.encode
    if place == "device":
        return text(device)
    if place == "object":
        return text(name)
    if place == "trace_id":
        return lambda _, trace_id: text(trace_id)
    if place == "timestamp":
        return lambda *_: datetime.now(UTC).isoformat(timespec="milliseconds").encode()
    if json and not quoted:
        return lambda value, _: orjson.dumps(value)
    return lambda value, _: text(value) if isinstance(value, str) else orjson.dumps(value)


def _escaped(text: str) -> bytes:
    return orjson.dumps(text)[1:-1]


def _sample(template: str) -> str:
    return _PLACE.sub("0", template)
