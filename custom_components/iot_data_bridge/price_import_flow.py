"""The steps of a price list's import: the list, its columns, its discounts, and a preview of the change."""

from functools import partial
from typing import Any, Final

import voluptuous as vol
from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import (
    BooleanSelector,
    FileSelector,
    FileSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)

from .devices.price_import.columns import Columns, checked_choice
from .devices.price_import.csv_table import CsvTable
from .devices.price_import.encodings import ENCODINGS, decode
from .devices.price_import.reading import LARGEST_LIST, FractionReading, OpenedList, ReadList, open_list, read_list
from .devices.products import FIELDS, PriceListChange, PriceListError
from .hub import Hub
from .markdown import bounded
from .price_list_preview import describe

CONF_ENCODING: Final = "encoding"
CONF_FILE: Final = "file"
CONF_FRACTIONS: Final = "fractions"
CONF_REMOVE_OTHERS: Final = "remove_others"
CONF_TEXT: Final = "text"
AUTOMATIC: Final = "automatic"

IMPORT_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_FILE): FileSelector(FileSelectorConfig(accept=".csv,.txt,.tsv,.yaml,.yml,.json,text/csv")),
        vol.Optional(CONF_TEXT): TextSelector(TextSelectorConfig(multiline=True)),
        vol.Optional(CONF_REMOVE_OTHERS, default=False): BooleanSelector(),
        vol.Optional(CONF_ENCODING, default=AUTOMATIC): SelectSelector(
            SelectSelectorConfig(
                options=[AUTOMATIC, *ENCODINGS], mode=SelectSelectorMode.DROPDOWN, translation_key=CONF_ENCODING
            )
        ),
    }
)
FRACTIONS_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_FRACTIONS): SelectSelector(
            SelectSelectorConfig(
                options=[reading.value for reading in FractionReading],
                mode=SelectSelectorMode.LIST,
                translation_key=CONF_FRACTIONS,
            )
        )
    }
)
# How the names of encodings are shown; the forms have their names in the user's language.
_ENCODING_NAMES = {"utf_8": "UTF-8", "utf_16": "UTF-16", "cp932": "Shift-JIS", "gb18030": "GBK", "cp950": "Big5"}


