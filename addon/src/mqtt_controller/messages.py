"""What a basket says about itself: the payloads of `<root>/update` and `<root>/session`."""

from datetime import datetime

import orjson

from mqtt_controller.presence import Snapshot

# A JSON reader may keep numbers as doubles, which are exact up to 15 digits; a longer id stays a text.
LONGEST_NUMBER_ID = 15


def told_id(basket_id: str) -> int | str:
    """Return the id as messages carry it: one that is a number is written as a number."""
    if basket_id.isascii() and basket_id.isdecimal() and len(basket_id) <= LONGEST_NUMBER_ID:
        return int(basket_id)
    return basket_id


def update_payload(basket_id: str, snapshot: Snapshot) -> bytes:
    """Return the JSON of `<root>/update`."""
    return orjson.dumps({"id": told_id(basket_id), "list": snapshot})


def session_payload(basket_id: str, *, active: bool, since: datetime | None) -> bytes:
    """Return the JSON of `<root>/session`; `since` with a time zone, None while the clock does not know the time."""
    return orjson.dumps(
        {"state": "active" if active else "idle", "since": since, "id": told_id(basket_id)},
        option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS,
    )
