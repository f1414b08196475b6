"""The storage of a site: a basket's messages are not retained."""

from typing import TypedDict

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .database.site_database import database_path, remove_database
from .devices.identity import basket_key, bridge_key, bridged_key, printer_key
from .devices.json_values import JsonObject

VERSION = 1


class StoredSite(TypedDict):
    """The day's figures, and the devices of each collection with their last state."""

    site: JsonObject
    baskets: list[JsonObject]
    printers: list[JsonObject]
    bridges: list[JsonObject]


def site_store(hass: HomeAssistant, entry_id: str) -> Store[StoredSite]:
    """Return the storage of the devices, written often."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}")


def old_price_list_store(hass: HomeAssistant, entry_id: str) -> Store[list[JsonObject]]:
    """Return the storage of the price list of version 0.1.0, which the database takes over."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.products")


def left_out_products_store(hass: HomeAssistant, entry_id: str) -> Store[list[JsonObject]]:
    """Return the storage of products of version 0.1.0 that the database could not take over."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.products_left_out")


async def async_remove_stored_devices(hass: HomeAssistant, entry_id: str, keys: frozenset[str]) -> None:
    """Delete devices from the storage of a site that is not loaded."""
    store = site_store(hass, entry_id)
    if (stored := await store.async_load()) is None:
        return
    stored["baskets"] = [basket for basket in stored["baskets"] if basket_key(str(basket["root"])) not in keys]
    stored["printers"] = [printer for printer in stored["printers"] if printer_key(str(printer["uuid"])) not in keys]
    stored["bridges"] = [bridge for bridge in stored["bridges"] if bridge_key(str(bridge["bridge_id"])) not in keys]
    for bridge in stored["bridges"]:
        devices = bridge.get("devices")
        bridge["devices"] = [
            device
            for device in (devices if isinstance(devices, list) else ())
            if isinstance(device, dict) and bridged_key(str(bridge["bridge_id"]), str(device["id"])) not in keys
        ]
    await store.async_save(stored)


async def async_remove_storage(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the stored data of a site."""
    await site_store(hass, entry_id).async_remove()
    await old_price_list_store(hass, entry_id).async_remove()
    await left_out_products_store(hass, entry_id).async_remove()
    await hass.async_add_executor_job(remove_database, database_path(hass, entry_id))
