"""Bridges and the devices behind them, which come and go with the bridge's catalog."""

from collections.abc import Iterable, Sequence
from typing import override

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN
from .devices.basket_messages import parse_availability
from .devices.bridged import (
    Bridge,
    BridgedDevice,
    CatalogDevice,
    parse_catalog,
    parse_catalog_device,
    parse_hello,
    parse_state,
)
from .devices.errors import MalformedMessageError
from .devices.identity import bridged_key
from .devices.json_values import JsonObject
from .devices.topics import Channel
from .entity import unique_id
from .family import DeviceFamily, Handler, House, raw
from .field_devices import BridgeDevice, BridgedFieldDevice, FieldDevice

_BRIDGE_LEVEL = 1
_DEVICE_LEVEL = 3
_OBJECT_PLATFORMS = (Platform.SENSOR, Platform.BINARY_SENSOR)


class BridgeFamily(DeviceFamily):
    """The bridges of a site by their ids, and the devices behind them by their keys."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.bridges: dict[str, BridgeDevice] = {}
        self.bridged: dict[str, BridgedFieldDevice] = {}

    @override
    def devices(self) -> Iterable[FieldDevice]:
        return (*self.bridges.values(), *self.bridged.values())

    @override
    def handlers(self) -> dict[Channel, Handler]:
        return {
            Channel.BRIDGE_AVAILABILITY: self._on_availability,
            Channel.BRIDGE_HELLO: self._on_hello,
            Channel.BRIDGE_CATALOG: self._on_catalog,
            Channel.BRIDGE_STATE: self._on_state,
        }

    @override
    def restore(self, stored: Sequence[JsonObject]) -> None:
        for item in stored:
            bridge_id, version, devices = str(item["bridge_id"]), item.get("version"), item.get("devices")
            name = str(item.get("name") or bridge_id)
            bridge = self._add(Bridge(bridge_id, name, version if isinstance(version, str) else None))
            for entry in devices if isinstance(devices, list) else ():
                described = parse_catalog_device(entry)
                if described is not None and isinstance(entry, dict):
                    values = entry.get("values")
                    self._add_bridged(bridge, described).device.apply(values if isinstance(values, dict) else {})

    @override
    def stored(self) -> list[JsonObject]:
        return [
            {
                **bridge.bridge.as_json(),
                "devices": [device.device.as_json() for device in self.bridged.values() if device.bridge is bridge],
            }
            for bridge in self.bridges.values()
        ]

    @override
    def forget(self, key: str) -> bool:
        if self.bridged.pop(key, None) is not None:
            return True
        bridge = next((bridge for bridge in self.bridges.values() if bridge.key == key), None)
        if bridge is None:
            return False
        for bridged in [device for device in self.bridged.values() if device.bridge is bridge]:
            self._remove_bridged(bridged)
        del self.bridges[bridge.bridge.bridge_id]
        return True

    @override
    def reach(self, connected: bool) -> None:
        for bridge in self.bridges.values():
            bridge.reach(connected)
            self._reach_bridged(bridge)

    @callback
    def _on_availability(self, message: ReceiveMessage) -> None:
        try:
            online = parse_availability(raw(message))
        except MalformedMessageError as error:
            self._house.refuse(Channel.BRIDGE_AVAILABILITY, message, error)
            return
        bridge_id = message.topic.split("/")[_BRIDGE_LEVEL]
        if online is None and bridge_id not in self.bridges:
            return
        device = self._bridge(bridge_id)
        device.bridge.online = online
        device.refresh()
        self._reach_bridged(device)

    @callback
    def _on_hello(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        try:
            hello = parse_hello(raw(message))
        except MalformedMessageError as error:
            self._house.refuse(Channel.BRIDGE_HELLO, message, error)
            return
        device = self._bridge(message.topic.split("/")[_BRIDGE_LEVEL])
        if device.introduce(hello):
            self._house.register(device)
            self._house.save_soon()

    @callback
    def _on_catalog(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        try:
            catalog = parse_catalog(raw(message))
        except MalformedMessageError as error:
            self._house.refuse(Channel.BRIDGE_CATALOG, message, error)
            return
        bridge = self._bridge(message.topic.split("/")[_BRIDGE_LEVEL])
        listed = {
            bridged_key(bridge.bridge.bridge_id, device_id): found for device_id, found in catalog.devices.items()
        }
        for device in [device for device in self.bridged.values() if device.bridge is bridge]:
            if device.key not in listed:
                self._remove_bridged(device)
        for key, described in listed.items():
            known = self.bridged.get(key)
            if known is None:
                known = self._add_bridged(bridge, described)
                # A device without objects has no entity that would bring it into the registry.
                self._house.register(known)
            else:
                self._describe(known, described)
            self._house.build(known)
            known.refresh()
        self._house.save_soon()

    @callback
    def _on_state(self, message: ReceiveMessage) -> None:
        if not message.payload:
            return
        levels = message.topic.split("/")
        device = self.bridged.get(bridged_key(levels[_BRIDGE_LEVEL], levels[_DEVICE_LEVEL]))
        if device is None:
            # The catalog is retained too and comes first; a state without it describes nothing.
            self._house.refuse(Channel.BRIDGE_STATE, message, MalformedMessageError("not_in_catalog"))
            return
        try:
            values = parse_state(raw(message))
        except MalformedMessageError as error:
            self._house.refuse(Channel.BRIDGE_STATE, message, error)
            return
        device.device.apply(values)
        device.refresh()
        self._house.save_soon()

    def _bridge(self, bridge_id: str) -> BridgeDevice:
        device = self.bridges.get(bridge_id)
        if device is None:
            device = self._add(Bridge(bridge_id, bridge_id))
            self._house.build(device)
            self._house.save_soon()
        return device

    def _add(self, bridge: Bridge) -> BridgeDevice:
        device = BridgeDevice(bridge, self._house.site_device_id)
        device.reachable = self._house.connected
        self.bridges[bridge.bridge_id] = device
        return device

    def _add_bridged(self, bridge: BridgeDevice, described: CatalogDevice) -> BridgedFieldDevice:
        model = BridgedDevice(bridge.bridge, described.device_id, described.name, described.objects)
        device = BridgedFieldDevice(model, bridge, self._house.register(bridge))
        device.reachable = self._reachable(bridge)
        self.bridged[device.key] = device
        return device

    def _describe(self, known: BridgedFieldDevice, described: CatalogDevice) -> None:
        """Take what a new catalog says of a device that there is, and drop the entities of what is gone."""
        model = known.device
        if (model.objects, model.name) == (described.objects, described.name):
            return
        entities = er.async_get(self._house.hass)
        for name, before in model.objects.items():
            now = described.objects.get(name)
            if now is not None and (now.is_boolean == before.is_boolean):
                continue
            for platform in _OBJECT_PLATFORMS:
                known.release(f"{platform}:{name}")
                if (entity_id := entities.async_get_entity_id(platform, DOMAIN, unique_id(known, name))) is not None:
                    entities.async_remove(entity_id)
        model.describe(described)
        known.info["name"] = described.name
        self._house.register(known)

    def _reachable(self, bridge: BridgeDevice) -> bool:
        return self._house.connected and bridge.bridge.online is not False

    def _reach_bridged(self, bridge: BridgeDevice) -> None:
        for device in self.bridged.values():
            if device.bridge is bridge:
                device.reach(self._reachable(bridge))

    def _remove_bridged(self, device: BridgedFieldDevice) -> None:
        del self.bridged[device.key]
        registry = dr.async_get(self._house.hass)
        entry = registry.async_get_device_by_identifier((DOMAIN, device.key), self._house.entry_id)
        if entry is not None:
            registry.async_remove_device(entry.id)
