"""The base classes of all entities: a state is written only when its value changed."""

from collections.abc import Callable
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity

from .field_devices import BasketDevice, FieldDevice


class FieldEntity(Entity):
    """An entity of a device, available while the device is connected."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, device: FieldDevice, key: str) -> None:
        if isinstance(device, BasketDevice) and key in device.hidden:
            self._attr_entity_registry_enabled_default = False
        self._attr_unique_id = f"{device.key}:{key}"
        self._attr_device_info = device.info
        self._attr_translation_key = key
        self._field_device = device

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._attr_available = self._field_device.connected
        self.async_on_remove(self._field_device.add_availability_listener(self._write_availability))

    @callback
    def _write_availability(self) -> None:
        self._attr_available = self._field_device.connected
        self.async_write_ha_state()


class ValueEntity[ValueT](FieldEntity):
    """An entity that shows one value. `read` returns it and is called for every message, so it must be short."""

    def __init__(self, device: FieldDevice, key: str, read: Callable[[], ValueT]) -> None:
        super().__init__(device, key)
        self.read = read

    def _show(self, value: ValueT) -> None:
        """Set the entity's attributes from a value of `read`."""
        raise NotImplementedError

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        value = self.read()
        self._show(value)
        self.async_on_remove(self._field_device.add_entity(self, value))

    @callback
    def write(self, value: ValueT) -> None:
        """Write the state for a value that changed."""
        self._show(value)
        self.async_write_ha_state()
