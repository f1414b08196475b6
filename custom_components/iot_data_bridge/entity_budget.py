"""How many entities a site may have: Home Assistant enables 10,000 of one entry, and the registry keeps every one."""

from collections.abc import Iterable

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.entity import Entity

from .const import DOMAIN

# Home Assistant stops at 10,000; the rest is for entities that the user enables.
MOST_ENABLED = 9_500
# The registry is one file, which is written whole at every change: some 25 MB at this size.
MOST_REGISTERED = 40_000
RECOUNT_SECONDS = 10.0


class EntityBudget:
    """Decides for each new entity whether it is enabled, registered disabled, or left out.

    Attributes:
        left_out: how many entities were not even registered since the site was set up.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        self._hass = hass
        self._entry = entry
        self._registry = er.async_get(hass)
        self._counted = 0.0
        self._shown = False
        self.left_out = 0
        self._count()

    @callback
    def admit(self, platform: Platform, entities: Iterable[Entity]) -> list[Entity]:
        """Return the entities to add, those beyond the budget as disabled by default."""
        admitted = [entity for entity in entities if self._admits(platform, entity)]
        self._show()
        return admitted

    def _admits(self, platform: Platform, entity: Entity) -> bool:
        unique_id = entity.unique_id
        if unique_id is None or self._registry.async_get_entity_id(platform, DOMAIN, unique_id) is not None:
            return True
        if max(self._registered - MOST_REGISTERED, self._enabled - MOST_ENABLED) >= 0:
            self._recount()
        if self._registered >= MOST_REGISTERED:
            self.left_out += 1
            return False
        self._registered += 1
        if entity.entity_registry_enabled_default:
            if self._enabled >= MOST_ENABLED:
                entity._attr_entity_registry_enabled_default = False  # noqa: SLF001 -- the attribute is Home Assistant's own interface
            else:
                self._enabled += 1
        return True

    def _recount(self) -> None:
        """Count again after devices may have been removed; a flood of new ones is not counted for each."""
        now = self._hass.loop.time()
        if now - self._counted >= RECOUNT_SECONDS:
            self._count()

    def _count(self) -> None:
        entities = er.async_entries_for_config_entry(self._registry, self._entry.entry_id)
        self._registered = len(entities)
        self._enabled = sum(entity.disabled_by is None for entity in entities)
        self._counted = self._hass.loop.time()

    def _show(self) -> None:
        full = self._enabled >= MOST_ENABLED or self.left_out > 0
        if full == self._shown:
            return
        self._shown = full
        if not full:
            ir.async_delete_issue(self._hass, DOMAIN, entity_budget_issue_id(self._entry.entry_id))
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            entity_budget_issue_id(self._entry.entry_id),
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="too_many_entities",
            translation_placeholders={"site": self._entry.title, "limit": f"{MOST_ENABLED:,}"},
        )


def entity_budget_issue_id(entry_id: str) -> str:
    """Return the id of a site's repair for too many entities."""
    return f"too_many_entities_{entry_id}"
