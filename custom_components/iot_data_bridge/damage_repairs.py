"""The repairs of a site whose files were damaged."""

from enum import StrEnum
from pathlib import Path

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .markdown import escaped


class Damage(StrEnum):
    """What was damaged, as the translations name it."""

    DATABASE = "database_damaged"
    DEVICES = "devices_damaged"


@callback
def show_damage(hass: HomeAssistant, entry: ConfigEntry, damage: Damage, files: list[Path]) -> None:
    """Raise the issue of the newest damaged file, or withdraw it when all of them were deleted."""
    if not files:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(damage, entry.entry_id))
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        _issue_id(damage, entry.entry_id),
        is_fixable=False,
        severity=ir.IssueSeverity.ERROR,
        translation_key=damage.value,
        translation_placeholders={"site": escaped(entry.title), "file": escaped(str(files[-1]), 1000)},
    )


@callback
def delete_damage_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Withdraw the issues of a removed site."""
    for damage in Damage:
        ir.async_delete_issue(hass, DOMAIN, _issue_id(damage, entry_id))


def _issue_id(damage: Damage, entry_id: str) -> str:
    return f"{damage}_{entry_id}"
