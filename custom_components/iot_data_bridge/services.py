"""The actions: what automations and people tell baskets."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

import voluptuous as vol
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.util.json import JsonObjectType

from .action_calls import amount, hubs, invalid
from .commands import BasketCommander, total_command
from .const import DOMAIN
from .field_devices import BasketDevice
from .hub import Hub
from .price_list_actions import async_setup_price_list_actions
from .session_actions import async_setup_session_actions

ATTR_ONLY_IF_ONLINE: Final = "only_if_online"
ATTR_TOTAL_PRICE: Final = "total_price"


_COMMAND_FIELDS = {vol.Optional(ATTR_ONLY_IF_ONLINE, default=False): cv.boolean}
# Without a target the schema of entity services ends in English; `_targets` says it in the user's language.
COMMAND_SCHEMA = vol.Schema({vol.Remove("metadata"): dict, **cv.ENTITY_SERVICE_FIELDS, **_COMMAND_FIELDS})
TOTAL_SCHEMA = COMMAND_SCHEMA.extend({vol.Optional(ATTR_TOTAL_PRICE): amount})


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register every action."""
    for name, action, schema in (
        ("start", _async_start, COMMAND_SCHEMA),
        ("end", _async_end, COMMAND_SCHEMA),
        ("cancel", _async_cancel, COMMAND_SCHEMA),
        ("total", _async_total, TOTAL_SCHEMA),
    ):
        hass.services.async_register(DOMAIN, name, action, schema, SupportsResponse.OPTIONAL)
    async_setup_price_list_actions(hass)
    async_setup_session_actions(hass)


# Baskets -------------------------------------------------------------------------------------------


async def _async_start(call: ServiceCall) -> ServiceResponse:
    targets = _targets(call)
    return await _async_command(targets, call, BasketCommander.async_start)


async def _async_end(call: ServiceCall) -> ServiceResponse:
    return await _async_command(_targets(call), call, BasketCommander.async_end)


async def _async_cancel(call: ServiceCall) -> ServiceResponse:
    return await _async_command(_targets(call), call, BasketCommander.async_cancel)


async def _async_total(call: ServiceCall) -> ServiceResponse:
    total_price: Decimal | None = call.data.get(ATTR_TOTAL_PRICE)
    targets = _targets(call)
    # All or none: a total that one basket cannot have is known before any other has shown its own.
    totals = {device.key: total_command(device, total_price)[0] for _, device in targets}
    response = await _async_command(
        targets, call, lambda commander, device: commander.async_show_total(device, totals[device.key])
    )
    if response is not None:
        for _, device in targets:
            shown = response["baskets"]
            if isinstance(shown, dict) and isinstance(state := shown[device.basket.root], dict):
                # As the controller: its display is off before a start, and a total is ignored.
                state["shown_total"] = device.currency.plain(totals[device.key]) if device.basket.shows_totals else None
    return response


async def _async_command(
    targets: list[tuple[Hub, BasketDevice]],
    call: ServiceCall,
    send: Callable[[BasketCommander, BasketDevice], Awaitable[object]],
) -> JsonObjectType | None:
    """Send a command to every basket at once, and say what each of them is like.

    Raises:
        ServiceValidationError: a basket is offline and only online ones were wanted; nothing was sent.
        HomeAssistantError: the broker did not take a command; the others were sent.
    """
    if call.data[ATTR_ONLY_IF_ONLINE]:
        for _, device in targets:
            if device.basket.online is not True or not device.connected:
                raise invalid("basket_offline", basket=device.basket.root)
    results = await asyncio.gather(*(send(hub.commander, device) for hub, device in targets), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        if not isinstance(failure, HomeAssistantError):
            raise failure
    if failures:
        raise failures[0]
    if not call.return_response:
        return None
    return {"baskets": {device.basket.root: _state_of(device) for _, device in targets}}


def _state_of(device: BasketDevice) -> JsonObjectType:
    basket, currency = device.basket, device.currency
    return {
        "basket_id": basket.basket_id,
        "session": basket.session.state.value,
        "online": basket.online,
        "items": basket.items,
        "products": dict(basket.contents),
        "contents_uncertain": basket.contents_uncertain,
        "total_price": None if basket.total is None else currency.plain(basket.total),
        "currency": currency.code,
    }


def _targets(call: ServiceCall) -> list[tuple[Hub, BasketDevice]]:
    """Return every basket that the target resolves to, each once.

    Areas, labels and floors may hold anything and stand for the baskets in them; a device or entity that is named must
    be of a basket.

    Raises:
        ServiceValidationError: nothing is targeted, a named device or entity is not of a basket, or there is no basket
            at all.
    """
    if not any(call.data.get(str(field)) for field in cv.ENTITY_SERVICE_FIELDS):
        raise invalid("no_target")
    hass = call.hass
    selection = TargetSelection(call.data)
    selected = async_extract_referenced_entity_ids(hass, selection, primary_entities_only=False)
    entities = er.async_get(hass)
    baskets = {
        device_id: (hub, device)
        for hub in hubs(hass)
        for device in hub.baskets.devices()
        if (device_id := _device_id(hass, hub, device)) is not None
    }
    found: dict[str, tuple[Hub, BasketDevice]] = {}
    for device_id in selection.device_ids:
        if device_id not in baskets:
            raise invalid("not_a_basket", target=device_id)
    for entity_id in selected.referenced:
        entry = entities.async_get(entity_id)
        if entry is None or entry.device_id not in baskets:
            raise invalid("not_a_basket", target=entity_id)
        found[entry.device_id] = baskets[entry.device_id]
    for entity_id in selected.indirectly_referenced:
        entry = entities.async_get(entity_id)
        if entry is not None and entry.device_id in baskets:
            found[entry.device_id] = baskets[entry.device_id]
    for device_id in selected.referenced_devices & baskets.keys():
        found[device_id] = baskets[device_id]
    if not found:
        raise invalid("no_basket")
    return sorted(found.values(), key=lambda target: target[1].basket.root)


def _device_id(hass: HomeAssistant, hub: Hub, device: BasketDevice) -> str | None:
    entry = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, device.key), hub.entry_id)
    return None if entry is None else entry.id
