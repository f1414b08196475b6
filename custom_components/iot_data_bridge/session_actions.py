"""The action that exports the record of sessions."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import voluptuous as vol
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from .action_calls import SITE_FIELD, hub_of, invalid
from .const import DOMAIN, LOGGER
from .hub import Hub
from .session_export import BYTE_ORDER_MARK, async_csv

ATTR_FILENAME: Final = "filename"
ATTR_FROM: Final = "from"
ATTR_UNTIL: Final = "until"
# More are a file, not an answer.
MOST_ANSWERED = 10_000

EXPORT_SCHEMA = vol.Schema(
    {
        **SITE_FIELD,
        vol.Optional(ATTR_FROM): cv.datetime,
        vol.Optional(ATTR_UNTIL): cv.datetime,
        vol.Optional(ATTR_FILENAME): cv.string,
    }
)


@callback
def async_setup_session_actions(hass: HomeAssistant) -> None:
    """Register the action of the record of sessions."""
    hass.services.async_register(
        DOMAIN, "export_sessions", _async_export_sessions, EXPORT_SCHEMA, SupportsResponse.OPTIONAL
    )


async def _async_export_sessions(call: ServiceCall) -> ServiceResponse:
    hub = hub_of(call)
    since, until = _moment(call, ATTR_FROM), _moment(call, ATTR_UNTIL)
    filename: str | None = call.data.get(ATTR_FILENAME)
    if filename is None and not call.return_response:
        raise invalid("nothing_to_export_to")
    if filename is not None and not call.hass.config.is_allowed_path(filename):
        raise invalid("path_not_allowed", path=filename)
    count = await hub.stored_sessions.async_count(since, until)
    if filename is None:
        if count > MOST_ANSWERED:
            raise invalid("too_many_sessions", count=f"{count:,}", most=f"{MOST_ANSWERED:,}")
        return {
            "sessions": count,
            "csv": "".join([part async for part in async_csv(call.hass, hub.stored_sessions, since, until)]),
        }
    await _async_write(hub, Path(filename), since, until)
    return {"sessions": count, "filename": filename} if call.return_response else None


async def _async_write(hub: Hub, path: Path, since: datetime | None, until: datetime | None) -> None:
    """Write the table to a file, which is the old one until the new one is whole."""
    run = hub.hass.async_add_executor_job
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        await run(_append, unfinished, BYTE_ORDER_MARK, "w")
        async for part in async_csv(hub.hass, hub.stored_sessions, since, until):
            await run(_append, unfinished, part, "a")
        await run(unfinished.replace, path)
    except OSError as error:
        LOGGER.error("The sessions cannot be written to %s: %s", path, error)
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="file_not_written", translation_placeholders={"path": str(path)}
        ) from error
    finally:
        with suppress(OSError):
            await run(unfinished.unlink, True)


def _append(path: Path, text: str, mode: str) -> None:
    with path.open(mode, encoding="utf-8", newline="") as file:
        file.write(text)


def _moment(call: ServiceCall, name: str) -> datetime | None:
    """Return a moment; one without an offset is in Home Assistant's time zone."""
    given: datetime | None = call.data.get(name)
    if given is None:
        return None
    return dt_util.as_utc(given)
