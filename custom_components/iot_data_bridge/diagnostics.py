"""The diagnostics of a site."""

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .devices.json_values import JsonValue
from .hub import SiteConfigEntry


async def async_get_config_entry_diagnostics(hass: HomeAssistant, entry: SiteConfigEntry) -> dict[str, JsonValue]:
    """Return settings, counters and the state of every device. The broker's password is the MQTT integration's."""
    if entry.state is not ConfigEntryState.LOADED:
        return {"data": dict(entry.data), "options": dict(entry.options), "state": entry.state.value}
    hub = entry.runtime_data
    topics = hub.settings.topics
    return {
        "data": dict(entry.data),
        "options": dict(entry.options),
        "topic_filters": [*topics.filters()],
        "connected": mqtt.is_connected(hass),
        "currency": hub.settings.currency.code,
        "products": len(hub.prices),
        "refused_messages": hub.refusals.as_json(),
        "superseded_messages": {channel.value: count for channel, count in sorted(hub.limiter.superseded.items())},
        "site": hub.site.site.as_json(),
        "baskets": [*hub.baskets.stored()],
        "printers": [*hub.printers.stored()],
        "bridges": [*hub.bridges.stored()],
    }
