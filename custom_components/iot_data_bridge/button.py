"""Buttons: start, end and cancel a basket's session, show its total."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .commands import BasketCommander
from .entity import FieldEntity
from .field_devices import BasketDevice, FieldDevice
from .hub import SiteConfigEntry

# Each press is one publish to the broker, which takes any number at a time.
PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class BasketButtonDescription(ButtonEntityDescription):
    """A button that sends a basket one command."""

    press_fn: Callable[[BasketCommander, BasketDevice], Awaitable[object]]


BASKET_BUTTONS = (
    BasketButtonDescription(key="start", press_fn=BasketCommander.async_start),
    BasketButtonDescription(key="end", press_fn=BasketCommander.async_end),
    BasketButtonDescription(key="cancel", press_fn=BasketCommander.async_cancel),
    BasketButtonDescription(key="show_total", press_fn=BasketCommander.async_show_total),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add buttons for every basket there is and every one to come."""
    hub = entry.runtime_data

    def build(device: FieldDevice) -> Iterator[ButtonEntity]:
        if isinstance(device, BasketDevice):
            for description in BASKET_BUTTONS:
                if device.claim(f"button:{description.key}"):
                    yield BasketButton(device, hub.commander, description)

    hub.add_platform(Platform.BUTTON, async_add_entities, build)


class BasketButton(FieldEntity, ButtonEntity):
    """One command of a basket."""

    entity_description: BasketButtonDescription

    def __init__(self, device: BasketDevice, commander: BasketCommander, description: BasketButtonDescription) -> None:
        super().__init__(device, description.key)
        self.entity_description = description
        self._device = device
        self._commander = commander

    @override
    async def async_press(self) -> None:
        await self.entity_description.press_fn(self._commander, self._device)
