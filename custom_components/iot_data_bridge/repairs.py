"""The repairs of a site."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN


class PriceListIssue:
    """Baskets hold products, and there is no price list: nothing has a price."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._shown = False

    def show(self, shown: bool) -> None:
        """Raise the issue or withdraw it."""
        if shown == self._shown:
            return
        self._shown = shown
        issue_id = price_list_issue_id(self._entry.entry_id)
        if not shown:
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="price_list_empty",
            translation_placeholders={"site": self._entry.title},
        )


def price_list_issue_id(entry_id: str) -> str:
    """Return the id of a site's issue."""
    return f"price_list_empty_{entry_id}"
