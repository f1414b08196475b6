"""A shop as the sum of its baskets."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from .basket import Basket
from .day_figures import DayFigures
from .json_values import JsonObject, JsonValue
from .money import Currency
from .sessions import SessionRecord


@dataclass(slots=True)
class Site:
    """The sums of a shop: `summarise` counts the baskets, the other methods keep the day's figures.

    Attributes:
        baskets_with_problems: each counted once, however many its problems are.
        unknown_products: the products without a price, each once, however many baskets hold it; in order.
    """

    currency: Currency
    figures: DayFigures
    baskets_in_use: int = 0
    baskets_idle: int = 0
    items_out: int = 0
    value_on_the_floor: Decimal = Decimal(0)
    baskets_with_problems: int = 0
    unknown_products: tuple[str, ...] = ()

    @property
    def sessions_today(self) -> int:
        """Return how many sessions began today."""
        return self.figures.current.sessions

    @property
    def revenue_today(self) -> Decimal:
        """Return the revenue of today."""
        return self.figures.current.revenue

    @property
    def revenue_since(self) -> datetime:
        """Return when the sum of today's revenue began, in local time."""
        return self.figures.current.since

    def summarise(self, baskets: Iterable[Basket]) -> None:
        """Count the baskets, and the items and their priced value in baskets that are in use."""
        in_use = idle = items = with_problems = 0
        value = Decimal(0)
        unknown: set[str] = set()
        for basket in baskets:
            if basket.problems:
                with_problems += 1
                unknown.update(basket.unpriced)
            if not basket.active:
                idle += 1
            else:
                in_use += 1
                items += basket.items
                value += basket.priced
        self.baskets_in_use = in_use
        self.baskets_idle = idle
        self.items_out = items
        self.value_on_the_floor = value
        self.baskets_with_problems = with_problems
        self.unknown_products = tuple(sorted(unknown))

    def count_start(self) -> None:
        """Count a session that began."""
        self.figures.current.sessions += 1

    def count_session(self, session: SessionRecord) -> None:
        """Add what a session cost to the revenue, unless it was cancelled."""
        if session.outcome.is_revenue:
            self.figures.current.revenue += session.total or Decimal(0)

    def turn_day(self, now: datetime) -> bool:
        """Continue with the figures of the day of `now`, in local time. Return whether that is another day."""
        return self.figures.turn(now)

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {**self.figures.as_json(), "currency": self.currency.code}

    def restore(self, stored: JsonValue, now: datetime) -> bool:
        """Continue with the stored figures; amounts of another currency are not ours. `now` in local time.

        Returns:
            Whether stored amounts of money are of this currency.
        """
        if not isinstance(stored, dict):
            return True
        same_currency = stored.get("currency", self.currency.code) == self.currency.code
        self.figures.restore(stored, now)
        if not same_currency:
            self.figures.restart_revenue(now)
        return same_currency
