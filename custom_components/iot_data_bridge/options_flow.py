"""Changing how a site behaves, and its price list."""

from dataclasses import fields
from decimal import Decimal
from itertools import chain, islice
from typing import Any

import voluptuous as vol
from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import (
    BooleanSelector,
    FileSelector,
    FileSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ACCEPT_DEVICES,
    CONF_ACCEPT_UNTIL,
    CONF_COMMAND_EXPIRY,
    CONF_CURRENCY,
    CONF_RUNNING_TOTAL,
    CONF_SILENCE_MINUTES,
    DEFAULT_COMMAND_EXPIRY,
    DEFAULT_SILENCE_MINUTES,
)
from .devices.admission import ACCEPTANCE_TIME, Acceptance
from .devices.money import Currency
from .devices.price_lists import read_price_list
from .devices.products import PriceListChange, PriceListError, Product, ProductEdit
from .hub import Hub
from .markdown import escaped

CONF_FILE = "file"
CONF_REMOVE_OTHERS = "remove_others"
CONF_TEXT = "text"
LARGEST_FILE = 5_000_000
MOST_PREVIEWED = 20
LONGEST_PREVIEWED = 60

IMPORT_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_FILE): FileSelector(FileSelectorConfig(accept=".csv,.yaml,.yml,text/csv")),
        vol.Optional(CONF_TEXT): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_REMOVE_OTHERS, default=False): BooleanSelector(),
    }
)


