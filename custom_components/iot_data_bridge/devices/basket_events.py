"""The events of a basket, of which one message makes a bounded number."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from .sessions import Outcome

# Each event is a state, a row of the recorder and a line of the activity.
MOST_EVENTS = 20


class EventKind(StrEnum):
    """The kinds of events of a basket."""

    SESSION_STARTED = "session_started"
    SESSION_ENDED = "session_ended"
    SESSION_NOT_HEARD = "session_not_heard"
    TOTAL_SHOWN = "total_shown"
    ITEM_ADDED = "item_added"
    ITEM_REMOVED = "item_removed"
    UNKNOWN_PRODUCT = "unknown_product"
    CONTENTS_CHANGED = "contents_changed"


# The changes of a session, which are rare and must not be lost.
SESSION_EVENTS = frozenset({EventKind.SESSION_STARTED, EventKind.SESSION_ENDED})


@dataclass(frozen=True, slots=True)
class BasketEvent:
    """An event of a basket; `price` is the price of all `count` pieces, None when a product of them has none.

    Attributes:
        added: of `contents_changed`, the pieces that were put in; `count` is the number of products.
        removed: of `contents_changed`, the pieces that were taken out.
        outcome: of `session_ended`, how it ended.
    """

    kind: EventKind
    count: int
    price: Decimal | None
    product: str | None = None
    added: int = 0
    removed: int = 0
    outcome: Outcome | None = None


def limited(events: Sequence[BasketEvent]) -> tuple[BasketEvent, ...]:
    """Return at most 20 events, unknown products first, and the rest as one `contents_changed`."""
    if len(events) <= MOST_EVENTS:
        return tuple(events)
    # The order of the others stays.
    urgent = sorted(events, key=lambda event: event.kind is not EventKind.UNKNOWN_PRODUCT)
    told, rest = urgent[: MOST_EVENTS - 1], urgent[MOST_EVENTS - 1 :]
    pieces = {
        kind: sum(event.count for event in rest if event.kind is kind)
        for kind in (EventKind.ITEM_ADDED, EventKind.ITEM_REMOVED)
    }
    return (
        *told,
        BasketEvent(
            EventKind.CONTENTS_CHANGED,
            len({event.product for event in rest}),
            None,
            added=pieces[EventKind.ITEM_ADDED],
            removed=pieces[EventKind.ITEM_REMOVED],
        ),
    )
