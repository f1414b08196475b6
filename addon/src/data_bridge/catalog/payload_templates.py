"""Payload templates of devices that do not read the standard `{"object","value"}`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from data_bridge.catalog.casts import Value

type PayloadTemplate = Callable[[Value, str], bytes]
"""encode(value, trace_id) -> payload"""

# Only these are places: a JSON template is full of braces of its own.
_PLACE = re.compile(r"\{(device|object|value|timestamp|trace_id)\}")


def prepare_payload(template: str, device: str, name: str) -> PayloadTemplate:
    """Return the encoder of a template such as `{"v":{value},"t":"{timestamp}"}`.

    {value} becomes the value as JSON, {object}, {device} and {trace_id} JSON text without its quotes, {timestamp} the
    UTC time in ISO 8601.
    """
    parts = _PLACE.split(template)
    fixed = {"device": _inner(device), "object": _inner(name)}
    # Text and place names alternate; what is known now is filled now.
    pieces: list[tuple[bool, bytes]] = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            pieces.append((False, part.encode()))
        elif part in fixed:
            pieces.append((False, fixed[part]))
        else:
            pieces.append((True, part.encode()))

    def encode(value: Value, trace_id: str) -> bytes:
        filled: list[bytes] = []
        for is_place, text in pieces:
            if not is_place:
                filled.append(text)
            elif text == b"value":
                filled.append(orjson.dumps(value))
            elif text == b"trace_id":
                filled.append(_inner(trace_id))
            else:
                filled.append(datetime.now(UTC).isoformat(timespec="milliseconds").encode())
        return b"".join(filled)

    return encode


def _inner(text: str) -> bytes:
    return orjson.dumps(text)[1:-1]
