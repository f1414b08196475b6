"""The parts that the actions share: amounts, the site that is meant, errors in the user's language."""

from decimal import Decimal

import voluptuous as vol
from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import service

from .const import DOMAIN
from .devices.json_values import to_decimal
from .hub import Hub, SiteConfigEntry

SITE_FIELD = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}


def amount(value: object) -> Decimal:
    """Return an amount of money.

    Raises:
        vol.Invalid: it is none, or negative.
    """
    number = to_decimal(value) if isinstance(value, str | int | float) else None
    if number is None or number < 0:
        raise vol.Invalid("expected an amount of money that is not negative")
    return number


def hubs(hass: HomeAssistant) -> list[Hub]:
    """Return the hubs of all sites that are loaded."""
    entries: list[SiteConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return [entry.runtime_data for entry in entries]


def hub_of(call: ServiceCall) -> Hub:
    """Return the site that is meant; the only one need not be named.

    Raises:
        ServiceValidationError: there is no such site, or several and none was named.
    """
    entry_id = call.data.get(ATTR_CONFIG_ENTRY_ID)
    if entry_id is None:
        loaded = hubs(call.hass)
        if len(loaded) != 1:
            raise invalid("site_needed" if loaded else "no_site")
        return loaded[0]
    entry: SiteConfigEntry = service.async_get_config_entry(call.hass, DOMAIN, entry_id)
    return entry.runtime_data


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error of a call that cannot be carried out."""
    return ServiceValidationError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders)
