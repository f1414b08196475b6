"""The dialogs of the repairs: a price for a product, an import for an empty price list."""

from typing import Any

import voluptuous as vol
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.components.repairs.const import FlowType
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
)

from .devices.products import HIGHEST_PRICE, PriceListError, ProductEdit
from .hub import SiteConfigEntry
from .markdown import escaped
from .price_repairs import DATA_CODE, DATA_ENTRY_ID

CONF_NAME = "name"
CONF_PRICE = "price"


async def async_create_fix_flow(
    hass: HomeAssistant,
    issue_id: str,
    data: dict[str, str | int | float | None] | None,
) -> RepairsFlow:
    """Return the dialog of a repair."""
    given = data or {}
    entry = hass.config_entries.async_get_known_entry(str(given.get(DATA_ENTRY_ID)))
    code = given.get(DATA_CODE)
    return ImportFlow(entry) if code is None else PriceFlow(entry, str(code))


class SiteRepairsFlow(RepairsFlow):
    """A dialog that changes a site, which must be loaded."""

    def __init__(self, entry: SiteConfigEntry) -> None:
        self._entry = entry

    @property
    def _loaded(self) -> bool:
        return self._entry.state is ConfigEntryState.LOADED


class PriceFlow(SiteRepairsFlow):
    """Takes the price of a product that a basket holds and the price list lacks."""

    def __init__(self, entry: SiteConfigEntry, code: str) -> None:
        super().__init__(entry)
        self._code = code

    async def async_step_init(self, _: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_price()

    async def async_step_price(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Take the price, and a name if there is one."""
        if not self._loaded:
            return self.async_abort(reason="entry_not_loaded")
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                edit = ProductEdit.from_values({"code": self._code, **user_input})
                await self._entry.runtime_data.stored_prices.async_change([edit])
            except PriceListError as error:
                errors["base"] = error.reason
            else:
                return self.async_create_entry(data={})
        schema = vol.Schema(
            {
                vol.Required(CONF_PRICE): NumberSelector(
                    NumberSelectorConfig(
                        min=0,
                        max=float(HIGHEST_PRICE),
                        step="any",
                        mode=NumberSelectorMode.BOX,
                        unit_of_measurement=self._entry.runtime_data.settings.currency.code,
                    )
                ),
                vol.Optional(CONF_NAME): TextSelector(),
            }
        )
        return self.async_show_form(
            step_id="price",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders={"product": escaped(self._code), "site": escaped(self._entry.title)},
        )


class ImportFlow(SiteRepairsFlow):
    """Leads to the import of a price list; the repair stays until there is one."""

    async def async_step_init(self, _: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Open the import."""
        if not self._loaded:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders={"site": escaped(self._entry.title)},
            )
        options = self.hass.config_entries.options
        menu = await options.async_init(self._entry.entry_id)
        await options.async_configure(menu["flow_id"], {"next_step_id": "import_prices"})
        return self.async_abort(reason="import_opened", next_flow=(FlowType.OPTIONS_FLOW, menu["flow_id"]))
