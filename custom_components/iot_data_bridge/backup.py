"""Backups: every site's database is sound in them, though sites go on writing."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .const import DOMAIN, LOGGER
from .hub import SiteConfigEntry


async def async_pre_backup(hass: HomeAssistant) -> None:
    """Bring the databases' files up to date, and leave them as they are until the backup is made."""
    entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        try:
            await entry.runtime_data.database.async_begin_backup()
        except HomeAssistantError as error:
            # A backup without the latest changes of one site is better than none.
            LOGGER.warning("The database of %s could not be prepared for the backup: %s", entry.title, error)


async def async_post_backup(hass: HomeAssistant) -> None:
    """Let the databases' files change again."""
    entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    for entry in entries:
        try:
            await entry.runtime_data.database.async_end_backup()
        except HomeAssistantError as error:
            LOGGER.warning("The database of %s could not be set back after the backup: %s", entry.title, error)
