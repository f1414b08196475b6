"""The activity log: what happened to a basket, as a sentence in the language of Home Assistant."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from homeassistant.components.logbook.const import LOGBOOK_ENTRY_ENTITY_ID, LOGBOOK_ENTRY_MESSAGE, LOGBOOK_ENTRY_NAME
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN, EVENT_BASKET_ACTIVITY
from .devices.basket_events import EventKind
from .devices.json_values import to_decimal
from .devices.money import Currency
from .devices.sessions import Outcome
from .markdown import bounded

type Describe = Callable[[Event], dict[str, str]]

SESSION_CANCELLED = "session_cancelled"
# A product without a price, or a total of which one product has none, is told without the amount.
_WITHOUT_PRICE = "_without_price"


@callback
def async_describe_events(hass: HomeAssistant, async_describe_event: Callable[[str, str, Describe], None]) -> None:
    """Describe the events of baskets."""

    @callback
    def describe(event: Event) -> dict[str, str]:
        data = event.data
        described = {
            LOGBOOK_ENTRY_NAME: _name(hass, data),
            LOGBOOK_ENTRY_MESSAGE: _sentence(hass, data),
        }
        if isinstance(entity_id := data.get(ATTR_ENTITY_ID), str):
            described[LOGBOOK_ENTRY_ENTITY_ID] = entity_id
        return described

    async_describe_event(DOMAIN, EVENT_BASKET_ACTIVITY, describe)


def _name(hass: HomeAssistant, data: Mapping[str, Any]) -> str:
    """Return the name of the basket, or its root topic after it was deleted."""
    device = dr.async_get(hass).async_get(str(data.get(ATTR_DEVICE_ID)))
    return (device and (device.name_by_user or device.name)) or bounded(str(data.get("basket")))


def _sentence(hass: HomeAssistant, data: Mapping[str, Any]) -> str:
    kind = str(data.get("event_type"))
    if kind == EventKind.SESSION_ENDED and data.get("outcome") == Outcome.CANCELLED:
        kind = SESSION_CANCELLED
    price = to_decimal(data.get("price"))
    words = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)
    suffix = _WITHOUT_PRICE if price is None and kind in _PRICED else ""
    sentence = words.get(f"component.{DOMAIN}.common.activity_{kind}{suffix}")
    if sentence is None:
        return bounded(kind)
    return sentence.format(
        product=bounded(str(data.get("name") or data.get("product"))),
        count=data.get("count"),
        price=Currency(str(data.get("currency"))).written(Decimal(0) if price is None else price),
        added=data.get("added"),
        removed=data.get("removed"),
    )


_PRICED = frozenset(
    (EventKind.ITEM_ADDED, EventKind.ITEM_REMOVED, EventKind.SESSION_ENDED, EventKind.TOTAL_SHOWN, SESSION_CANCELLED)
)
