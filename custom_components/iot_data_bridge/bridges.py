"""Bridges, and the bridged devices that their catalogs list."""

from collections.abc import Iterable
from typing import override

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from .clock import instant_now
from .const import DOMAIN
from .device_collection import DeviceCollection, Handler, SiteContext, payload_of
from .devices.admission import DeviceKind
from .devices.basket_messages import parse_availability
from .devices.bridged import (
    Bridge,
    BridgedDevice,
    CatalogDevice,
    Hello,
    parse_catalog,
    parse_catalog_device,
    parse_hello,
    parse_state,
)
from .devices.errors import DamagedStateError, MalformedMessageError
from .devices.identity import bridge_key, bridged_key, object_key
from .devices.instant import Instant
from .devices.introductions import Introductions
from .devices.json_values import JsonObject, JsonValue
from .devices.level_names import is_id
from .devices.topics import Channel
from .field_devices import BridgeDevice, BridgedFieldDevice, FieldDevice

_BRIDGE_LEVEL = 1
_DEVICE_LEVEL = 3
_OBJECT_PLATFORMS = (Platform.SENSOR, Platform.BINARY_SENSOR)


class Bridges(DeviceCollection):
    """The bridges of a site by their ids, and the devices behind them by their keys."""

    def __init__(self, context: SiteContext) -> None:
        super().__init__(context)
        self.by_id: dict[str, BridgeDevice] = {}
        # A hello is said once. A removed bridge that still speaks comes back with its last one.
        self._removed: dict[str, Hello] = {}
        self._introductions: Introductions[tuple[Channel, ReceiveMessage]] = Introductions()
        self.bridged_devices: dict[str, BridgedFieldDevice] = {}

    @override
    def devices(self) -> Iterable[FieldDevice]:
        return (*self.by_id.values(), *self.bridged_devices.values())

    @override
    def handlers(self) -> dict[Channel, Handler]:
        return {
            Channel.BRIDGE_AVAILABILITY: self._on_availability,
            Channel.BRIDGE_HELLO: self._on_hello,
            Channel.BRIDGE_CATALOG: self._on_catalog,
            Channel.BRIDGE_STATE: self._on_state,
        }

    @override
    def restore(self, stored: JsonValue) -> None:
        if not isinstance(stored, dict) or not isinstance(bridge_id := stored.get("bridge_id"), str) or not bridge_id:
            raise DamagedStateError("bridge_id")
        if not self._context.reads(bridge_key(bridge_id)):
            return
        version, devices = stored.get("version"), stored.get("devices")
        name = str(stored.get("name") or bridge_id)
        bridge = self._add(Bridge(bridge_id, name, version if isinstance(version, str) else None))
        damaged = not isinstance(devices, list)
        for entry in devices if isinstance(devices, list) else ():
            described = parse_catalog_device(entry)
            if described is None or not is_id(described.device_id) or not isinstance(entry, dict):
                damaged = True
                continue
            values = entry.get("values")
            self._add_bridged(bridge, described).device.apply(values if isinstance(values, dict) else {})
        if damaged:
            raise DamagedStateError("devices")

    @override
    def stored(self) -> list[JsonObject]:
        devices: dict[str, list[JsonValue]] = {bridge_id: [] for bridge_id in self.by_id}
        for device in self.bridged_devices.values():
            devices[device.bridge.bridge.bridge_id].append(device.device.as_json())
        return [{**bridge.bridge.as_json(), "devices": devices[bridge_id]} for bridge_id, bridge in self.by_id.items()]

    @override
    def remove(self, key: str) -> bool:
        if self.bridged_devices.pop(key, None) is not None:
            return True
        bridge = next((bridge for bridge in self.by_id.values() if bridge.key == key), None)
        if bridge is None:
            return False
        for bridged in [device for device in self.bridged_devices.values() if device.bridge is bridge]:
            self._remove_bridged(bridged)
        model = self.by_id.pop(bridge.bridge.bridge_id).bridge
        self._removed[model.bridge_id] = Hello(model.bridge_id, model.name, model.version)
        return True

    @override
    def set_connected(self, connected: bool) -> None:
        for bridge in self.by_id.values():
            bridge.set_connected(connected)
            self._update_bridged(bridge)

    @override
    def check_timeouts(self, now: Instant) -> None:
        for channel, message in self._introductions.expire(now):
            self._context.refuse(channel, message.topic, MalformedMessageError("no_hello"))

    @callback
    def _on_availability(self, message: ReceiveMessage) -> None:
        online = parse_availability(payload_of(message))
        if online is None and _bridge_id(message) not in self.by_id:
            return
        if (device := self._bridge(Channel.BRIDGE_AVAILABILITY, message)) is None:
            return
        device.bridge.online = online
        device.refresh()
        self._update_bridged(device)

    @callback
    def _on_hello(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        hello = parse_hello(payload_of(message))
        bridge_id = _bridge_id(message)
        if hello.bridge_id != bridge_id:
            raise MalformedMessageError("bridge_id_differs")
        device = self._introduce(hello)
        if device.apply_hello(hello):
            self._context.register(device)
            self._context.save_soon()
        for channel, earlier in self._introductions.take(bridge_id):
            self._context.dispatch(channel, earlier)

    @callback
    def _on_catalog(self, message: ReceiveMessage) -> None:
        if not message.payload or (bridge := self._bridge(Channel.BRIDGE_CATALOG, message)) is None:
            return
        catalog = parse_catalog(payload_of(message))
        listed = {
            bridged_key(bridge.bridge.bridge_id, device_id): found for device_id, found in catalog.devices.items()
        }
        for device in [device for device in self.bridged_devices.values() if device.bridge is bridge]:
            if device.key not in listed:
                self._remove_bridged(device)
        for key, described in listed.items():
            known = self.bridged_devices.get(key)
            if known is None:
                try:
                    self._context.admit(DeviceKind.BRIDGED_DEVICE, key, described.device_id, len(self.bridged_devices))
                except MalformedMessageError as error:
                    self._context.refuse(Channel.BRIDGE_CATALOG, message.topic, error)
                    continue
                known = self._add_bridged(bridge, described)
                # A device without objects has no entity that would bring it into the registry.
                self._context.register(known)
            else:
                self._describe(known, described)
            self._context.build(known)
            known.refresh()
        self._context.save_soon()

    @callback
    def _on_state(self, message: ReceiveMessage) -> None:
        if not message.payload or (bridge := self._bridge(Channel.BRIDGE_STATE, message)) is None:
            return
        device_id = message.topic.split("/")[_DEVICE_LEVEL]
        device = self.bridged_devices.get(bridged_key(bridge.bridge.bridge_id, device_id))
        if device is None:
            # The catalog is retained too and comes first; a state without it describes nothing.
            raise MalformedMessageError("not_in_catalog")
        if not device.device.apply(parse_state(payload_of(message))):
            self._context.refuse(Channel.BRIDGE_STATE, message.topic, MalformedMessageError("value_unreadable"))
        device.refresh()
        self._context.save_soon()

    def _bridge(self, channel: Channel, message: ReceiveMessage) -> BridgeDevice | None:
        """Return the bridge of a message; without its hello there is none, and the message waits.

        Raises:
            MalformedMessageError: `no_hello`, when too many messages wait already.
        """
        bridge_id = _bridge_id(message)
        if (device := self.by_id.get(bridge_id)) is not None:
            return device
        if (hello := self._removed.get(bridge_id)) is not None:
            return self._introduce(hello)
        size, now = len(message.payload), instant_now()
        if not self._introductions.keep(bridge_id, message.topic, size, (channel, message), now):
            raise MalformedMessageError("no_hello")
        return None

    def _introduce(self, hello: Hello) -> BridgeDevice:
        """Return the bridge that a hello names, a new one if it is admitted.

        Raises:
            MalformedMessageError: the bridge is new, and not admitted.
        """
        bridge_id = hello.bridge_id
        device = self.by_id.get(bridge_id)
        if device is None:
            self._context.admit(DeviceKind.BRIDGE, bridge_key(bridge_id), bridge_id, len(self.by_id))
            device = self._add(Bridge(bridge_id, hello.name, hello.version))
            self._removed.pop(bridge_id, None)
            self._context.build(device)
            self._context.save_soon()
        return device

    def _add(self, bridge: Bridge) -> BridgeDevice:
        device = BridgeDevice(bridge, self._context.site_device_id)
        device.connected = self._context.connected
        self.by_id[bridge.bridge_id] = device
        return device

    def _add_bridged(self, bridge: BridgeDevice, described: CatalogDevice) -> BridgedFieldDevice:
        model = BridgedDevice(bridge.bridge, described.device_id, described.name, described.objects)
        device = BridgedFieldDevice(model, bridge, self._context.register(bridge))
        device.connected = self._connected(bridge)
        self.bridged_devices[device.key] = device
        return device

    def _describe(self, known: BridgedFieldDevice, described: CatalogDevice) -> None:
        """Apply a new catalog entry to a known device, and remove the entities of objects that are gone."""
        model = known.device
        if (model.objects, model.name) == (described.objects, described.name):
            return
        entities = er.async_get(self._context.hass)
        for name, before in model.objects.items():
            now = described.objects.get(name)
            if now is not None and (now.is_boolean == before.is_boolean):
                continue
            for platform in _OBJECT_PLATFORMS:
                known.release(f"{platform}:{name}")
                entity_id = entities.async_get_entity_id(platform, DOMAIN, object_key(known.key, name))
                if entity_id is not None:
                    entities.async_remove(entity_id)
        model.describe(described)
        known.info["name"] = described.name
        self._context.register(known)

    def _connected(self, bridge: BridgeDevice) -> bool:
        return self._context.connected and bridge.bridge.online is not False

    def _update_bridged(self, bridge: BridgeDevice) -> None:
        for device in self.bridged_devices.values():
            if device.bridge is bridge:
                device.set_connected(self._connected(bridge))

    def _remove_bridged(self, device: BridgedFieldDevice) -> None:
        del self.bridged_devices[device.key]
        registry = dr.async_get(self._context.hass)
        entry = registry.async_get_device_by_identifier((DOMAIN, device.key), self._context.entry_id)
        if entry is not None:
            registry.async_remove_device(entry.id)


def _bridge_id(message: ReceiveMessage) -> str:
    return message.topic.split("/")[_BRIDGE_LEVEL]
