"""IoT Data Bridge: smart baskets, 3D printers and bridged devices in Home Assistant."""

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady, HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import AnyDeviceEntry
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN, VERSION
from .damage_repairs import delete_damage_issues
from .devices.identity import site_key
from .hub import Hub, SiteConfigEntry
from .migration import drop_units_of_counts, separate_bridged_keys
from .price_repairs import async_delete_price_repairs
from .services import async_setup_services
from .session_download import SessionsView
from .settings import topics_of
from .storage import async_remove_storage, async_remove_stored_devices
from .subscriptions import SiteSubscriptions, end_kept_subscriptions, kept_subscriptions

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)

PLATFORMS = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.TODO,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions and the download, which exist with or without a site."""
    async_setup_services(hass)
    hass.http.register_view(SessionsView())
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SiteConfigEntry) -> bool:
    """Set up a site: platforms first, then the hub lets messages in."""
    if not await mqtt.async_wait_for_mqtt_client(hass):
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="mqtt_unavailable")
    subscriptions = SiteSubscriptions(hass, topics_of(entry))
    await subscriptions.async_open(kept_subscriptions(hass, entry.entry_id))
    try:
        hub = Hub(hass, entry, subscriptions)
        # Called in reverse order.
        entry.async_on_unload(hub.database.async_close)
        entry.async_on_unload(hub.stop)
        await hub.async_load()
        entry.runtime_data = hub
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except HomeAssistantError as error:
        subscriptions.close()
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=error.translation_key,
            translation_placeholders=error.translation_placeholders,
        ) from error
    except BaseException:
        subscriptions.close()
        raise
    entry.async_on_unload(entry.add_update_listener(_async_on_update))
    hub.start()
    return True


async def _async_on_update(hass: HomeAssistant, entry: SiteConfigEntry) -> None:
    """Apply changed options and titles at once; topics and currency need a reload."""
    if not entry.runtime_data.apply(entry):
        hass.config_entries.async_schedule_reload(entry.entry_id)


async def async_migrate_entry(hass: HomeAssistant, entry: SiteConfigEntry) -> bool:
    """Bring a site of an older version up to date; one of a newer version cannot be read."""
    if entry.version > VERSION:
        return False
    if entry.version == 1:
        separate_bridged_keys(hass, entry)
        drop_units_of_counts(hass, entry)
    hass.config_entries.async_update_entry(entry, version=VERSION)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: SiteConfigEntry) -> bool:
    """Unload a site, hub first, and store the last state of its devices."""
    hub = entry.runtime_data
    # A message that came while platforms unload would build entities that are never unloaded: it is held.
    hub.stop()
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        hub.start()
        return False
    await hub.async_save()
    if entry.disabled_by is None and not hass.is_stopping:
        hub.subscriptions.keep_for_reload(entry.entry_id)
    else:
        hub.subscriptions.close()
    return True


async def async_remove_entry(hass: HomeAssistant, entry: SiteConfigEntry) -> None:
    """Delete the stored data of a removed site."""
    end_kept_subscriptions(hass, entry.entry_id)
    await async_remove_storage(hass, entry.entry_id)
    async_delete_price_repairs(hass, entry.entry_id)
    delete_damage_issues(hass, entry.entry_id)


async def async_remove_config_entry_device(
    hass: HomeAssistant, config_entry: SiteConfigEntry, device_entry: AnyDeviceEntry
) -> bool:
    """Let the user delete a device, but not the site itself; it appears again with its next message."""
    keys = [key for domain, key in device_entry.identifiers if domain == DOMAIN]
    # In any other state the site's hub may still hold the device and would write it over the storage.
    if site_key(config_entry.entry_id) in keys or not config_entry.state.recoverable:
        return False
    if config_entry.state is ConfigEntryState.LOADED:
        for key in keys:
            config_entry.runtime_data.remove(key)
    else:
        await async_remove_stored_devices(hass, config_entry.entry_id, frozenset(keys))
    return True
