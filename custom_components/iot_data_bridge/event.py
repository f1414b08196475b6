"""Event entities: what happens to a basket, as the stable base of automations."""

from collections.abc import Iterator
from typing import Any, override

from homeassistant.components.event import EventEntity
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, Platform
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import EVENT_BASKET_ACTIVITY
from .devices.basket_events import BasketEvent, EventKind
from .entity import FieldEntity
from .field_devices import BasketDevice, FieldDevice
from .hub import SiteConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the events of every basket there is and every one to come."""
    entry.runtime_data.add_platform(Platform.EVENT, async_add_entities, _build)


def _build(device: FieldDevice) -> Iterator[EventEntity]:
    if isinstance(device, BasketDevice) and device.claim("event:activity"):
        yield BasketEvents(device)


class BasketEvents(FieldEntity, EventEntity):
    """What happened to a basket last."""

    def __init__(self, device: BasketDevice) -> None:
        super().__init__(device, "activity")
        self._device = device
        self._attr_event_types = [kind.value for kind in EventKind]

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        # Only a fully added entity writes states, and each event that waited must become one.
        begin = self.hass.loop.call_soon(self._follow)
        self.async_on_remove(begin.cancel)

    @property
    def _device_id(self) -> str | None:
        entry = self.registry_entry
        return None if entry is None else entry.device_id

    @callback
    def _follow(self) -> None:
        self.async_on_remove(self._device.attach_event_sink(self._happened))

    @callback
    def _happened(self, event: BasketEvent, context: Context) -> None:
        basket, currency = self._device.basket, self._device.currency
        attributes: dict[str, Any] = {
            "product": event.product,
            "name": None if event.product is None else basket.prices.name(event.product),
            "count": event.count,
            "price": None if event.price is None else currency.plain(event.price),
            "basket": basket.root,
            **_details(event),
        }
        # First of all with this context: the activity log names it as the cause of what follows.
        self.hass.bus.async_fire(
            EVENT_BASKET_ACTIVITY,
            {
                ATTR_DEVICE_ID: self._device_id,
                ATTR_ENTITY_ID: self.entity_id,
                "event_type": event.kind.value,
                "currency": currency.code,
                **attributes,
            },
            context=context,
        )
        self._trigger_event(event.kind, attributes)
        self.async_set_context(context)
        self.async_write_ha_state()


def _details(event: BasketEvent) -> dict[str, int | str | None]:
    """Return the attributes that only events of this kind have."""
    match event.kind:
        case EventKind.CONTENTS_CHANGED:
            return {"added": event.added, "removed": event.removed}
        case EventKind.SESSION_ENDED:
            return {"outcome": event.outcome}
    return {}