class SiteOptionsFlow(OptionsFlow):
    """A menu: settings, or a price list with a look at what it changes."""

    def __init__(self) -> None:
        self._edits: list[ProductEdit] = []
        self._remove_others = False

    async def async_step_init(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Choose what to change."""
        return self.async_show_menu(step_id="init", menu_options=["settings", "import_prices"])

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change how the site behaves."""
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                cv.currency(user_input[CONF_CURRENCY])
            except vol.Invalid:
                errors[CONF_CURRENCY] = "invalid_currency"
            else:
                return self.async_create_entry(
                    data={
                        **user_input,
                        CONF_SILENCE_MINUTES: int(user_input[CONF_SILENCE_MINUTES]),
                        CONF_COMMAND_EXPIRY: int(user_input[CONF_COMMAND_EXPIRY]),
                        **_acceptance_end(user_input[CONF_ACCEPT_DEVICES]),
                    }
                )
        schema = vol.Schema(
            {
                vol.Required(CONF_CURRENCY, default=self.hass.config.currency): TextSelector(),
                vol.Required(CONF_RUNNING_TOTAL, default=False): BooleanSelector(),
                vol.Required(CONF_SILENCE_MINUTES, default=DEFAULT_SILENCE_MINUTES): _number(0, 1440, "min"),
                vol.Required(CONF_COMMAND_EXPIRY, default=DEFAULT_COMMAND_EXPIRY): _number(1, 86_400, "s"),
                vol.Required(CONF_ACCEPT_DEVICES, default=Acceptance.ALWAYS.value): SelectSelector(
                    SelectSelectorConfig(
                        options=[acceptance.value for acceptance in Acceptance], translation_key=CONF_ACCEPT_DEVICES
                    )
                ),
            }
        )
        return self.async_show_form(
            step_id="settings",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or self.config_entry.options),
            errors=errors,
        )

    async def async_step_import_prices(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take a price list as a file or as text."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is None:
            return self._import_form({})
        try:
            self._edits = await self._async_read(user_input)
        except PriceListError as error:
            return self._import_form(user_input, error)
        self._remove_others = user_input[CONF_REMOVE_OTHERS]
        return await self.async_step_preview()

    def _import_form(self, user_input: dict[str, Any], error: PriceListError | None = None) -> ConfigFlowResult:
        errors, placeholders = {}, {"position": "", "code": "", "text": ""}
        if error is not None:
            errors["base"] = error.reason
            placeholders = {"position": str(error.position), "code": escaped(error.code), "text": escaped(error.text)}
        return self.async_show_form(
            step_id="import_prices",
            # An upload is consumed when it is read.
            data_schema=self.add_suggested_values_to_schema(
                IMPORT_SCHEMA, {key: value for key, value in user_input.items() if key != CONF_FILE}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_preview(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the new list changes, and change it when the user agrees."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        hub: Hub = self.config_entry.runtime_data
        prepare = hub.stored_prices.async_preview if user_input is None else hub.stored_prices.async_change
        try:
            change = await prepare(self._edits, remove_others=self._remove_others)
        except PriceListError as error:
            return self._import_form({}, error)
        if user_input is None:
            return self.async_show_form(
                step_id="preview",
                data_schema=vol.Schema({}),
                description_placeholders={
                    "added": str(len(change.added)),
                    "changed": str(len(change.changed)),
                    "removed": str(len(change.removed)),
                    "changes": _describe(change, hub.settings.currency),
                },
            )
        return self.async_create_entry(data=dict(self.config_entry.options))

    async def _async_read(self, user_input: dict[str, Any]) -> list[ProductEdit]:
        text: str = user_input.get(CONF_TEXT) or ""
        if file_id := user_input.get(CONF_FILE):
            text = await self.hass.async_add_executor_job(self._read_file, file_id)
        return await self.hass.async_add_executor_job(read_price_list, text)

    def _read_file(self, file_id: str) -> str:
        try:
            with process_uploaded_file(self.hass, file_id) as path:
                if path.stat().st_size > LARGEST_FILE:
                    raise PriceListError("file_too_large")
                raw = path.read_bytes()
        except ValueError as error:
            if isinstance(error, PriceListError):
                raise
            raise PriceListError("file_gone") from error
        for encoding in ("utf-8-sig", "cp949"):
            # Spreadsheets in Korea still write code page 949.
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        raise PriceListError("not_text")


def _number(smallest: int, largest: int, unit: str) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(min=smallest, max=largest, step=1, mode=NumberSelectorMode.BOX, unit_of_measurement=unit)
    )


def _describe(change: PriceListChange, currency: Currency) -> str:
    """Return a change as a Markdown list, the first lines of it when it is long."""

    def price(product: Product) -> str:
        return currency.written(product.unit_price(currency))

    def differences(old: Product, new: Product) -> str:
        paid = [f"{price(old)} → {price(new)}"] if price(old) != price(new) else []
        # What is paid tells price and discount, unless they change and it does not.
        told = {"price", "discount_rate"} if paid else set()
        differing = [
            (field.name, getattr(old, field.name), getattr(new, field.name))
            for field in fields(Product)
            if field.name not in told
        ]
        return ", ".join([*paid, *(f"`{name}` {_brief(a)} → {_brief(b)}" for name, a, b in differing if a != b)])

    lines = chain(
        (f"- **+** {product.code} {product.name}: {price(product)}" for product in change.added),
        (f"- **~** {new.code} {new.name}: {differences(old, new)}" for old, new in change.changed),
        (f"- **−** {product.code} {product.name}: {price(product)}" for product in change.removed),  # noqa: RUF001 -- a minus
    )
    more = len(change.added) + len(change.changed) + len(change.removed) - MOST_PREVIEWED
    return "\n".join([*islice(lines, MOST_PREVIEWED), *([f"- … +{more}"] if more > 0 else [])])


def _brief(value: str | Decimal | None) -> str:
    """Return a value for the preview, which has one line for each product."""
    text = "-" if value is None else str(value)
    return text if len(text) <= LONGEST_PREVIEWED else f"{text[:LONGEST_PREVIEWED]}…"


def _acceptance_end(acceptance: str) -> dict[str, str]:
    """Return the option that ends ten minutes of acceptance, which begin now."""
    if acceptance != Acceptance.TEN_MINUTES:
        return {}
    return {CONF_ACCEPT_UNTIL: (dt_util.utcnow() + ACCEPTANCE_TIME).isoformat()}
