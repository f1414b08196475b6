"""The sessions of a site in its database: kept for a time, bounded in number and size."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from ..devices.money import Currency
from ..devices.sessions import Outcome, SessionLine, SessionRecord
from .site_database import SiteDatabase
from .tables import SESSIONS

MOST_SESSIONS = 200_000
LARGEST_DATABASE = 256_000_000
# So many of the oldest make room for a new one in a full database.
DROPPED = 100
PAGE = 1000

type NumberedSession = tuple[int, SessionRecord]


class StoredSessions:
    """The record of sessions; `keep` is how long one is kept after its end.

    Attributes:
        lost: how many could not be written.
    """

    def __init__(self, hass: HomeAssistant, database: SiteDatabase, keep: timedelta) -> None:
        self._hass = hass
        self._database = database
        self.keep = keep
        self.lost = 0

    @callback
    def add(self, session: SessionRecord) -> None:
        """Write a session at once, without waiting for it."""
        self._hass.async_create_task(self._async_add(session), "iot_data_bridge session record", eager_start=True)

    async def _async_add(self, session: SessionRecord) -> None:
        try:
            await self._database.async_run(partial(_add, session, session.ended - self.keep))
        except HomeAssistantError:
            self.lost += 1

    async def async_drop_old(self, now: datetime) -> None:
        """Delete the sessions whose time is over.

        Raises:
            HomeAssistantError: the database cannot be written.
        """
        oldest = now - self.keep
        await self._database.async_run(lambda connection: _drop_old(oldest, connection))

    async def async_count(self, since: datetime | None = None, until: datetime | None = None) -> int:
        """Return how many sessions ended in a time.

        Raises:
            HomeAssistantError: the database cannot be read.
        """
        statement = _between(select(func.count()).select_from(SESSIONS), since, until)
        return await self._database.async_run(lambda connection: connection.execute(statement).scalar_one())

    async def async_page(
        self, after: int, since: datetime | None = None, until: datetime | None = None
    ) -> list[NumberedSession]:
        """Return at most `PAGE` sessions that ended in a time, of those with a higher number than `after`.

        Raises:
            HomeAssistantError: the database cannot be read.
        """
        statement = _between(select(SESSIONS), since, until).where(SESSIONS.c.number > after)
        statement = statement.order_by(SESSIONS.c.number).limit(PAGE)
        return await self._database.async_run(
            lambda connection: [_session(row) for row in connection.execute(statement)]
        )


def _add(session: SessionRecord, oldest: datetime, connection: Connection) -> None:
    connection.execute(insert(SESSIONS).values(_row(session)))
    _drop_old(oldest, connection)
    newest = select(func.max(SESSIONS.c.number)).scalar_subquery()
    connection.execute(delete(SESSIONS).where(SESSIONS.c.number <= newest - MOST_SESSIONS))
    if _size(connection) > LARGEST_DATABASE:
        dropped = select(SESSIONS.c.number).order_by(SESSIONS.c.number).limit(DROPPED)
        connection.execute(delete(SESSIONS).where(SESSIONS.c.number.in_(dropped)))


def _drop_old(oldest: datetime, connection: Connection) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.ended < _moment(oldest)))


def _size(connection: Connection) -> int:
    """Return how many bytes of the file are used."""
    count, free, size = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (count - free) * size


def _between[SelectT: Select[Any]](statement: SelectT, since: datetime | None, until: datetime | None) -> SelectT:
    if since is not None:
        statement = statement.where(SESSIONS.c.ended >= _moment(since))
    if until is not None:
        statement = statement.where(SESSIONS.c.ended < _moment(until))
    return statement


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _row(session: SessionRecord) -> dict[str, str | None]:
    lines = [
        [line.code, line.name, line.count, None if line.unit_price is None else str(line.unit_price)]
        for line in session.lines
    ]
    return {
        "basket": session.basket,
        "started": _moment(session.started),
        "ended": _moment(session.ended),
        "outcome": session.outcome.value,
        "currency": session.currency.code,
        "total": None if session.total is None else str(session.total),
        "lines": json.dumps(lines, ensure_ascii=False, separators=(",", ":")),
    }


def _session(row: Row[Any]) -> NumberedSession:
    lines = tuple(
        SessionLine(code, name, count, None if price is None else Decimal(price))
        for code, name, count, price in json.loads(row.lines)
    )
    session = SessionRecord(
        basket=row.basket,
        started=datetime.fromisoformat(row.started),
        ended=datetime.fromisoformat(row.ended),
        outcome=Outcome(row.outcome),
        currency=Currency(row.currency),
        total=None if row.total is None else Decimal(row.total),
        lines=lines,
    )
    return row.number, session
