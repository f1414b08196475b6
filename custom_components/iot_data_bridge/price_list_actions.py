"""The actions of the price list."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import voluptuous as vol
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util.json import JsonValueType

from .action_calls import SITE_FIELD, amount, hub_of, invalid
from .const import DOMAIN
from .devices.money import Currency
from .devices.products import PriceListError, Product, ProductEdit
from .hub import Hub

ATTR_CODE: Final = "code"
ATTR_PRODUCTS: Final = "products"
ATTR_REMOVE_OTHERS: Final = "remove_others"

GET_PRODUCTS_SCHEMA = vol.Schema(SITE_FIELD)
REMOVE_PRODUCT_SCHEMA = GET_PRODUCTS_SCHEMA.extend({vol.Required(ATTR_CODE): cv.string})
SET_PRODUCT_SCHEMA = REMOVE_PRODUCT_SCHEMA.extend(
    {
        vol.Optional("price"): amount,
        vol.Optional("discount_rate"): amount,
        **{vol.Optional(key): vol.Any(None, cv.string) for key in ("name", "category", "image", "location", "brand")},
    }
)
SET_PRODUCTS_SCHEMA = GET_PRODUCTS_SCHEMA.extend(
    {
        # Each product is checked with its number and code in the error.
        vol.Required(ATTR_PRODUCTS): vol.All(cv.ensure_list, [dict]),
        vol.Optional(ATTR_REMOVE_OTHERS, default=False): cv.boolean,
    }
)


@callback
def async_setup_price_list_actions(hass: HomeAssistant) -> None:
    """Register the actions of the price list."""
    for name, action, schema in (
        ("set_product", _async_set_product, SET_PRODUCT_SCHEMA),
        ("set_products", _async_set_products, SET_PRODUCTS_SCHEMA),
        ("remove_product", _async_remove_product, REMOVE_PRODUCT_SCHEMA),
    ):
        hass.services.async_register(DOMAIN, name, action, schema, SupportsResponse.OPTIONAL)
    hass.services.async_register(
        DOMAIN, "get_products", _async_get_products, GET_PRODUCTS_SCHEMA, SupportsResponse.ONLY
    )


async def _async_set_product(call: ServiceCall) -> ServiceResponse:
    hub = hub_of(call)
    values = {key: value for key, value in call.data.items() if key != ATTR_CONFIG_ENTRY_ID}
    try:
        edit = ProductEdit.from_values(values)
        await hub.stored_prices.async_change([edit])
    except PriceListError as error:
        raise _unusable(error, call.data[ATTR_CODE]) from error
    return _answer(hub, edit.code) if call.return_response else None


async def _async_set_products(call: ServiceCall) -> ServiceResponse:
    hub = hub_of(call)
    try:
        edits = await call.hass.async_add_executor_job(_edits, call.data[ATTR_PRODUCTS])
        change = await hub.stored_prices.async_change(edits, remove_others=call.data[ATTR_REMOVE_OTHERS])
    except PriceListError as error:
        raise _unusable(error, error.code) from error
    if not call.return_response:
        return None
    return {"added": len(change.added), "changed": len(change.changed), "removed": len(change.removed)}


def _edits(products: Sequence[Mapping[str, Any]]) -> list[ProductEdit]:
    return [
        ProductEdit.from_values({str(key): value for key, value in product.items()}, number)
        for number, product in enumerate(products, start=1)
    ]


async def _async_remove_product(call: ServiceCall) -> ServiceResponse:
    hub = hub_of(call)
    product = hub.prices.get(call.data[ATTR_CODE])
    if product is None:
        raise invalid("product_unknown", product=call.data[ATTR_CODE])
    await hub.stored_prices.async_change([], remove=[product.code])
    return {"product": product.as_answer(hub.settings.currency)} if call.return_response else None


async def _async_get_products(call: ServiceCall) -> ServiceResponse:
    hub = hub_of(call)
    currency = hub.settings.currency
    # A copy: the list may change while a long answer is made.
    products = await call.hass.async_add_executor_job(_answers, list(hub.prices), currency)
    return {"currency": currency.code, "products": products}


def _answers(products: Sequence[Product], currency: Currency) -> dict[str, JsonValueType]:
    return {product.code: product.as_answer(currency) for product in products}


def _answer(hub: Hub, code: str) -> ServiceResponse:
    product = hub.prices.get(code)
    return {"product": None if product is None else product.as_answer(hub.settings.currency)}


def _unusable(error: PriceListError, product: str) -> ServiceValidationError:
    return invalid(error.reason, product=product, position=str(error.position), text=error.text)
