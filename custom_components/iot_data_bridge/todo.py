"""To-do lists: what lies in a basket, to be ticked off by staff."""

from collections.abc import Iterator
from typing import override

from homeassistant.components.todo.const import TodoItemStatus, TodoListEntityFeature
from homeassistant.components.todo.entity import TodoItem, TodoListEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .devices.sessions import TIMES
from .entity import ValueEntity
from .field_devices import BasketDevice, FieldDevice
from .hub import Hub, SiteConfigEntry

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the contents of every basket there is and every one to come."""
    hub = entry.runtime_data

    def build(device: FieldDevice) -> Iterator[TodoListEntity]:
        if isinstance(device, BasketDevice) and device.claim("todo:contents"):
            yield ContentsList(device, hub)

    hub.add_platform(Platform.TODO, async_add_entities, build)


class ContentsList(ValueEntity[int], TodoListEntity):
    """One line for each product: name and count, the line's price, and whether staff saw it."""

    _attr_supported_features = TodoListEntityFeature.UPDATE_TODO_ITEM

    def __init__(self, device: BasketDevice, hub: Hub) -> None:
        super().__init__(device, "contents", lambda: device.basket.revision)
        self._device = device
        self._hub = hub
        self._lines: list[TodoItem] | None = None
        self._written: int | None = None

    @property
    @override
    def state(self) -> int:
        """Return the number of lines that are not ticked off."""
        basket = self._device.basket
        return len(basket.contents) - len(basket.checked)

    @property
    @override
    def todo_items(self) -> list[TodoItem]:
        """Return the lines, made when somebody looks: most revisions are never seen."""
        if self._lines is None:
            self._lines = [self._line(code, count) for code, count in self._device.basket.contents.items()]
        return self._lines

    @override
    def _show(self, value: int) -> None:
        self._lines = None

    @callback
    @override
    def write(self, value: int) -> None:
        self._show(value)
        # The state is a number of lines, which most changes of the contents leave as it is.
        if self.state != self._written:
            self.async_write_ha_state()
        elif self._update_listeners:
            self.async_update_listeners()

    @callback
    @override
    def _async_write_ha_state(self) -> None:
        self._written = self.state
        if self._update_listeners:
            super()._async_write_ha_state()
        else:
            # The list's own way would make and copy every line to compare it, though nobody looks.
            super(TodoListEntity, self)._async_write_ha_state()

    def _line(self, code: str, count: int) -> TodoItem:
        basket, currency = self._device.basket, self._device.currency
        price = basket.line_price(code)
        return TodoItem(
            uid=code,
            summary=f"{basket.prices.name(code)} {TIMES} {count}",
            description=None if price is None else currency.written(price),
            status=TodoItemStatus.COMPLETED if code in basket.checked else TodoItemStatus.NEEDS_ACTION,
        )

    @override
    async def async_update_todo_item(self, item: TodoItem) -> None:
        """Tick a product off, or take that back.

        Raises:
            ServiceValidationError: the product is not in the basket, or more than the tick was to change.
        """
        line = next((line for line in self.todo_items if line.uid == item.uid), None)
        if line is None or item.uid is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="item_not_in_basket",
                translation_placeholders={"item": str(item.uid), "basket": self._device.basket.root},
            )
        unchanged = item.summary in (None, line.summary) and item.description in (None, line.description)
        if not unchanged or item.due is not None:
            raise ServiceValidationError(translation_domain=DOMAIN, translation_key="contents_are_read_only")
        self._device.basket.check(item.uid, item.status == TodoItemStatus.COMPLETED)
        self._hub.baskets.on_edited(self._device)
