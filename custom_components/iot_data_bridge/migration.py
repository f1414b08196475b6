"""Bringing the registries and statistics of an older version up to date."""

from homeassistant.components.recorder.const import DOMAIN as RECORDER
from homeassistant.components.recorder.statistics import async_update_statistics_metadata
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntry

from .const import DOMAIN, LOGGER
from .devices.identity import bridge_id_of, bridged_key, object_key

_OLD_BRIDGED = "bridged:"
# Version 1 gave counts a unit, such as baskets.
_COUNTS = frozenset({"baskets_idle", "baskets_in_use", "distinct_products", "items", "items_out", "sessions_today"})


@callback
def separate_bridged_keys(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Give devices behind bridges, and their entities, keys whose parts are told apart (from version 1 to 2).

    Version 1 wrote `bridged:<bridge>:<device>` and `…:<object>`, though each of the three may hold a colon.
    """
    devices = dr.async_get(hass)
    entities = er.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        for domain, old in device.identifiers:
            if domain != DOMAIN or not old.startswith(_OLD_BRIDGED):
                continue
            new = _separated(old, devices, device)
            LOGGER.debug("Renaming %s to %s", old, new)
            devices.async_update_device(device.id, new_identifiers={(DOMAIN, new)})
            for entity in er.async_entries_for_device(entities, device.id, include_disabled_entities=True):
                if entity.platform == DOMAIN and entity.unique_id.startswith(f"{old}:"):
                    name = entity.unique_id.removeprefix(f"{old}:")
                    entities.async_update_entity(entity.entity_id, new_unique_id=object_key(new, name))


def _separated(old: str, devices: dr.DeviceRegistry, device: DeviceEntry) -> str:
    rest = old.removeprefix(_OLD_BRIDGED)
    parent = None if device.via_device_id is None else devices.async_get(device.via_device_id)
    for domain, key in () if parent is None else parent.identifiers:
        # Only the bridge tells where its id ends.
        if domain == DOMAIN and (bridge_id := bridge_id_of(key)) is not None and rest.startswith(f"{bridge_id}:"):
            return bridged_key(bridge_id, rest.removeprefix(f"{bridge_id}:"))
    bridge_id, _, device_id = rest.partition(":")
    return bridged_key(bridge_id, device_id)


@callback
def drop_units_of_counts(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Let the statistics of counts go on without the unit that they had (from version 1 to 2).

    Home Assistant would ask for each of them what is to be done about the change.
    """
    if RECORDER not in hass.config.components:
        return
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        if entity.unique_id.rpartition(":")[2] in _COUNTS:
            async_update_statistics_metadata(hass, entity.entity_id, new_unit_class=None, new_unit_of_measurement=None)
