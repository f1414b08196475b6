"""One config entry at work: its subscriptions, and the way of each message to its device."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from homeassistant.components import mqtt
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_call_later, async_track_time_change, async_track_time_interval
from homeassistant.util import dt as dt_util

from .commands import BasketCommander
from .const import DOMAIN, LOGGER
from .devices.basket import Basket, BasketEvent
from .devices.basket_messages import BasketCommand, CommandKind, parse_availability, parse_command, parse_update
from .devices.bridged import (
    Bridge,
    BridgedDevice,
    CatalogDevice,
    parse_catalog,
    parse_catalog_device,
    parse_hello,
    parse_state,
)
from .devices.dialects.factor import parse_status
from .devices.errors import MalformedMessageError
from .devices.json_values import JsonObject
from .devices.printer import Printer
from .devices.products import PriceList, PriceListChange, PriceListError, Product
from .devices.site import Site
from .devices.topics import BASKET_SUFFIXES, FACTOR_STATUS_PREFIX, Channel
from .field_devices import (
    BasketDevice,
    BridgeDevice,
    BridgedFieldDevice,
    FieldDevice,
    PrinterDevice,
    SiteDevice,
    bridged_key,
)
from .settings import SiteSettings
from .storage import StoredSite, price_list_store, site_store

type SiteConfigEntry = ConfigEntry[Hub]
type BuildEntities = Callable[[FieldDevice], Iterable[Entity]]

SAVE_SECONDS = 10.0
SITE_SECONDS = 1.0
CLOCK_INTERVAL = timedelta(seconds=5)

_UPDATE_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_UPDATE])
_COMMAND_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_COMMAND])
_AVAILABILITY_TAIL = len(BASKET_SUFFIXES[Channel.BASKET_AVAILABILITY])
_FACTOR_HEAD = len(FACTOR_STATUS_PREFIX)


class Hub:
    """The devices of one site. Platforms are added first; then `async_start` lets messages in."""

    def __init__(self, hass: HomeAssistant, entry: SiteConfigEntry) -> None:
        self.hass = hass
        self.entry = entry
        self.settings = SiteSettings.of(hass, entry)
        self.prices = PriceList(self.settings.currency)
        self.commander = BasketCommander(hass, entry, self.settings.command_expiry)
        self.baskets: dict[str, BasketDevice] = {}
        self.printers: dict[str, PrinterDevice] = {}
        self.bridges: dict[str, BridgeDevice] = {}
        self.bridged: dict[str, BridgedFieldDevice] = {}
        self.refused: Counter[tuple[Channel, str]] = Counter()
        self._platforms: list[tuple[AddConfigEntryEntitiesCallback, BuildEntities]] = []
        self._store = site_store(hass, entry.entry_id)
        self._price_store = price_list_store(hass, entry.entry_id)
        self._connected = mqtt.is_connected(hass)
        self._running: list[CALLBACK_TYPE] = []
        self._cancel_site: CALLBACK_TYPE | None = None
        self._save_waits = False
        info = dr.DeviceInfo(name=entry.title, model="Site", entry_type=dr.DeviceEntryType.SERVICE)
        self.site = SiteDevice(entry.entry_id, Site(dt_util.now().date()), self.settings.currency, info)
        self._site_device_id = self._register(self.site)

    # Life ------------------------------------------------------------------------------------------

    async def async_load(self) -> None:
        """Bring back the price list and every device from storage."""
        products: list[Product] = []
        for stored_product in await self._price_store.async_load() or ():
            try:
                products.append(Product.from_values(stored_product))
            except PriceListError as error:
                LOGGER.error("A stored product cannot be used and is left out: %s", error)
        self.prices.replace(products)
        stored = await self._store.async_load()
        if stored is None:
            return
        self.site.site.restore(stored["site"])
        for basket in stored["baskets"]:
            self._add_basket(Basket.from_json(basket, self.prices, self.settings.rules))
        for printer in stored["printers"]:
            self._add_printer(Printer.from_json(printer))
        for bridge in stored["bridges"]:
            version = bridge.get("version")
            bridge_id = str(bridge["bridge_id"])
            self._add_bridge(
                Bridge(bridge_id, str(bridge.get("name") or bridge_id), version if isinstance(version, str) else None)
            )
        for bridged in stored["bridged"]:
            described = parse_catalog_device(bridged)
            bridge_device = self.bridges.get(str(bridged.get("bridge_id")))
            if described is not None and bridge_device is not None:
                device = self._add_bridged(bridge_device, described)
                values = bridged.get("values")
                device.device.apply(values if isinstance(values, dict) else {})
        self.site.site.summarise(device.basket for device in self.baskets.values())

    async def async_start(self) -> None:
        """Let messages in and the clock run, until `stop`."""
        self.entry.async_on_unload(self.stop)
        handlers: dict[Channel, Callable[[ReceiveMessage], None]] = {
            Channel.BASKET_UPDATE: self._on_basket_update,
            Channel.BASKET_COMMAND: self._on_basket_command,
            Channel.BASKET_AVAILABILITY: self._on_basket_availability,
            Channel.FACTOR_STATUS: self._on_factor_status,
            Channel.BRIDGE_AVAILABILITY: self._on_bridge_availability,
            Channel.BRIDGE_HELLO: self._on_bridge_hello,
            Channel.BRIDGE_CATALOG: self._on_bridge_catalog,
            Channel.BRIDGE_STATE: self._on_bridge_state,
        }
        self._running += [
            mqtt.async_subscribe_connection_status(self.hass, self._on_connection),
            async_track_time_interval(self.hass, self._on_clock, CLOCK_INTERVAL),
            async_track_time_change(self.hass, self._on_midnight, hour=0, minute=0, second=0),
            self._stop_site_timer,
        ]
        for topic_filter, channel in self.settings.topics.filters().items():
            # Bytes: a payload that is no UTF-8 is ours to judge and to count.
            self._running.append(
                await mqtt.async_subscribe(self.hass, topic_filter, handlers[channel], 1, encoding=None)
            )

    @callback
    def stop(self) -> None:
        """Let no more messages in; a second call does nothing."""
        while self._running:
            self._running.pop()()

    async def async_save(self) -> None:
        """Write everything now."""
        await self._store.async_save(self._stored())

    @callback
    def add_platform(self, add_entities: AddConfigEntryEntitiesCallback, build: BuildEntities) -> None:
        """Let a platform build its entities for every device there is and every one to come."""
        self._platforms.append((add_entities, build))
        add_entities([entity for device in self.devices() for entity in build(device)])

    def devices(self) -> list[FieldDevice]:
        """Return every device of the site."""
        return [
            self.site,
            *self.baskets.values(),
            *self.printers.values(),
            *self.bridges.values(),
            *self.bridged.values(),
        ]

    @callback
    def forget(self, key: str) -> bool:
        """Forget a device that the user deletes; it comes back with its next message. False for the site itself."""
        kind, _, name = key.partition(":")
        match kind:
            case "basket":
                self.baskets.pop(name, None)
                self._site_changed()
            case "printer":
                self.printers.pop(name, None)
            case "bridge":
                self.bridges.pop(name, None)
                for bridged_device_key in [
                    key for key, device in self.bridged.items() if device.device.bridge.bridge_id == name
                ]:
                    self._remove_bridged(bridged_device_key)
            case "bridged":
                self.bridged.pop(key, None)
            case _:
                return False
        self._save_soon()
        return True

    # Baskets ---------------------------------------------------------------------------------------

    @callback
    def _on_basket_update(self, message: ReceiveMessage) -> None:
        try:
            update = parse_update(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BASKET_UPDATE, message, error)
            return
        device = self._basket(message.topic[:-_UPDATE_TAIL])
        basket = device.basket
        details = len(basket.details)
        events = basket.apply_update(update, dt_util.utcnow())
        if len(basket.details) != details:
            self._build(device)
        self._basket_changed(device, events)
        if self.settings.rules.running_total and basket.session_started is not None and update.contents is not None:
            self.commander.owe_total(device)

    @callback
    def _on_basket_command(self, message: ReceiveMessage) -> None:
        # Commands are not retained. One that is was left behind by somebody, and our storage knows better.
        if message.retain:
            return
        try:
            command = parse_command(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BASKET_COMMAND, message, error)
            return
        self._apply_command(self._basket(message.topic[:-_COMMAND_TAIL]), command)

    def _apply_command(self, device: BasketDevice, command: BasketCommand) -> None:
        basket = device.basket
        shown_total = basket.shown_total
        events = basket.apply_command(command, dt_util.utcnow())
        for event in events:
            self.site.site.count_event(event, shown_total)
        self._basket_changed(device, events)
        # A display shows 0 after a start, and the basket does not repeat contents that have not changed.
        if events and command.kind is CommandKind.START and self.settings.rules.running_total and basket.items:
            self.commander.owe_total(device)

    @callback
    def _on_basket_availability(self, message: ReceiveMessage) -> None:
        try:
            online = parse_availability(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BASKET_AVAILABILITY, message, error)
            return
        if online is None:
            return
        device = self._basket(message.topic[:-_AVAILABILITY_TAIL])
        # A retained one tells how things are, not that the basket did something just now.
        if message.retain:
            device.basket.online = online
        else:
            device.basket.apply_availability(online, dt_util.utcnow())
        self._basket_changed(device, ())

    def _basket(self, root: str) -> BasketDevice:
        device = self.baskets.get(root)
        if device is None:
            device = self._add_basket(Basket(root, self.prices, self.settings.rules))
            self._build(device)
        return device

    def _add_basket(self, basket: Basket) -> BasketDevice:
        device = BasketDevice(basket, self.settings.currency, self._site_device_id)
        device.reachable = self._connected
        self.baskets[basket.root] = device
        return device

    @callback
    def basket_touched(self, device: BasketDevice) -> None:
        """Write what an entity changed in a basket: its budget, its ticks."""
        self._basket_changed(device, ())

    def _basket_changed(self, device: BasketDevice, events: tuple[BasketEvent, ...]) -> None:
        device.refresh()
        if events:
            device.tell(events)
            self._site_changed()
        self._save_soon()

    async def async_change_products(self, change: PriceListChange) -> None:
        """Change the price list, keep it, and compute every basket anew."""
        self.prices.apply(change)
        for device in self.baskets.values():
            device.basket.reprice()
            device.refresh()
            if self.settings.rules.running_total and device.basket.active and device.basket.items:
                self.commander.owe_total(device)
        self._site_changed()
        await self._price_store.async_save([product.as_json() for product in self.prices])

    # Printers --------------------------------------------------------------------------------------

    @callback
    def _on_factor_status(self, message: ReceiveMessage) -> None:
        try:
            report = parse_status(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.FACTOR_STATUS, message, error)
            return
        uuid = message.topic[_FACTOR_HEAD:]
        device = self.printers.get(uuid)
        if device is None:
            device = self._add_printer(Printer(uuid))
            self._build(device)
        device.printer.apply(report, dt_util.utcnow())
        device.refresh()
        self._save_soon()

    def _add_printer(self, printer: Printer) -> PrinterDevice:
        device = PrinterDevice(printer, self._site_device_id)
        device.reachable = self._connected
        self.printers[printer.uuid] = device
        return device

    # Bridges ---------------------------------------------------------------------------------------

    @callback
    def _on_bridge_availability(self, message: ReceiveMessage) -> None:
        try:
            online = parse_availability(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BRIDGE_AVAILABILITY, message, error)
            return
        bridge_id = message.topic.split("/")[1]
        if online is None and bridge_id not in self.bridges:
            return
        device = self._bridge(bridge_id)
        device.bridge.online = online
        device.refresh()
        self._reach_bridged(device)

    @callback
    def _on_bridge_hello(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        try:
            hello = parse_hello(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BRIDGE_HELLO, message, error)
            return
        device = self._bridge(message.topic.split("/")[1])
        bridge = device.bridge
        if (bridge.name, bridge.version) != (hello.name, hello.version):
            bridge.name, bridge.version = hello.name, hello.version
            device.info["name"] = hello.name
            if hello.version is not None:
                device.info["sw_version"] = hello.version
            self._register(device)
            self._save_soon()

    @callback
    def _on_bridge_catalog(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        try:
            catalog = parse_catalog(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BRIDGE_CATALOG, message, error)
            return
        bridge = self._bridge(message.topic.split("/")[1])
        bridge_id = bridge.bridge.bridge_id
        listed = {bridged_key(bridge_id, device_id): device for device_id, device in catalog.devices.items()}
        for key, device in list(self.bridged.items()):
            if device.device.bridge is bridge.bridge and key not in listed:
                self._remove_bridged(key)
        for key, described in listed.items():
            known = self.bridged.get(key)
            if known is None:
                known = self._add_bridged(bridge, described)
            elif known.device.objects != described.objects or known.device.name != described.name:
                known.device.describe(described)
                known.info["name"] = described.name
                self._register(known)
            self._build(known)
            known.refresh()
        self._save_soon()

    @callback
    def _on_bridge_state(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        try:
            values = parse_state(_raw(message))
        except MalformedMessageError as error:
            self._refuse(Channel.BRIDGE_STATE, message, error)
            return
        _, bridge_id, _, device_id = message.topic.split("/")
        device = self.bridged.get(bridged_key(bridge_id, device_id))
        if device is None:
            # The catalog is retained and says first what there is; a state without it describes nothing.
            self.refused[Channel.BRIDGE_STATE, "not_in_catalog"] += 1
            return
        device.device.apply(values)
        device.refresh()
        self._save_soon()

    def _bridge(self, bridge_id: str) -> BridgeDevice:
        device = self.bridges.get(bridge_id)
        if device is None:
            device = self._add_bridge(Bridge(bridge_id, bridge_id))
            self._build(device)
        return device

    def _add_bridge(self, bridge: Bridge) -> BridgeDevice:
        device = BridgeDevice(bridge, self._site_device_id)
        device.reachable = self._connected
        self.bridges[bridge.bridge_id] = device
        return device

    def _add_bridged(self, bridge: BridgeDevice, described: CatalogDevice) -> BridgedFieldDevice:
        model = BridgedDevice(bridge.bridge, described.device_id, described.name, described.objects)
        device = BridgedFieldDevice(model, self._register(bridge))
        device.reachable = self._connected and bridge.bridge.online is not False
        self.bridged[device.key] = device
        return device

    def _reach_bridged(self, bridge: BridgeDevice) -> None:
        for device in self.bridged.values():
            if device.device.bridge is bridge.bridge:
                device.reachable = self._connected and bridge.bridge.online is not False
                device.refresh()

    def _remove_bridged(self, key: str) -> None:
        self.bridged.pop(key, None)
        registry = dr.async_get(self.hass)
        if (entry := registry.async_get_device_by_identifier((DOMAIN, key), self.entry.entry_id)) is not None:
            registry.async_remove_device(entry.id)

    # All devices -----------------------------------------------------------------------------------

    def _register(self, device: FieldDevice) -> str:
        return dr.async_get(self.hass).async_get_or_create(config_entry_id=self.entry.entry_id, **device.info).id

    def _build(self, device: FieldDevice) -> None:
        for add_entities, build in self._platforms:
            if entities := list(build(device)):
                add_entities(entities)

    @callback
    def _on_connection(self, connected: bool) -> None:
        """Without the broker nothing is known; with it again, all is as it was until a message says otherwise."""
        self._connected = connected
        for device in (self.site, *self.baskets.values(), *self.printers.values(), *self.bridges.values()):
            device.reachable = connected
            device.refresh()
        for bridge in self.bridges.values():
            self._reach_bridged(bridge)

    @callback
    def _on_clock(self, _: datetime) -> None:
        now = dt_util.utcnow()
        for basket_device in self.baskets.values():
            if basket_device.basket.pass_time(now):
                basket_device.refresh()
        for printer_device in self.printers.values():
            if printer_device.printer.pass_time(now):
                printer_device.refresh()

    @callback
    def _on_midnight(self, now: datetime) -> None:
        self.site.site.turn_day(dt_util.as_local(now).date())
        self.site.refresh()
        self._save_soon()

    def _site_changed(self) -> None:
        """Summarise once a second, however many baskets change."""
        if self._cancel_site is None:
            self._cancel_site = async_call_later(self.hass, SITE_SECONDS, self._summarise)

    @callback
    def _summarise(self, _: datetime) -> None:
        self._cancel_site = None
        self.site.site.summarise(device.basket for device in self.baskets.values())
        self.site.refresh()

    @callback
    def _stop_site_timer(self) -> None:
        if self._cancel_site is not None:
            self._cancel_site()
            self._cancel_site = None

    def _refuse(self, channel: Channel, message: ReceiveMessage, error: MalformedMessageError) -> None:
        """Count a message that cannot be read; say so once for each reason, for a device may repeat it every second."""
        self.refused[channel, error.reason] += 1
        if self.refused[channel, error.reason] == 1:
            LOGGER.warning(
                "A message on %s cannot be read (%s); more of this kind are only counted, see the diagnostics",
                message.topic,
                error.reason,
            )

    def _save_soon(self) -> None:
        # Asked again, the store would begin to wait anew; under a steady stream of messages it would never write.
        if not self._save_waits:
            self._save_waits = True
            self._store.async_delay_save(self._stored, SAVE_SECONDS)

    def _stored(self) -> StoredSite:
        self._save_waits = False
        bridged: list[JsonObject] = [device.device.as_json() for device in self.bridged.values()]
        return {
            "site": self.site.site.as_json(),
            "baskets": [device.basket.as_json() for device in self.baskets.values()],
            "printers": [device.printer.as_json() for device in self.printers.values()],
            "bridges": [device.bridge.as_json() for device in self.bridges.values()],
            "bridged": bridged,
        }


def _raw(message: ReceiveMessage) -> bytes:
    payload = message.payload
    return payload.encode() if isinstance(payload, str) else bytes(payload)
