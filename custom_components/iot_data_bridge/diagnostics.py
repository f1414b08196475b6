"""The diagnostics of a site, and of one device of it."""

from typing import Any

from homeassistant.components import mqtt
from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry

from .const import DOMAIN
from .devices.basket_storage import stored_basket
from .devices.json_values import JsonObject, JsonValue
from .field_devices import BasketDevice, BridgeDevice, BridgedFieldDevice, FieldDevice, PrinterDevice
from .hub import Hub, SiteConfigEntry

# Credentials stand in none of it today; a file's name is what its owner prints.
TO_REDACT = frozenset({"access_code", "file_name", "last_file_name", "password", "token", "username"})
_PLACES = ("latitude", "longitude")


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: SiteConfigEntry) -> dict[str, JsonValue]:
    """Return settings, counters and the state of every device. The broker's password is the MQTT integration's."""
    if entry.state is not ConfigEntryState.LOADED:
        return {"data": dict(entry.data), "options": dict(entry.options), "state": entry.state.value}
    hub = entry.runtime_data
    return _redacted(
        {
            **_settings(hass, entry, hub),
            "refused_messages": hub.refusals.as_json(),
            "superseded_messages": {channel.value: count for channel, count in sorted(hub.limiter.superseded.items())},
            "site": hub.site.site.as_json(),
            "baskets": [*hub.baskets.stored()],
            "printers": [*hub.printers.stored()],
            "bridges": [*hub.bridges.stored()],
        }
    )


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: SiteConfigEntry, device: DeviceEntry
) -> dict[str, JsonValue]:
    """Return the site's settings and the state of this device alone."""
    if entry.state is not ConfigEntryState.LOADED:
        return {"data": dict(entry.data), "options": dict(entry.options), "state": entry.state.value}
    hub = entry.runtime_data
    keys = {key for domain, key in device.identifiers if domain == DOMAIN}
    found = next((each for each in hub.devices() if each.key in keys), None)
    return _redacted(
        {
            **_settings(hass, entry, hub),
            "connected": found is not None and found.connected,
            "device": None if found is None else {"key": found.key, **_state(found)},
        }
    )


def _settings(hass: HomeAssistant, entry: SiteConfigEntry, hub: Hub) -> dict[str, JsonValue]:
    return {
        "data": dict(entry.data),
        "options": dict(entry.options),
        "topic_filters": [*hub.settings.topics.filters()],
        "connected": mqtt.is_connected(hass),
        "currency": hub.settings.currency.code,
        "products": len(hub.prices),
        "session_records_lost": hub.stored_sessions.lost,
    }


def _state(device: FieldDevice) -> JsonObject:
    match device:
        case BasketDevice():
            return stored_basket(device.basket)
        case PrinterDevice():
            return device.printer.as_json()
        case BridgeDevice():
            return device.bridge.as_json()
        case BridgedFieldDevice():
            return device.device.as_json()
    return {}


def _redacted(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    redacted: dict[str, Any] = async_redact_data(data, TO_REDACT | set(_places(data)))
    return redacted


def _places(data: JsonValue) -> list[str]:
    """Return the keys of a place on earth at any depth; a bridged device names its objects freely."""
    if isinstance(data, dict):
        here = [key for key in data if any(place in key.casefold() for place in _PLACES)]
        return here + [key for value in data.values() for key in _places(value)]
    return [key for value in data for key in _places(value)] if isinstance(data, list) else []
