"""A shop as the sum of its baskets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from .basket import Basket
from .basket_events import BasketEvent, EventKind
from .json_values import JsonObject, JsonValue, to_count, to_decimal, to_moment
from .money import Currency


@dataclass(slots=True)
class Site:
    """The sums of a shop: `summarise` counts the baskets, `count_event` and `turn_day` keep the day's figures.

    Attributes:
        revenue_since: when the sum of the revenue began, in local time; its date is the day of the figures.
    """

    currency: Currency
    revenue_since: datetime
    baskets_in_use: int = 0
    baskets_idle: int = 0
    items_out: int = 0
    value_on_the_floor: Decimal = Decimal(0)
    sessions_today: int = 0
    revenue_today: Decimal = Decimal(0)

    def summarise(self, baskets: Iterable[Basket]) -> None:
        """Count the baskets, and the items and their priced value in baskets that are in use."""
        in_use = idle = items = 0
        value = Decimal(0)
        for basket in baskets:
            if basket.session_started is None:
                idle += 1
            else:
                in_use += 1
                items += basket.items
                value += basket.priced
        self.baskets_in_use = in_use
        self.baskets_idle = idle
        self.items_out = items
        self.value_on_the_floor = value

    def count_event(self, event: BasketEvent, shown_total: Decimal | None) -> None:
        """Count started sessions; add the total of an ended one, the computed or the last shown, to the revenue.

        The wire does not tell a checkout from a cancelled session: both are `end`.
        """
        if event.kind is EventKind.SESSION_STARTED:
            self.sessions_today += 1
        elif event.kind is EventKind.SESSION_ENDED:
            self.revenue_today += event.price if event.price is not None else shown_total or Decimal(0)

    def turn_day(self, now: datetime) -> None:
        """Begin the figures of a new day; `now` in local time. The same day changes nothing."""
        if now.date() != self.revenue_since.date():
            self.revenue_since = now
            self.sessions_today = 0
            self.revenue_today = Decimal(0)

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {
            "day": self.revenue_since.date().isoformat(),
            "sessions": self.sessions_today,
            "revenue": str(self.revenue_today),
            "revenue_since": self.revenue_since.isoformat(),
            "currency": self.currency.code,
        }

    def restore(self, stored: JsonValue) -> bool:
        """Take the stored figures if they are of this day; amounts of another currency are not ours.

        Returns:
            Whether stored amounts of money are of this currency.
        """
        if not isinstance(stored, dict):
            return True
        same_currency = stored.get("currency", self.currency.code) == self.currency.code
        if stored.get("day") == self.revenue_since.date().isoformat():
            self.sessions_today = to_count(stored.get("sessions")) or 0
            if same_currency:
                self.revenue_today = to_decimal(stored.get("revenue")) or Decimal(0)
                self.revenue_since = to_moment(stored.get("revenue_since")) or self.revenue_since
        return same_currency
