"""Numbers: what a customer wants to spend at most."""

from collections.abc import Iterator
from decimal import Decimal
from typing import override

from homeassistant.components.number import NumberDeviceClass, NumberEntity, NumberMode
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .devices.products import HIGHEST_PRICE
from .entity import ValueEntity
from .field_devices import BasketDevice, FieldDevice
from .hub import Hub, SiteConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the budget of every basket there is and every one to come."""
    hub = entry.runtime_data

    def build(device: FieldDevice) -> Iterator[NumberEntity]:
        if isinstance(device, BasketDevice) and device.claim("number:budget"):
            yield BudgetNumber(device, hub)

    hub.add_platform(Platform.NUMBER, async_add_entities, build)


class BudgetNumber(ValueEntity[Decimal], NumberEntity):
    """What the contents of a basket may cost; 0 means that nobody set a budget."""

    _attr_device_class = NumberDeviceClass.MONETARY
    _attr_entity_category = EntityCategory.CONFIG
    _attr_mode = NumberMode.BOX
    _attr_native_min_value = 0
    _attr_native_max_value = float(HIGHEST_PRICE)

    def __init__(self, device: BasketDevice, hub: Hub) -> None:
        super().__init__(device, "budget", lambda: device.basket.budget or Decimal(0))
        self._device = device
        self._hub = hub
        self._attr_native_step = float(device.currency.smallest)
        self._attr_native_unit_of_measurement = device.currency.code

    @override
    def _show(self, value: Decimal) -> None:
        self._attr_native_value = float(value)

    @override
    async def async_set_native_value(self, value: float) -> None:
        # The shortest text of the float is what the user typed; as an amount it is exact from here on.
        amount = self._device.currency.round(Decimal(repr(value)))
        self._device.basket.budget = amount or None
        self._hub.baskets.on_edited(self._device)
