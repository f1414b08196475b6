"""Binary sensors: whether a device is connected, in trouble, or over its budget."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .devices.basket import Basket, Problem
from .devices.basket_messages import Detail
from .devices.bridged import Bridge, BridgedObject
from .devices.identity import object_key
from .devices.printer import Printer
from .devices.products import MOST_NAMED_PRODUCTS
from .entity import ValueEntity
from .field_devices import BasketDevice, BridgeDevice, BridgedFieldDevice, FieldDevice, PrinterDevice
from .hub import SiteConfigEntry

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ModelBinarySensorDescription[ModelT](BinarySensorEntityDescription):
    """A binary sensor that shows one value of a model."""

    value_fn: Callable[[ModelT], bool | None]


def _connectivity[ModelT](
    value_fn: Callable[[ModelT], bool | None], key: str = "connectivity", translation_key: str | None = None
) -> ModelBinarySensorDescription[ModelT]:
    return ModelBinarySensorDescription(
        key=key,
        translation_key=translation_key,
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=value_fn,
    )


BASKET_BINARY_SENSORS: tuple[ModelBinarySensorDescription[Basket], ...] = (
    _connectivity(lambda basket: basket.online),
    ModelBinarySensorDescription(key="over_budget", value_fn=lambda basket: basket.over_budget),
)
# A host with a switched-off printer is connected, and the printer is not.
PRINTER_BINARY_SENSORS: tuple[ModelBinarySensorDescription[Printer], ...] = (
    _connectivity(lambda printer: printer.online, translation_key="host_connectivity"),
    _connectivity(lambda printer: printer.linked, key="printer_connectivity"),
)
BRIDGE_BINARY_SENSORS: tuple[ModelBinarySensorDescription[Bridge], ...] = (_connectivity(lambda bridge: bridge.online),)


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add binary sensors for every device there is and every one to come."""
    entry.runtime_data.add_platform(Platform.BINARY_SENSOR, async_add_entities, _build)


def _build(device: FieldDevice) -> Iterator[BinarySensorEntity]:
    match device:
        case BasketDevice():
            yield from _build_models(device, device.basket, BASKET_BINARY_SENSORS)
            if device.claim("binary_sensor:problem"):
                yield ProblemSensor(device)
        case PrinterDevice():
            yield from _build_models(device, device.printer, PRINTER_BINARY_SENSORS)
        case BridgeDevice():
            yield from _build_models(device, device.bridge, BRIDGE_BINARY_SENSORS)
        case BridgedFieldDevice():
            for described in device.device.objects.values():
                if described.is_boolean and device.claim(f"binary_sensor:{described.name}"):
                    yield BridgedBinarySensor(device, described)


def _build_models[ModelT](
    device: FieldDevice, model: ModelT, descriptions: tuple[ModelBinarySensorDescription[ModelT], ...]
) -> Iterator[ModelBinarySensor[ModelT]]:
    for description in descriptions:
        if device.claim(f"binary_sensor:{description.key}"):
            yield ModelBinarySensor(device, model, description)


class ModelBinarySensor[ModelT](ValueEntity[bool | None], BinarySensorEntity):
    """One yes or no of a basket, a printer or a bridge."""

    def __init__(self, device: FieldDevice, model: ModelT, description: ModelBinarySensorDescription[ModelT]) -> None:
        super().__init__(device, description.key, partial(description.value_fn, model))
        self.entity_description = description
        if description.translation_key is not None:
            self._attr_translation_key = description.translation_key

    @override
    def _show(self, value: bool | None) -> None:
        self._attr_is_on = value


class ProblemSensor(ValueEntity[Mapping[str, object]], BinarySensorEntity):
    """Whether a basket needs somebody, and why."""

    _attr_device_class = BinarySensorDeviceClass.PROBLEM
    _unrecorded_attributes = frozenset({"reasons", "unknown_products"})

    def __init__(self, device: BasketDevice) -> None:
        super().__init__(device, "problem", self._read)
        self._basket = device.basket
        self._currency = device.currency

    def _read(self) -> Mapping[str, object]:
        basket = self._basket
        problems = basket.problems
        if not problems:
            return _NO_PROBLEM
        plain = self._currency.plain
        attributes: dict[str, object] = {
            "reason": problems[0].value,
            "reasons": [problem.value for problem in problems],
        }
        if Problem.UNKNOWN_PRODUCT in problems:
            attributes["unknown_products"] = list(basket.unpriced[:MOST_NAMED_PRODUCTS])
        if Problem.TOTAL_DIFFERS in problems and (difference := basket.display.difference) is not None:
            attributes["shown_total"] = plain(difference.shown)
            attributes["computed_total"] = plain(difference.computed)
        if Problem.CONTROLLER_ERROR in problems:
            attributes["error"] = basket.details.get(Detail.ERROR)
        return attributes

    @override
    def _show(self, value: Mapping[str, object]) -> None:
        self._attr_is_on = value["reason"] is not None
        self._attr_extra_state_attributes = dict(value)


_NO_PROBLEM: Mapping[str, object] = {"reason": None, "reasons": []}


class BridgedBinarySensor(ValueEntity[bool | None], BinarySensorEntity):
    """One boolean object of a bridged device, named as in the catalog."""

    def __init__(self, device: BridgedFieldDevice, described: BridgedObject) -> None:
        super().__init__(device, "object", self._read)
        self._attr_unique_id = object_key(device.key, described.name)
        self._attr_translation_placeholders = {"object": described.name}
        self._device = device.device
        self._object = described.name
        try:
            self._attr_device_class = BinarySensorDeviceClass(described.device_class or "")
        except ValueError:
            self._attr_device_class = None

    def _read(self) -> bool | None:
        value = self._device.values.get(self._object)
        return value if isinstance(value, bool) else None

    @override
    def _show(self, value: bool | None) -> None:
        self._attr_is_on = value
