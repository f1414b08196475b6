"""A controller in the field, as far as its command topic goes: how it was seen to take each message."""

import json
from dataclasses import dataclass


class StoppedError(Exception):
    """The controller's program ended."""


@dataclass(frozen=True, slots=True)
class Shows:
    """The second line of the display."""

    line: str


def obey(payload: bytes, basket_id: int | str = 1) -> str | Shows | None:
    """Return what a controller with this id does in a session: "start", "end", a display, or nothing.

    Raises:
        StoppedError: the message ends its program.
    """
    try:
        return _obey(payload, basket_id)
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise StoppedError from error


def _obey(payload: bytes, basket_id: int | str) -> str | Shows | None:
    text = payload.decode().strip().lower()
    message = None
    command = text
    try:
        message = json.loads(text)
    except json.JSONDecodeError:
        pass
    else:
        if "msg" in message:
            command = message["msg"].lower()
    if command in ("start", "end"):
        return str(command)
    if command != "total":
        return None
    if message is None:
        raise StoppedError
    details = message.get("payload", {})
    if "totalprice" not in details:
        return None
    if "basketid" in details and details["basketid"] != basket_id:
        return None
    return Shows(f"{details['totalprice']:,} 원")
