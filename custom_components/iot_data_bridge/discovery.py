"""Discovered bridges: at most five questions at a time, and a bridge is offered again when its site is deleted."""

from types import MappingProxyType

from homeassistant.config_entries import SOURCE_MQTT, ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import discovery_flow
from homeassistant.helpers.discovery_flow import DiscoveryKey
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .devices.admission import MOST_DEVICES, DeviceKind

# A publisher that invents bridges must not fill the administrator's page.
MOST_OPEN_FLOWS = 5
_MOST_KEPT = MOST_DEVICES[DeviceKind.BRIDGE]
_MQTT = "mqtt"
_WAITING: HassKey[dict[str, MqttServiceInfo]] = HassKey(f"{DOMAIN}_waiting_hellos")


@callback
def keep_hello(hass: HomeAssistant, info: MqttServiceInfo) -> None:
    """Keep a hello for which no question can be asked now; the MQTT integration hands on each one once."""
    waiting = hass.data.setdefault(_WAITING, {})
    if info.topic in waiting or len(waiting) < _MOST_KEPT:
        waiting[info.topic] = info


@callback
def drop_hello(hass: HomeAssistant, topic: str) -> None:
    """Forget a hello that its bridge has cleared."""
    hass.data.get(_WAITING, {}).pop(topic, None)


@callback
def ask_next(hass: HomeAssistant) -> None:
    """Start the flow of the hello that waits longest."""
    if waiting := hass.data.get(_WAITING):
        topic = next(iter(waiting))
        key = DiscoveryKey(domain=_MQTT, key=topic, version=1)
        discovery_flow.async_create_flow(hass, DOMAIN, {"source": SOURCE_MQTT}, waiting.pop(topic), discovery_key=key)


@callback
def remember_reader(hass: HomeAssistant, entry: ConfigEntry, key: DiscoveryKey | None) -> None:
    """Let Home Assistant offer a bridge again when the site that reads it is deleted.

    Home Assistant does so for the discovery keys of an entry, and adds them by itself only for the entry's unique id.
    """
    if key is None or key in (known := entry.discovery_keys.get(key.domain, ())):
        return
    keys = {**entry.discovery_keys, key.domain: (*known, key)[-_MOST_KEPT:]}
    hass.config_entries.async_update_entry(entry, discovery_keys=MappingProxyType(keys))
