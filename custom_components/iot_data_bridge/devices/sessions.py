"""Sessions that ended: what each held and cost, how it ended, and their table as CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum

from .instant import Instant
from .money import Currency

TIMES = "\N{MULTIPLICATION SIGN}"
COLUMNS = ("session", "basket", "from", "to", "utc_offset", "outcome", "currency", "total", "items", "lines")
# Our own command is back from the broker within this time, or was lost with the connection.
HEARD_WITHIN = timedelta(seconds=60)
# What spreadsheets would take for a formula: codes and names are texts of others.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Outcome(StrEnum):
    """How a session ended. The wire has one `end` for all of them: only our own commands are known."""

    PAID = "paid"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_revenue(self) -> bool:
        """Tell whether the contents were sold, as far as is known."""
        return self is not Outcome.CANCELLED


@dataclass(slots=True)
class SentEnd:
    """The `end` that we sent last, by which the one that is heard is told from another server's.

    The broker sends our own commands back to us, and they carry nothing that says whose they are.
    """

    _outcome: Outcome = Outcome.UNKNOWN
    _until: Instant | None = None

    def note(self, outcome: Outcome, now: Instant) -> None:
        """Expect our own `end`."""
        self._outcome, self._until = outcome, now + HEARD_WITHIN

    def withdraw(self) -> None:
        """Expect nothing: it could not be sent."""
        self._until = None

    def take(self, now: Instant) -> Outcome:
        """Return how a session ended whose `end` is heard now."""
        until, self._until = self._until, None
        return self._outcome if until is not None and now <= until else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One product of a session; `unit_price` is None when it had none."""

    code: str
    name: str
    count: int
    unit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session.

    Attributes:
        basket: the basket's root topic.
        started: in UTC, as is `ended`.
        total: of the contents, or the one last shown when a product had no price; None when there was neither.
    """

    basket: str
    started: datetime
    ended: datetime
    outcome: Outcome
    currency: Currency
    total: Decimal | None
    lines: tuple[SessionLine, ...]

    @property
    def items(self) -> int:
        """Return the number of pieces."""
        return sum(line.count for line in self.lines)


def csv_header() -> str:
    """Return the first line of the table."""
    return _csv_line(COLUMNS)


def csv_lines(sessions: Iterable[tuple[int, SessionRecord]], zone: tzinfo) -> str:
    """Return the lines of numbered sessions, times in a time zone."""
    return "".join(_session_line(number, session, zone) for number, session in sessions)


def _session_line(number: int, session: SessionRecord, zone: tzinfo) -> str:
    started, ended = session.started.astimezone(zone), session.ended.astimezone(zone)
    return _csv_line(
        (
            str(number),
            _cell(session.basket),
            f"{started:%Y-%m-%d %H:%M:%S}",
            f"{ended:%Y-%m-%d %H:%M:%S}",
            f"{ended:%:z}",
            session.outcome.value,
            session.currency.code,
            "" if session.total is None else str(session.currency.round(session.total)),
            str(session.items),
            _cell("; ".join(_line(line, session.currency) for line in session.lines)),
        )
    )


def _line(line: SessionLine, currency: Currency) -> str:
    name = line.code if line.name == line.code else f"{line.code} {line.name}"
    price = "" if line.unit_price is None else f" = {currency.round(line.unit_price * line.count)}"
    return f"{name} {TIMES} {line.count}{price}"


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv_line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
