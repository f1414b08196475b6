"""The actions: what automations and people tell baskets and the price list."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

import voluptuous as vol
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import service
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.util.json import JsonObjectType

from .commands import BasketCommander, total_command
from .const import DOMAIN
from .devices.json_values import to_decimal
from .devices.products import PriceListChange, PriceListError, Product
from .field_devices import BasketDevice
from .hub import Hub, SiteConfigEntry

ATTR_ONLY_IF_ONLINE: Final = "only_if_online"
ATTR_TOTAL_PRICE: Final = "total_price"
ATTR_CODE: Final = "code"


def _amount(value: object) -> Decimal:
    amount = to_decimal(value) if isinstance(value, str | int | float) else None
    if amount is None or amount < 0:
        raise vol.Invalid("expected an amount of money that is not negative")
    return amount


_COMMAND_FIELDS = {vol.Optional(ATTR_ONLY_IF_ONLINE, default=False): cv.boolean}
# Without a target the schema of entity services ends in English; `_targets` says it in the user's language.
COMMAND_SCHEMA = vol.Schema({vol.Remove("metadata"): dict, **cv.ENTITY_SERVICE_FIELDS, **_COMMAND_FIELDS})
TOTAL_SCHEMA = COMMAND_SCHEMA.extend({vol.Optional(ATTR_TOTAL_PRICE): _amount})
GET_PRODUCTS_SCHEMA = vol.Schema({vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string})
REMOVE_PRODUCT_SCHEMA = GET_PRODUCTS_SCHEMA.extend({vol.Required(ATTR_CODE): cv.string})
SET_PRODUCT_SCHEMA = REMOVE_PRODUCT_SCHEMA.extend(
    {
        vol.Optional("name"): cv.string,
        vol.Optional("price"): _amount,
        vol.Optional("discount_rate"): _amount,
        **{vol.Optional(key): vol.Any(None, cv.string) for key in ("category", "image", "location", "brand")},
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register every action."""
    for name, action, schema in (
        ("start", _async_start, COMMAND_SCHEMA),
        ("end", _async_end, COMMAND_SCHEMA),
        ("total", _async_total, TOTAL_SCHEMA),
        ("set_product", _async_set_product, SET_PRODUCT_SCHEMA),
        ("remove_product", _async_remove_product, REMOVE_PRODUCT_SCHEMA),
    ):
        hass.services.async_register(DOMAIN, name, action, schema, SupportsResponse.OPTIONAL)
    hass.services.async_register(
        DOMAIN, "get_products", _async_get_products, GET_PRODUCTS_SCHEMA, SupportsResponse.ONLY
    )


# Baskets -------------------------------------------------------------------------------------------


async def _async_start(call: ServiceCall) -> ServiceResponse:
    targets = _targets(call)
    return await _async_command(targets, call, BasketCommander.async_start)


async def _async_end(call: ServiceCall) -> ServiceResponse:
    return await _async_command(_targets(call), call, BasketCommander.async_end)


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
                state["shown_total"] = device.currency.plain(totals[device.key]) if device.basket.active else None
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
                raise _invalid("basket_offline", basket=device.basket.root)
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
        "session": "active" if basket.active else "idle",
        "online": basket.online,
        "items": basket.items,
        "products": dict(basket.contents),
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
        raise _invalid("no_target")
    hass = call.hass
    selection = TargetSelection(call.data)
    selected = async_extract_referenced_entity_ids(hass, selection, primary_entities_only=False)
    entities = er.async_get(hass)
    baskets = {
        device_id: (hub, device)
        for hub in _hubs(hass)
        for device in hub.baskets.devices()
        if (device_id := _device_id(hass, hub, device)) is not None
    }
    found: dict[str, tuple[Hub, BasketDevice]] = {}
    for device_id in selection.device_ids:
        if device_id not in baskets:
            raise _invalid("not_a_basket", target=device_id)
    for entity_id in selected.referenced:
        entry = entities.async_get(entity_id)
        if entry is None or entry.device_id not in baskets:
            raise _invalid("not_a_basket", target=entity_id)
        found[entry.device_id] = baskets[entry.device_id]
    for entity_id in selected.indirectly_referenced:
        entry = entities.async_get(entity_id)
        if entry is not None and entry.device_id in baskets:
            found[entry.device_id] = baskets[entry.device_id]
    for device_id in selected.referenced_devices & baskets.keys():
        found[device_id] = baskets[device_id]
    if not found:
        raise _invalid("no_basket")
    return sorted(found.values(), key=lambda target: target[1].basket.root)


def _device_id(hass: HomeAssistant, hub: Hub, device: BasketDevice) -> str | None:
    entry = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, device.key), hub.entry_id)
    return None if entry is None else entry.id


def _hubs(hass: HomeAssistant) -> list[Hub]:
    entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return [entry.runtime_data for entry in entries]


# Price list ----------------------------------------------------------------------------------------


async def _async_set_product(call: ServiceCall) -> ServiceResponse:
    hub = _hub(call)
    known = hub.prices.get(call.data[ATTR_CODE])
    values = {} if known is None else known.as_json()
    values |= {key: str(value) if isinstance(value, Decimal) else value for key, value in call.data.items()}
    try:
        product = Product.from_values(values)
    except PriceListError as error:
        raise _invalid(error.reason, product=call.data[ATTR_CODE]) from error
    await hub.async_change_products(hub.prices.change_to([product], keep_others=True))
    return {"product": product.as_json()} if call.return_response else None


async def _async_remove_product(call: ServiceCall) -> ServiceResponse:
    hub = _hub(call)
    product = hub.prices.get(call.data[ATTR_CODE])
    if product is None:
        raise _invalid("product_unknown", product=call.data[ATTR_CODE])
    await hub.async_change_products(PriceListChange(removed=(product,)))
    return {"product": product.as_json()} if call.return_response else None


async def _async_get_products(call: ServiceCall) -> ServiceResponse:
    hub = _hub(call)
    currency = hub.settings.currency
    return {
        "currency": currency.code,
        "products": {
            product.code: {**product.as_json(), "unit_price": str(product.unit_price(currency))}
            for product in hub.prices
        },
    }


def _hub(call: ServiceCall) -> Hub:
    """Return the site whose price list is meant; the only one need not be named.

    Raises:
        ServiceValidationError: there is no such site, or several and none was named.
    """
    entry_id = call.data.get(ATTR_CONFIG_ENTRY_ID)
    if entry_id is None:
        hubs = _hubs(call.hass)
        if len(hubs) != 1:
            raise _invalid("site_needed" if hubs else "no_site")
        return hubs[0]
    entry: SiteConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, entry_id)
    return entry.runtime_data


def _invalid(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)
