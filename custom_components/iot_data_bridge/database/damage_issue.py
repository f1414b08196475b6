"""The repair of a site whose database was damaged."""

from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from ..markdown import escaped


@callback
def show_damaged_database(hass: HomeAssistant, entry: ConfigEntry, files: list[Path]) -> None:
    """Raise the issue of the newest damaged file, or withdraw it when all of them were deleted."""
    if not files:
        delete_damaged_database_issue(hass, entry.entry_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(entry.entry_id),
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key="database_damaged",
        translation_placeholders={"site": escaped(entry.title), "file": escaped(str(files[-1]), 1000)},
    )


@callback
def delete_damaged_database_issue(hass: HomeAssistant, entry_id: str) -> None:
    """Withdraw the issue."""
    ir.async_delete_issue(hass, DOMAIN, _issue_id(entry_id))


def _issue_id(entry_id: str) -> str:
    return f"database_damaged_{entry_id}"
