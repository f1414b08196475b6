"""Changing how a site behaves, its price list, and the way to the record of its sessions."""

from typing import Any

import voluptuous as vol
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.exceptions import HomeAssistantError
from homeassistant.generated.currencies import ACTIVE_CURRENCIES
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.util import dt as dt_util

from .const import (
    CONF_ACCEPT_DEVICES,
    CONF_ACCEPT_UNTIL,
    CONF_COMMAND_EXPIRY,
    CONF_CURRENCY,
    CONF_REFUSE_UNCERTAIN,
    CONF_RUNNING_TOTAL,
    CONF_SESSION_DAYS,
    CONF_SILENCE_MINUTES,
    DEFAULT_COMMAND_EXPIRY,
    DEFAULT_SESSION_DAYS,
    DEFAULT_SILENCE_MINUTES,
)
from .devices.admission import ACCEPTANCE_TIME, Acceptance
from .hub import Hub
from .price_import_flow import PriceImportSteps
from .session_download import download_link


class SiteOptionsFlow(PriceImportSteps):
    """A menu: settings, the import of a price list, the export of sessions."""

    async def async_step_init(self, _: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Choose what to change."""
        return self.async_show_menu(step_id="init", menu_options=["settings", "import_prices", "export_sessions"])

    async def async_step_settings(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change how the site behaves."""
        if user_input is not None:
            return self.async_create_entry(
                data={
                    **user_input,
                    CONF_SILENCE_MINUTES: int(user_input[CONF_SILENCE_MINUTES]),
                    CONF_COMMAND_EXPIRY: int(user_input[CONF_COMMAND_EXPIRY]),
                    CONF_SESSION_DAYS: int(user_input[CONF_SESSION_DAYS]),
                    **_acceptance_end(user_input[CONF_ACCEPT_DEVICES]),
                }
            )
        options = self.config_entry.options
        # One that is out of use may be what Home Assistant or the site has.
        currencies = {*ACTIVE_CURRENCIES, self.hass.config.currency, options.get(CONF_CURRENCY, "")} - {""}
        schema = vol.Schema(
            {
                vol.Required(CONF_CURRENCY, default=self.hass.config.currency): SelectSelector(
                    SelectSelectorConfig(options=sorted(currencies), mode=SelectSelectorMode.DROPDOWN)
                ),
                vol.Required(CONF_RUNNING_TOTAL, default=False): BooleanSelector(),
                vol.Required(CONF_REFUSE_UNCERTAIN, default=False): BooleanSelector(),
                vol.Required(CONF_SILENCE_MINUTES, default=DEFAULT_SILENCE_MINUTES): _number(0, 1440, "min"),
                vol.Required(CONF_COMMAND_EXPIRY, default=DEFAULT_COMMAND_EXPIRY): _number(1, 86_400, "s"),
                vol.Required(CONF_SESSION_DAYS, default=DEFAULT_SESSION_DAYS): _number(1, 3650, "d"),
                vol.Required(CONF_ACCEPT_DEVICES, default=Acceptance.ALWAYS.value): SelectSelector(
                    SelectSelectorConfig(
                        options=[acceptance.value for acceptance in Acceptance], translation_key=CONF_ACCEPT_DEVICES
                    )
                ),
            }
        )
        return self.async_show_form(
            step_id="settings",
            data_schema=self.add_suggested_values_to_schema(schema, options),
        )

    async def async_step_export_sessions(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Lead to the download of the record of sessions."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is not None:
            return self.async_abort(reason="export_finished")
        hub: Hub = self.config_entry.runtime_data
        try:
            count = await hub.stored_sessions.async_count()
        except HomeAssistantError:
            return self.async_abort(reason="database_failed")
        return self.async_show_form(
            step_id="export_sessions",
            data_schema=vol.Schema({}),
            description_placeholders={
                "count": f"{count:,}",
                "days": str(hub.settings.keep_sessions.days),
                "link": download_link(self.hass, self.config_entry.entry_id),
            },
        )


def _number(smallest: int, largest: int, unit: str) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(min=smallest, max=largest, step=1, mode=NumberSelectorMode.BOX, unit_of_measurement=unit)
    )


def _acceptance_end(acceptance: str) -> dict[str, str]:
    """Return the option that ends ten minutes of acceptance, which begin now."""
    if acceptance != Acceptance.TEN_MINUTES:
        return {}
    return {CONF_ACCEPT_UNTIL: (dt_util.utcnow() + ACCEPTANCE_TIME).isoformat()}
