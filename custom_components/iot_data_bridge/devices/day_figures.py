"""The figures of a shop's day, which turn with the date and survive a clock that is wrong for a while."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from .json_values import JsonObject, JsonValue, to_count, to_decimal, to_moment

# A clock that is set right comes back to a day that it left: its figures must still be there.
KEPT_DAYS = 3


@dataclass(slots=True)
class Day:
    """One day: `since` is when its revenue began, in local time."""

    since: datetime
    sessions: int = 0
    revenue: Decimal = Decimal(0)


@dataclass(slots=True)
class DayFigures:
    """The current day and those that a corrected clock may return to, by their dates.

    There is no timer at midnight: some days have none, and a clock may be set at any time.

    Attributes:
        today: the date of the current day.
    """

    today: date
    _days: dict[date, Day]
    # Whether the clock has shown this date since the start: a clock without a battery begins behind what was stored.
    _reached: bool = True

    @classmethod
    def begin(cls, now: datetime) -> DayFigures:
        """Return the figures of a new shop; `now` in local time."""
        return cls(now.date(), {now.date(): Day(now)})

    @property
    def current(self) -> Day:
        """Return the figures of the current day."""
        return self._days[self.today]

    def turn(self, now: datetime) -> bool:
        """Continue with the day of `now`, in local time. Return whether that is another day."""
        date_now = now.date()
        if date_now == self.today:
            self._reached = True
            return False
        if date_now not in self._days:
            if date_now < self.today and not self._reached:
                # The clock is not set yet: the day that was stored goes on.
                return False
            self._days[date_now] = Day(now)
            for forgotten in sorted(self._days.keys() - {date_now, self.today})[: -(KEPT_DAYS - 2)]:
                del self._days[forgotten]
        self.today = date_now
        self._reached = True
        return True

    def restart_revenue(self, now: datetime) -> None:
        """Begin the revenue of every day anew."""
        for day in self._days.values():
            day.revenue = Decimal(0)
        self.current.since = now

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        others: list[JsonValue] = [
            _day_json(date_, day) for date_, day in sorted(self._days.items()) if date_ != self.today
        ]
        return {**_day_json(self.today, self.current), "other_days": others}

    def restore(self, stored: JsonObject, now: datetime) -> None:
        """Continue with stored figures, of an earlier version too, if they are of the day of `now` or ahead of it."""
        others = stored.get("other_days")
        items = (*(others if isinstance(others, list) else ())[:KEPT_DAYS], stored)
        days = [day for item in items if isinstance(item, dict) and (day := _read_day(item, now)) is not None]
        if days:
            self.today = days[-1][0]
            self._days = dict(days)
            self._reached = False
            self.turn(now)


def _day_json(date_: date, day: Day) -> JsonObject:
    return {
        "day": date_.isoformat(),
        "sessions": day.sessions,
        "revenue": str(day.revenue),
        "revenue_since": day.since.isoformat(),
    }


def _read_day(stored: JsonObject, now: datetime) -> tuple[date, Day] | None:
    try:
        date_ = date.fromisoformat(str(stored.get("day")))
    except ValueError:
        return None
    since = to_moment(stored.get("revenue_since"))
    if since is None:
        since = now if date_ == now.date() else datetime(date_.year, date_.month, date_.day, tzinfo=now.tzinfo)
    return date_, Day(since, to_count(stored.get("sessions")) or 0, to_decimal(stored.get("revenue")) or Decimal(0))
