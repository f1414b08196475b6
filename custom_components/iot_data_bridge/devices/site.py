"""A shop as the sum of its baskets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .basket import Basket, BasketEvent, EventKind
from .json_values import JsonObject, JsonValue, to_count, to_decimal


@dataclass(slots=True)
class Site:
    """The sums of a shop: `summarise` counts the baskets, `count_event` and `turn_day` keep the day's figures."""

    day: date
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

    def turn_day(self, day: date) -> None:
        """Begin the figures of a new day; the same day changes nothing."""
        if day != self.day:
            self.day = day
            self.sessions_today = 0
            self.revenue_today = Decimal(0)

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {"day": self.day.isoformat(), "sessions": self.sessions_today, "revenue": str(self.revenue_today)}

    def restore(self, stored: JsonValue) -> None:
        """Take the stored figures if they are of this day."""
        if isinstance(stored, dict) and stored.get("day") == self.day.isoformat():
            self.sessions_today = to_count(stored.get("sessions")) or 0
            self.revenue_today = to_decimal(stored.get("revenue")) or Decimal(0)
