"""The storage of a site: a basket's messages are not retained."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypedDict

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .damaged_files import copy_damaged, damaged_files, delete_damaged
from .database.site_database import database_path, remove_database
from .devices.identity import basket_key, bridge_key, bridged_key, printer_key
from .devices.json_values import JsonObject, JsonValue, to_moment

VERSION = 1
SAVE_SECONDS = 10.0
# The least time between two writes of the sessions: a flood of commands must not wear the disk.
SESSIONS_SECONDS = 1.0


class StoredSite(TypedDict):
    """The day's figures, and the devices of each collection with their last state."""

    site: JsonObject
    baskets: list[JsonObject]
    printers: list[JsonObject]
    bridges: list[JsonObject]


class RunningSessions(TypedDict):
    """The state that changes rarely and is stored at once: the day's figures, and the beginnings of the sessions.

    `sessions` has the roots of the baskets in use and ISO 8601 times. It outranks the sessions of `StoredSite`.
    """

    site: JsonObject
    sessions: JsonObject


class SiteStorage:
    """The stores of a loaded site: one for the rare changes, written at once, and one for everything, written soon."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        everything: Callable[[], StoredSite],
        sessions: Callable[[], RunningSessions],
    ) -> None:
        self._hass = hass
        self._store = site_store(hass, entry_id)
        self._sessions_store = sessions_store(hass, entry_id)
        self._everything = everything
        self._sessions = sessions
        self._save_waits = False
        self._sessions_saved: float | None = None

    async def async_load(self) -> JsonObject:
        """Return everything that was stored; a key that is missing was not stored, or is damaged."""
        stored: object = await self._store.async_load()
        return stored if isinstance(stored, dict) else {}

    async def async_load_sessions(self) -> tuple[JsonValue, dict[str, datetime] | None]:
        """Return the day's figures and the beginning of each session by its root; None where there are none."""
        stored: object = await self._sessions_store.async_load()
        sessions = stored.get("sessions") if isinstance(stored, dict) else None
        if not isinstance(stored, dict) or not isinstance(sessions, dict):
            return None, None
        return stored.get("site"), {
            str(root): started for root, text in sessions.items() if (started := to_moment(text)) is not None
        }

    @callback
    def save_soon(self) -> None:
        """Store everything within `SAVE_SECONDS`."""
        # A second delayed save restarts the delay: a steady stream of messages would postpone it for ever.
        if not self._save_waits:
            self._save_waits = True
            self._store.async_delay_save(self._take_everything, SAVE_SECONDS)

    @callback
    def save_sessions(self) -> None:
        """Store the rare changes now; of many at once, those of a second together."""
        now = self._hass.loop.time()
        if self._sessions_saved is not None and self._sessions_saved > now:
            return
        waits = 0.0 if self._sessions_saved is None else max(0.0, self._sessions_saved + SESSIONS_SECONDS - now)
        self._sessions_saved = now + waits
        if waits:
            self._sessions_store.async_delay_save(self._sessions, waits)
        else:
            self._hass.async_create_task(self._sessions_store.async_save(self._sessions()), "iot_data_bridge sessions")

    async def async_save(self) -> None:
        """Store all of it now."""
        await self._sessions_store.async_save(self._sessions())
        await self._store.async_save(self._take_everything())

    async def async_keep_damaged(self) -> None:
        """Keep a copy of the file in which a device is damaged; the next save leaves that device out."""
        await self._hass.async_add_executor_job(copy_damaged, Path(self._store.path), dt_util.utcnow())

    async def async_damaged_files(self) -> list[Path]:
        """Return the copies of damaged files that were not deleted since, oldest first."""
        return await self._hass.async_add_executor_job(damaged_files, Path(self._store.path))

    def _take_everything(self) -> StoredSite:
        self._save_waits = False
        return self._everything()


def site_store(hass: HomeAssistant, entry_id: str) -> Store[StoredSite]:
    """Return the storage of the devices, written often."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}")


def sessions_store(hass: HomeAssistant, entry_id: str) -> Store[RunningSessions]:
    """Return the storage of the sessions and the day's figures."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.sessions")


def old_price_list_store(hass: HomeAssistant, entry_id: str) -> Store[list[JsonObject]]:
    """Return the storage of the price list of version 0.1.0, which the database takes over."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.products")


def left_out_products_store(hass: HomeAssistant, entry_id: str) -> Store[list[JsonObject]]:
    """Return the storage of products of version 0.1.0 that the database could not take over."""
    return Store(hass, VERSION, f"{DOMAIN}.{entry_id}.products_left_out")


async def async_remove_stored_devices(hass: HomeAssistant, entry_id: str, keys: frozenset[str]) -> None:
    """Delete devices from the storage of a site that is not loaded."""
    sessions = sessions_store(hass, entry_id)
    if (stored_sessions := await sessions.async_load()) is not None:
        for root in [root for root in stored_sessions["sessions"] if basket_key(root) in keys]:
            del stored_sessions["sessions"][root]
        await sessions.async_save(stored_sessions)
    store = site_store(hass, entry_id)
    if (stored := await store.async_load()) is None:
        return
    stored["baskets"] = [item for item in stored["baskets"] if _key(basket_key, item, "root") not in keys]
    stored["printers"] = [item for item in stored["printers"] if _key(printer_key, item, "uuid") not in keys]
    stored["bridges"] = [item for item in stored["bridges"] if _key(bridge_key, item, "bridge_id") not in keys]
    for bridge in stored["bridges"]:
        devices = bridge.get("devices") if _is_object(bridge) else None
        if not isinstance(devices, list):
            continue
        key = partial(bridged_key, str(bridge.get("bridge_id")))
        bridge["devices"] = [device for device in devices if _key(key, device, "id") not in keys]
    await store.async_save(stored)


def _key(key: Callable[[str], str], item: object, name: str) -> str | None:
    """Return the key of a stored device; None of a damaged one, which is left for the next start to say so."""
    return key(str(item[name])) if isinstance(item, dict) and name in item else None


def _is_object(item: object) -> bool:
    return isinstance(item, dict)


async def async_remove_storage(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the stored data of a site."""
    store = site_store(hass, entry_id)
    await store.async_remove()
    await hass.async_add_executor_job(delete_damaged, Path(store.path))
    await sessions_store(hass, entry_id).async_remove()
    await old_price_list_store(hass, entry_id).async_remove()
    await left_out_products_store(hass, entry_id).async_remove()
    await hass.async_add_executor_job(remove_database, database_path(hass, entry_id))
