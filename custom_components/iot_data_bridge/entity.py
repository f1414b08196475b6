"""What all entities share: they follow a device of the field and write a state only when it changed."""

from collections.abc import Callable
from typing import override

from homeassistant.core import Context, callback
from homeassistant.helpers.entity import Entity

from .field_devices import BasketDevice, FieldDevice

# What a basket of a large site does without until the user enables it.
DISPENSABLE = frozenset(
    {"budget", "distinct_products", "last_activity", "over_budget", "session_started", "show_total"}
)


class FieldEntity(Entity):
    """An entity of a device, there while the device can be heard."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, device: FieldDevice, key: str) -> None:
        if isinstance(device, BasketDevice) and device.lean and key in DISPENSABLE:
            self._attr_entity_registry_enabled_default = False
        self._attr_unique_id = unique_id(device, key)
        self._attr_device_info = device.info
        self._attr_translation_key = key
        self._field_device = device

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._attr_available = self._field_device.reachable
        self.async_on_remove(self._field_device.watch(self._reach))

    @callback
    def _reach(self) -> None:
        self._attr_available = self._field_device.reachable
        self.async_write_ha_state()


class FactEntity[ValueT](FieldEntity):
    """An entity that shows a fact. `read` returns it and is called for every message, so it is as short as can be."""

    def __init__(self, device: FieldDevice, key: str, read: Callable[[], ValueT]) -> None:
        super().__init__(device, key)
        self.read = read

    def _show(self, value: ValueT) -> None:
        """Take what `read` returned into the entity's attributes."""
        raise NotImplementedError

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        value = self.read()
        self._show(value)
        self.async_on_remove(self._field_device.follow(self, value))

    @callback
    def write(self, value: ValueT, context: Context) -> None:
        """Write a fact that differs from what is shown."""
        self._show(value)
        self.async_set_context(context)
        self.async_write_ha_state()


def unique_id(device: FieldDevice, key: str) -> str:
    """Return the unique id of a device's entity."""
    return f"{device.key}:{key}"