class PriceImportSteps(OptionsFlow):
    """Steps of an options flow. The list is opened once; each answer reads its products anew, away from the loop."""

    def __init__(self) -> None:
        self._opened: OpenedList | None = None
        self._encoding = ""
        self._chosen: Columns | None = None
        self._fractions: FractionReading | None = None
        self._read: ReadList | None = None
        self._remove_others = False
        # What was filled in, for the form that an error leads back to. An upload is consumed when it is read.
        self._given: dict[str, Any] = {}

    async def async_step_import_prices(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Take a price list as a file or as text."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is None:
            return self._import_form()
        self._given = {key: value for key, value in user_input.items() if key != CONF_FILE}
        self._chosen = self._fractions = None
        self._remove_others = user_input[CONF_REMOVE_OTHERS]
        try:
            opened, self._encoding = await self.hass.async_add_executor_job(self._open, user_input)
        except PriceListError as error:
            return self._import_form(error)
        self._opened, columns = opened, opened.columns
        if columns is not None and not columns.certain:
            return await self.async_step_import_columns()
        return await self._async_read_list()

    async def async_step_import_columns(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask which column is which."""
        opened = self._opened
        if opened is None or opened.table is None or opened.columns is None:
            return self._import_form()
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                self._chosen = checked_choice({field: int(place) for field, place in user_input.items()})
            except PriceListError as error:
                errors["base"] = error.reason
            else:
                return await self._async_read_list()
        suggested = {field: str(place) for field, place in opened.columns.places.items()}
        return self.async_show_form(
            step_id="import_columns",
            data_schema=self.add_suggested_values_to_schema(
                _columns_schema(opened.table), suggested if user_input is None else user_input
            ),
            errors=errors,
        )

    async def async_step_import_discounts(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask whether 0.1 is a tenth of a percent or ten percent."""
        if user_input is not None:
            self._fractions = FractionReading(user_input[CONF_FRACTIONS])
            return await self._async_read_list()
        return self.async_show_form(
            step_id="import_discounts",
            data_schema=FRACTIONS_SCHEMA,
            description_placeholders={"discount": "" if self._read is None else str(self._read.fraction)},
        )

    async def async_step_preview(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what the new list changes, and change it when the user agrees."""
        if self.config_entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        hub: Hub = self.config_entry.runtime_data
        read = self._read
        if read is None:
            return self._import_form()
        prepare = hub.stored_prices.async_preview if user_input is None else hub.stored_prices.async_change
        try:
            change = await prepare(read.edits, remove_others=self._remove_others)
        except PriceListError as error:
            return self._import_form(error)
        except HomeAssistantError:
            return self._import_form(PriceListError("database_failed"))
        if user_input is not None:
            return self.async_create_entry(data=dict(self.config_entry.options))
        return await self._async_show_preview(change, read)

    async def _async_show_preview(self, change: PriceListChange, read: ReadList) -> ConfigFlowResult:
        hub: Hub = self.config_entry.runtime_data
        described = await self.hass.async_add_executor_job(describe, change, hub.settings.currency)
        return self.async_show_form(
            step_id="preview",
            data_schema=vol.Schema({}),
            description_placeholders={
                "added": str(len(change.added)),
                "changed": str(len(change.changed)),
                "removed": str(len(change.removed)),
                "skipped": str(read.skipped),
                "encoding": self._encoding,
                "changes": described,
            },
        )

    async def _async_read_list(self) -> ConfigFlowResult:
        """Read the products, and go on to the next question."""
        if (opened := self._opened) is None:
            return self._import_form()
        hub: Hub = self.config_entry.runtime_data
        fractions = self._fractions or FractionReading.PERCENT
        read = partial(read_list, opened, hub.settings.currency, self._chosen, fractions)
        try:
            self._read = await self.hass.async_add_executor_job(read)
        except PriceListError as error:
            return self._import_form(error)
        if self._read.fraction is not None and self._fractions is None:
            return await self.async_step_import_discounts()
        return await self.async_step_preview()

    def _import_form(self, error: PriceListError | None = None) -> ConfigFlowResult:
        errors, placeholders = {}, {"position": "", "code": "", "text": ""}
        if error is not None:
            errors["base"] = error.reason
            placeholders = {"position": str(error.position), "code": bounded(error.code), "text": bounded(error.text)}
        return self.async_show_form(
            step_id="import_prices",
            data_schema=self.add_suggested_values_to_schema(IMPORT_SCHEMA, self._given),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _open(self, user_input: dict[str, Any]) -> tuple[OpenedList, str]:
        file_id = user_input.get(CONF_FILE)
        if not file_id:
            return open_list(user_input.get(CONF_TEXT) or ""), "–"  # noqa: RUF001 -- a dash
        hub: Hub = self.config_entry.runtime_data
        wanted = user_input[CONF_ENCODING]
        decoded = decode(self._read_file(file_id), hub.settings.currency, None if wanted == AUTOMATIC else wanted)
        name = _ENCODING_NAMES.get(decoded.encoding, decoded.encoding.upper())
        return open_list(decoded.text), name

    def _read_file(self, file_id: str) -> bytes:
        try:
            with process_uploaded_file(self.hass, file_id) as path:
                raw = path.read_bytes() if path.stat().st_size <= LARGEST_LIST else None
        except ValueError as error:
            raise PriceListError("file_gone") from error
        if raw is None:
            raise PriceListError("file_too_large")
        return raw


def _columns_schema(table: CsvTable) -> vol.Schema:
    options = [
        SelectOptionDict(
            value=str(place), label=_label(header, table.sample[place] if place < len(table.sample) else "")
        )
        for place, header in enumerate(table.headers)
        if header.strip()
    ]
    choice = SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN))
    return vol.Schema({(vol.Required if field == "code" else vol.Optional)(field): choice for field in FIELDS})


def _label(header: str, sample: str) -> str:
    """Return a column as a choice: its header, and the cell of the first product."""
    return f"{bounded(header, 60)}: {bounded(sample, 40)}" if sample.strip() else bounded(header, 60)
