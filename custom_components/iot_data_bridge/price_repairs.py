"""The repairs for what the price list lacks: each cause once, however many baskets show it."""

from collections.abc import Sequence

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .markdown import bounded

PRICE_LIST_EMPTY = "price_list_empty"
UNPRICED_PRODUCT = "unpriced_product"
DATA_ENTRY_ID = "entry_id"
DATA_CODE = "code"
# Codes are read by antennas and sent by strangers; the sensor of unknown products counts them all.
MOST_UNPRICED = 20


class PriceRepairs:
    """The repairs of one site: its price list is empty, or a product of a basket is not in it."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._list_missing = False
        self._unpriced: frozenset[str] = frozenset()

    @callback
    def show(self, *, list_missing: bool, unpriced: Sequence[str]) -> None:
        """Raise and withdraw repairs, for at most 20 of the products without a price."""
        if list_missing != self._list_missing:
            self._list_missing = list_missing
            self._set(PRICE_LIST_EMPTY, None, shown=list_missing)
        if unpriced or self._unpriced:
            # A repair that a user may be reading stays.
            stay = [code for code in unpriced if code in self._unpriced]
            new = [code for code in unpriced if code not in self._unpriced]
            wanted = frozenset([*stay, *new][:MOST_UNPRICED])
            for code in self._unpriced - wanted:
                self._set(UNPRICED_PRODUCT, code, shown=False)
            for code in wanted - self._unpriced:
                self._set(UNPRICED_PRODUCT, code, shown=True)
            self._unpriced = wanted

    @callback
    def withdraw(self) -> None:
        """Withdraw every repair."""
        self.show(list_missing=False, unpriced=())

    def _set(self, kind: str, code: str | None, *, shown: bool) -> None:
        entry_id = self._entry.entry_id
        issue_id = price_issue_id(kind, entry_id, code)
        if not shown:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        placeholders = {"site": bounded(self._entry.title)}
        if code is not None:
            placeholders["product"] = bounded(code)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            data={DATA_ENTRY_ID: entry_id, DATA_CODE: code},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key=kind,
            # A title is plain text; the dialogs of the repairs escape these.
            translation_placeholders=placeholders,
        )


def price_issue_id(kind: str, entry_id: str, code: str | None = None) -> str:
    """Return the id of a site's repair, for a product the one of its code."""
    return f"{kind}_{entry_id}" if code is None else f"{kind}_{entry_id}_{code}"


@callback
def async_delete_price_repairs(hass: HomeAssistant, entry_id: str) -> None:
    """Delete what is left of a removed site's repairs, the ignored ones too."""
    prefixes = tuple(price_issue_id(kind, entry_id) for kind in (PRICE_LIST_EMPTY, UNPRICED_PRODUCT))
    for domain, issue_id in list(ir.async_get(hass).issues):
        if domain == DOMAIN and issue_id.startswith(prefixes):
            ir.async_delete_issue(hass, domain, issue_id)
