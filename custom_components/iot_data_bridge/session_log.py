"""The end of a session: it becomes revenue unless it was cancelled, and a record in either case."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from homeassistant.core import callback

from .database.stored_sessions import StoredSessions
from .devices.basket import Basket
from .devices.basket_events import BasketEvent, EventKind
from .devices.instant import Instant
from .devices.sessions import Outcome, SessionLine, SessionRecord
from .devices.site import Site
from .field_devices import BasketDevice


class SessionLog:
    """The sessions of a site."""

    def __init__(self, site: Site, stored: StoredSessions) -> None:
        self._site = site
        self._stored = stored

    @callback
    def end(
        self,
        device: BasketDevice,
        events: tuple[BasketEvent, ...],
        started: datetime | None,
        shown_total: Decimal | None,
        now: Instant,
    ) -> tuple[BasketEvent, ...]:
        """Count and record a session that ended, and return its events with how it did.

        Args:
            device: the basket, with the contents that it had at the end.
            events: the events of the message, the end among them.
            started: when the session began.
            shown_total: the total on the display at its end.
            now: when the end was heard.
        """
        if started is None:
            return events
        outcome = device.sent_end.take(now)
        session = _record(device.basket, outcome, started, shown_total, now.utc)
        self._site.count_session(session)
        self._stored.add(session)
        return tuple(
            replace(event, outcome=outcome) if event.kind is EventKind.SESSION_ENDED else event for event in events
        )


def _record(
    basket: Basket, outcome: Outcome, started: datetime, shown_total: Decimal | None, ended: datetime
) -> SessionRecord:
    prices = basket.prices
    return SessionRecord(
        basket=basket.root,
        started=started,
        ended=ended,
        outcome=outcome,
        currency=prices.currency,
        total=shown_total if basket.total is None else basket.total,
        lines=tuple(
            SessionLine(code, prices.name(code), count, prices.unit_price(code))
            for code, count in basket.contents.items()
        ),
    )
