"""To-do lists: what lies in a basket, to be ticked off by staff."""

from collections.abc import Iterator
from typing import override

from homeassistant.components.todo.const import TodoItemStatus, TodoListEntityFeature
from homeassistant.components.todo.entity import TodoItem, TodoListEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .entity import FieldEntity
from .field_devices import BasketDevice, FieldDevice
from .hub import Hub, SiteConfigEntry

PARALLEL_UPDATES = 0

TIMES = "\N{MULTIPLICATION SIGN}"

type Line = tuple[str, str, str | None, bool]


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the contents of every basket there is and every one to come."""
    hub = entry.runtime_data

    def build(device: FieldDevice) -> Iterator[TodoListEntity]:
        if isinstance(device, BasketDevice) and device.claim("todo:contents"):
            yield ContentsList(device, hub)

    hub.add_platform(async_add_entities, build)


class ContentsList(FieldEntity[BasketDevice, tuple[Line, ...]], TodoListEntity):
    """One line for each product: name and count, the line's price, and whether staff saw it."""

    _attr_supported_features = TodoListEntityFeature.UPDATE_TODO_ITEM

    def __init__(self, device: BasketDevice, hub: Hub) -> None:
        super().__init__(device, "contents")
        self._hub = hub

    @callback
    @override
    def refresh(self) -> None:
        before = self.state
        if self._reachable() != self._attr_available:
            super().refresh()
        elif self._read() != self._shown:
            self._take()
            # The state is the number of lines that are not ticked off, which most changes leave as it is.
            if self.state != before:
                self.async_write_ha_state()
            else:
                self.async_update_listeners()

    @override
    def _read(self) -> tuple[Line, ...]:
        basket, currency = self._device.basket, self._device.currency
        name = basket.prices.name
        lines: list[Line] = []
        for code, count in basket.contents.items():
            price = basket.line_price(code)
            text = None if price is None else f"{currency.round(price):,} {currency.code}"
            lines.append((code, f"{name(code)} {TIMES} {count}", text, code in basket.checked))
        return tuple(lines)

    @override
    def _show(self, value: tuple[Line, ...]) -> None:
        self._attr_todo_items = [
            TodoItem(
                uid=code,
                summary=summary,
                description=price,
                status=TodoItemStatus.COMPLETED if checked else TodoItemStatus.NEEDS_ACTION,
            )
            for code, summary, price, checked in value
        ]

    @override
    async def async_update_todo_item(self, item: TodoItem) -> None:
        """Tick a product off, or take that back.

        Raises:
            ServiceValidationError: the product is not in the basket, or more than the tick was to change.
        """
        line = next((line for line in self.todo_items or () if line.uid == item.uid), None)
        if line is None or item.uid is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="item_not_in_basket",
                translation_placeholders={"item": str(item.uid), "basket": self._device.basket.root},
            )
        unchanged = item.summary in (None, line.summary) and item.description in (None, line.description)
        if not unchanged or item.due is not None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="contents_are_read_only")
        self._device.basket.check(item.uid, item.status is TodoItemStatus.COMPLETED)
        self._hub.baskets.touched(self._device)
