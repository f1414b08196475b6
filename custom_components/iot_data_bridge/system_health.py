"""The section of the system information page."""

from homeassistant.components import mqtt
from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .hub import SiteConfigEntry


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register the page's section."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, object]:
    entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    hubs = [entry.runtime_data for entry in entries]
    return {
        "sites": len(hubs),
        "broker_connected": bool(hubs) and mqtt.is_connected(hass),
        "baskets": sum(len(hub.baskets.by_root) for hub in hubs),
        "products": sum(len(hub.prices) for hub in hubs),
        "refused_messages": sum(hub.refusals.counts.total() for hub in hubs),
    }
