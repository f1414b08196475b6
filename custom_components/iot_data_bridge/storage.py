"""What a site keeps over restarts, since nothing on a basket's wire is retained."""

from typing import TypedDict

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .devices.json_values import JsonObject

VERSION = 1


class StoredSite(TypedDict):
    """The day's figures, and the devices of each family with their last state."""

    site: JsonObject
    baskets: list[JsonObject]
    printers: list[JsonObject]
    bridges: list[JsonObject]


def site_store(hass: HomeAssistant, entry_id: str) -> Store[StoredSite]:
    """Return the storage of the devices, written often."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}")


def price_list_store(hass: HomeAssistant, entry_id: str) -> Store[list[JsonObject]]:
    """Return the storage of the price list, written rarely."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.products")


async def async_remove_storage(hass: HomeAssistant, entry_id: str) -> None:
    """Delete all that a site kept."""
    await site_store(hass, entry_id).async_remove()
    await price_list_store(hass, entry_id).async_remove()
