"""What all entities share: they follow a device of the field and write a state only when it changed."""

from typing import override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity

from .field_devices import FieldDevice


class FieldEntity[DeviceT: FieldDevice, ValueT](Entity):
    """An entity of a device. `_read` returns what it shows; `_show` puts that where Home Assistant reads it."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, device: DeviceT, key: str) -> None:
        self._device = device
        self._attr_unique_id = unique_id(device, key)
        self._attr_device_info = device.info
        self._attr_translation_key = key
        self._shown: ValueT | None = None

    def _read(self) -> ValueT:
        """Return what the entity shows now; compared with what it showed before."""
        raise NotImplementedError

    def _show(self, value: ValueT) -> None:
        """Take what `_read` returned into the entity's attributes."""
        raise NotImplementedError

    def _reachable(self) -> bool:
        return self._device.reachable

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._take()
        self.async_on_remove(self._device.attach(self))

    @callback
    def refresh(self) -> None:
        """Write the state if it, or whether it can be known, changed."""
        if self._reachable() != self._attr_available or self._read() != self._shown:
            self._take()
            self.async_write_ha_state()

    def _take(self) -> None:
        self._attr_available = self._reachable()
        self._shown = self._read()
        self._show(self._shown)


def unique_id(device: FieldDevice, key: str) -> str:
    """Return the unique id of a device's entity."""
    return f"{device.key}:{key}"
