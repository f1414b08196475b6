"""The hub of one config entry: its subscriptions, devices, storage and timers."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from homeassistant.components import mqtt
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .baskets import Baskets
from .bridges import Bridges
from .clock import instant_now
from .commands import BasketCommander
from .const import DOMAIN, LOGGER
from .damage_repairs import Damage, show_damage
from .database.site_database import SiteDatabase
from .database.stored_prices import StoredPrices
from .database.stored_sessions import StoredSessions
from .devices.admission import Admission, DeviceKind
from .devices.day_figures import DayFigures
from .devices.errors import DamagedStateError, MalformedMessageError
from .devices.identity import is_read
from .devices.instant import Instant
from .devices.json_values import JsonObject
from .devices.products import PriceList
from .devices.site import Site
from .devices.topics import Channel, update_topic_of
from .entity_budget import EntityBudget
from .field_devices import FieldDevice, SiteDevice
from .message_limiter import SNAPSHOTS, MessageLimiter
from .price_repairs import PriceRepairs
from .printers import Printers
from .refusals import Refusals
from .session_log import SessionLog
from .settings import SiteSettings
from .storage import RunningSessions, SiteStorage, StoredSite
from .subscriptions import SiteSubscriptions

type SiteConfigEntry = ConfigEntry[Hub]
type BuildEntities = Callable[[FieldDevice], Iterable[Entity]]

CLOCK_INTERVAL = timedelta(seconds=5)


class Hub:
    """The devices of one site. Platforms are added first; then `async_start` lets messages in."""

    def __init__(self, hass: HomeAssistant, entry: SiteConfigEntry, subscriptions: SiteSubscriptions) -> None:
        self.hass = hass
        self.entry_id = entry.entry_id
        self.settings = SiteSettings.of(hass, entry)
        self.connected = mqtt.is_connected(hass)
        # The beginning of the current gapless subscription; None without one.
        self.subscribed_since: Instant | None = None
        self.refusals = Refusals()
        self._entry = entry
        self._admission = Admission(self.settings.accept_until)
        self._entities = EntityBudget(hass, entry)
        self._platforms: list[tuple[Platform, AddConfigEntryEntitiesCallback, BuildEntities]] = []
        self.storage = SiteStorage(hass, entry.entry_id, self._stored, self._running_sessions)
        self.subscriptions = subscriptions
        self._timers: list[CALLBACK_TYPE] = []
        self._stopped = True

        info = dr.DeviceInfo(name=entry.title, model="Site", entry_type=dr.DeviceEntryType.SERVICE)
        self.site = SiteDevice(entry.entry_id, Site(self.settings.currency, DayFigures.begin(dt_util.now())), info)
        self.site.connected = self.connected
        self.site_device_id = self.register(self.site)
        self.prices = PriceList(self.settings.currency)
        self.commander = BasketCommander(hass, entry, subscriptions, self.settings.command_expiry)
        self.database = SiteDatabase(hass, entry.entry_id)
        self.stored_sessions = StoredSessions(hass, self.database, self.settings.keep_sessions)
        self.baskets = Baskets(
            self,
            settings=self.settings,
            prices=self.prices,
            commander=self.commander,
            site=self.site,
            repairs=PriceRepairs(hass, entry),
            sessions=SessionLog(self.site.site, self.stored_sessions),
        )
        self.stored_prices = StoredPrices(hass, entry.entry_id, self.database, self.prices, self.baskets.reprice)
        self.printers = Printers(self)
        self.bridges = Bridges(self)
        self._collections = (self.baskets, self.printers, self.bridges)
        self.limiter = MessageLimiter(hass, self._handle, self.refuse)
        self._handlers = {
            channel: handler for collection in self._collections for channel, handler in collection.handlers().items()
        }

    async def async_load(self) -> None:
        """Restore the price list, and every stored device that the site's topics still match.

        Raises:
            HomeAssistantError: the database can be neither opened nor made.
        """
        await self.database.async_open()
        show_damage(self.hass, self._entry, Damage.DATABASE, await self.database.async_damaged_files())
        await self.stored_prices.async_load()
        await self.stored_sessions.async_drop_old(dt_util.utcnow())
        self._drop_what_is_not_read()
        stored = await self.storage.async_load()
        figures, sessions = await self.storage.async_load_sessions()
        same_currency = self.site.site.restore(stored.get("site") if figures is None else figures, dt_util.now())
        if self._restore(stored):
            await self.storage.async_keep_damaged()
        show_damage(self.hass, self._entry, Damage.DEVICES, await self.storage.async_damaged_files())
        if sessions is not None:
            self.baskets.restore_sessions(sessions)
        if not same_currency:
            self.baskets.forget_amounts()
        self.baskets.summarise()

    def _restore(self, stored: JsonObject) -> bool:
        """Restore every device that is not damaged, and tell whether one is."""
        damaged = False
        for collection, name in ((self.baskets, "baskets"), (self.printers, "printers"), (self.bridges, "bridges")):
            items = stored.get(name, [])
            if not isinstance(items, list):
                damaged, items = True, []
            for item in items:
                try:
                    collection.restore(item)
                except DamagedStateError as error:
                    LOGGER.error(
                        "One of the stored %s of %s is left out: its %s is damaged", name, self.entry_id, error
                    )
                    damaged = True
        return damaged

    @callback
    def start(self) -> None:
        """Take the messages that were held and those to come, until `stop`; may be called again after it."""
        self._stopped = False
        self.commander.start()
        self.baskets.summarise()
        self._timers += [
            mqtt.async_subscribe_connection_status(self.hass, self._on_connection),
            async_track_time_interval(self.hass, self._on_clock, CLOCK_INTERVAL),
        ]
        self.subscribed_since = instant_now() if self.connected else None
        # The connection may have changed while storage was read and platforms were set up.
        if (connected := mqtt.is_connected(self.hass)) != self.connected:
            self._on_connection(connected)
        if not self.subscriptions.complete:
            self.baskets.mark_uncertain()
        self.subscriptions.deliver_to(self.dispatch)
        if self.connected:
            self.baskets.catch_up()

    @callback
    def stop(self) -> None:
        """Take no more messages, send none, and cancel the timers; a second call does nothing."""
        if self._stopped:
            return
        self.subscriptions.hold()
        self.limiter.stop()
        self._stopped = True
        while self._timers:
            self._timers.pop()()
        self.commander.stop()
        self.baskets.stop()

    @callback
    def apply(self, entry: SiteConfigEntry) -> bool:
        """Apply changed settings and a changed title; False when they need the site to be set up anew."""
        settings = SiteSettings.of(self.hass, entry)
        if (settings.topics, settings.currency) != (self.settings.topics, self.settings.currency):
            return False
        if self.site.info.get("name") != entry.title:
            self.site.info["name"] = entry.title
            self.register(self.site)
        self.settings = settings
        self._admission.until = settings.accept_until
        self.commander.set_expiry(settings.command_expiry)
        self.stored_sessions.keep = settings.keep_sessions
        self.baskets.apply(settings)
        return True

    async def async_save(self) -> None:
        """Store the site's state now."""
        await self.storage.async_save()

    @callback
    def add_platform(
        self, platform: Platform, add_entities: AddConfigEntryEntitiesCallback, build: BuildEntities
    ) -> None:
        """Register a platform, which builds entities for every present and future device."""
        self._platforms.append((platform, add_entities, build))
        add_entities(self._entities.admit(platform, [entity for device in self.devices() for entity in build(device)]))

    def devices(self) -> list[FieldDevice]:
        """Return every device of the site."""
        return [self.site, *(device for collection in self._collections for device in collection.devices())]

    @callback
    def remove(self, key: str) -> bool:
        """Remove a device; its next message creates it again. False for the site itself."""
        if not any(collection.remove(key) for collection in self._collections):
            return False
        self.save_soon()
        return True

    def register(self, device: FieldDevice) -> str:
        """Put a device into the registry, or bring its entry up to date, and return its id there."""
        return dr.async_get(self.hass).async_get_or_create(config_entry_id=self.entry_id, **device.info).id

    def build(self, device: FieldDevice) -> None:
        """Let every platform build the entities that the device lacks."""
        for platform, add_entities, build in self._platforms:
            if entities := self._entities.admit(platform, build(device)):
                add_entities(entities)

    def admit(self, kind: DeviceKind, key: str, name: str, present: int) -> None:
        """Accept a new device with this name beside `present` others of its kind.

        Raises:
            MalformedMessageError: the reason, see `Admission.check`.
        """
        registry = dr.async_get(self.hass)
        # A device of the registry is not new, even if the storage lacks it.
        known = registry.async_get_device_by_identifier((DOMAIN, key), self.entry_id) is not None
        self._admission.check(kind, name, present, None if known else dt_util.utcnow())

    def refuse(self, channel: Channel, topic: str, error: MalformedMessageError) -> None:
        """Count a message that cannot be used."""
        self.refusals.add(channel, topic, error)

    @callback
    def dispatch(self, channel: Channel, message: ReceiveMessage) -> None:
        """Let a handler take a message, now or when the rate of its topic allows."""
        if self._stopped:
            return
        if channel is Channel.BASKET_COMMAND:
            # The basket sent its update before the command.
            self.limiter.release(update_topic_of(message.topic))
        if channel not in SNAPSHOTS or message.retain or self.limiter.admits(channel, message):
            self._handle(channel, message)

    def _handle(self, channel: Channel, message: ReceiveMessage) -> None:
        """Let a handler take a message. One that it cannot use costs the site nothing but a count."""
        try:
            self._handlers[channel](message)
        except MalformedMessageError as error:
            self.refuse(channel, message.topic, error)
        except Exception as error:  # noqa: BLE001 -- a stranger's message must not stop the others, whatever it meets
            self.refusals.add_defect(channel, message.topic, error)

    def save_soon(self) -> None:
        """Store the site's state soon."""
        if not self._stopped:
            self.storage.save_soon()

    def save_sessions(self) -> None:
        """Store the sessions and the day's figures at once."""
        if not self._stopped:
            self.storage.save_sessions()

    def reads(self, key: str) -> bool:
        """Tell whether the site's topics match the messages of the device with this key."""
        return is_read(key, self.settings.topics)

    def _drop_what_is_not_read(self) -> None:
        """Remove devices from the registry that the site's topics do not match any more."""
        registry = dr.async_get(self.hass)
        for device in dr.async_entries_for_config_entry(registry, self.entry_id):
            if not all(self.reads(key) for domain, key in device.identifiers if domain == DOMAIN):
                registry.async_remove_device(device.id)

    @callback
    def _on_connection(self, connected: bool) -> None:
        """Make all entities unavailable without the broker, and available with their last values after it is back."""
        self.connected = connected
        if not connected:
            self.baskets.mark_uncertain()
        self.subscribed_since = instant_now() if connected else None
        self.site.set_connected(connected)
        for collection in self._collections:
            collection.set_connected(connected)

    @callback
    def _on_clock(self, _: datetime) -> None:
        now = instant_now()
        for collection in self._collections:
            collection.check_timeouts(now)
        if self.site.site.turn_day(dt_util.as_local(now.utc)):
            self.site.refresh()
            self.save_sessions()

    def _running_sessions(self) -> RunningSessions:
        sessions = self.baskets.sessions()
        return {
            "site": self.site.site.as_json(),
            "sessions": {root: started.isoformat() for root, started in sessions.items()},
        }

    def _stored(self) -> StoredSite:
        return {
            "site": self.site.site.as_json(),
            "baskets": self.baskets.stored(),
            "printers": self.printers.stored(),
            "bridges": self.bridges.stored(),
        }
