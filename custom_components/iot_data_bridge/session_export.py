"""The record of sessions as a CSV table: made page by page, in a file, an answer or a download."""

from collections.abc import AsyncIterator
from datetime import datetime

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .database.stored_sessions import StoredSessions
from .devices.sessions import csv_header, csv_lines

# By which spreadsheets know that a file is UTF-8.
BYTE_ORDER_MARK = "\ufeff"


async def async_csv(
    hass: HomeAssistant, sessions: StoredSessions, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[str]:
    """Return the table of the sessions that ended in a time, in parts, its times in Home Assistant's time zone.

    Raises:
        HomeAssistantError: the database cannot be read.
    """
    yield csv_header()
    zone = dt_util.get_default_time_zone()
    after = 0
    while page := await sessions.async_page(after, since, until):
        yield await hass.async_add_executor_job(csv_lines, page, zone)
        after = page[-1][0]
