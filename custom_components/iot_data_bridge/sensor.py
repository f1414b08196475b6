"""Sensors: what a device tells and what follows from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import override

from homeassistant.components.sensor import (
    DEVICE_CLASS_STATE_CLASSES,
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS
from homeassistant.const import (
    PERCENTAGE,
    SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
    EntityCategory,
    Platform,
    UnitOfMass,
    UnitOfTemperature,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .devices.basket import Basket, Problem
from .devices.basket_messages import Detail
from .devices.basket_session import SessionState
from .devices.bridged import BridgedObject, ObjectValue, ValueType
from .devices.identity import object_key
from .devices.money import Currency
from .devices.printer import Printer, PrinterState
from .devices.site import Site
from .entity import ValueEntity
from .field_devices import BasketDevice, BridgedFieldDevice, FieldDevice, PrinterDevice, SiteDevice
from .hub import SiteConfigEntry

PARALLEL_UPDATES = 0

# What the sensor of a problem's reason shows without a problem.
NO_PROBLEM = "none"

type SensorValue = StateType | datetime | Decimal
type ObjectAndValue = tuple[BridgedObject, ObjectValue]


@dataclass(frozen=True, kw_only=True)
class ModelSensorDescription[ModelT](SensorEntityDescription):
    """A sensor that shows one value of a model; an amount of money takes unit and digits from the site's currency."""

    value_fn: Callable[[ModelT], SensorValue]
    exists_fn: Callable[[ModelT], bool] = lambda _: True


def _money[ModelT](key: str, value_fn: Callable[[ModelT], Decimal | None]) -> ModelSensorDescription[ModelT]:
    # The only state class that an amount of money can have, and without one there are no long-term statistics.
    return ModelSensorDescription(
        key=key,
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        value_fn=value_fn,
    )


def _minute(moment: datetime | None) -> datetime | None:
    # To the minute: a basket that speaks every second would otherwise write a state and a database row every second.
    return None if moment is None else moment.replace(second=0, microsecond=0)


def _detail(detail: Detail) -> Callable[[Basket], SensorValue]:
    return lambda basket: basket.details.get(detail)


def _has_detail(detail: Detail) -> Callable[[Basket], bool]:
    return lambda basket: detail in basket.details


# Their values are those of a basket's contents, or begin with them.
BASKET_CONTENTS_SENSORS: tuple[ModelSensorDescription[Basket], ...] = (
    ModelSensorDescription(
        key="session",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in SessionState],
        value_fn=lambda basket: basket.session.state,
    ),
    ModelSensorDescription(
        key="items",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda basket: basket.items,
    ),
    _money("total_price", lambda basket: basket.total),
)
BASKET_SENSORS: tuple[ModelSensorDescription[Basket], ...] = (
    ModelSensorDescription(
        key="distinct_products", state_class=SensorStateClass.MEASUREMENT, value_fn=lambda basket: len(basket.contents)
    ),
    ModelSensorDescription(
        key="session_started", device_class=SensorDeviceClass.TIMESTAMP, value_fn=lambda basket: basket.session_started
    ),
    ModelSensorDescription(
        key="last_activity",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda basket: _minute(basket.last_activity),
    ),
    ModelSensorDescription(
        key="weight",
        device_class=SensorDeviceClass.WEIGHT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfMass.GRAMS,
        suggested_display_precision=0,
        value_fn=_detail(Detail.WEIGHT),
        exists_fn=_has_detail(Detail.WEIGHT),
    ),
    ModelSensorDescription(
        key="battery",
        device_class=SensorDeviceClass.BATTERY,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=PERCENTAGE,
        value_fn=_detail(Detail.BATTERY),
        exists_fn=_has_detail(Detail.BATTERY),
    ),
    ModelSensorDescription(
        key="signal_strength",
        device_class=SensorDeviceClass.SIGNAL_STRENGTH,
        state_class=SensorStateClass.MEASUREMENT,
        entity_category=EntityCategory.DIAGNOSTIC,
        native_unit_of_measurement=SIGNAL_STRENGTH_DECIBELS_MILLIWATT,
        value_fn=_detail(Detail.SIGNAL_STRENGTH),
        exists_fn=_has_detail(Detail.SIGNAL_STRENGTH),
    ),
    ModelSensorDescription(key="location", value_fn=_detail(Detail.LOCATION), exists_fn=_has_detail(Detail.LOCATION)),
    ModelSensorDescription(
        key="error",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_detail(Detail.ERROR),
        exists_fn=_has_detail(Detail.ERROR),
    ),
)

SITE_SENSORS: tuple[ModelSensorDescription[Site], ...] = (
    ModelSensorDescription(
        key="baskets_in_use", state_class=SensorStateClass.MEASUREMENT, value_fn=lambda site: site.baskets_in_use
    ),
    ModelSensorDescription(
        key="baskets_idle", state_class=SensorStateClass.MEASUREMENT, value_fn=lambda site: site.baskets_idle
    ),
    ModelSensorDescription(
        key="items_out", state_class=SensorStateClass.MEASUREMENT, value_fn=lambda site: site.items_out
    ),
    ModelSensorDescription(
        key="baskets_with_problems",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda site: site.baskets_with_problems,
    ),
    ModelSensorDescription(
        key="unknown_products",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda site: len(site.unknown_products),
    ),
    _money("value_on_the_floor", lambda site: site.value_on_the_floor),
    ModelSensorDescription(
        key="sessions_today", state_class=SensorStateClass.TOTAL_INCREASING, value_fn=lambda site: site.sessions_today
    ),
)


def _temperature(key: str, value_fn: Callable[[Printer], SensorValue]) -> ModelSensorDescription[Printer]:
    return ModelSensorDescription(
        key=key,
        device_class=SensorDeviceClass.TEMPERATURE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTemperature.CELSIUS,
        suggested_display_precision=1,
        value_fn=value_fn,
    )


PRINTER_SENSORS: tuple[ModelSensorDescription[Printer], ...] = (
    ModelSensorDescription(
        key="state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in PrinterState],
        value_fn=lambda printer: printer.state,
    ),
    ModelSensorDescription(
        key="progress",
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        value_fn=lambda printer: printer.progress,
    ),
    ModelSensorDescription(key="file", value_fn=lambda printer: printer.file_name),
    ModelSensorDescription(key="last_job", value_fn=lambda printer: printer.last_job),
    _temperature("nozzle_temperature", lambda printer: printer.nozzle_temperature),
    _temperature("nozzle_target", lambda printer: printer.nozzle_target),
    _temperature("bed_temperature", lambda printer: printer.bed_temperature),
    _temperature("bed_target", lambda printer: printer.bed_target),
)


async def async_setup_entry(
    hass: HomeAssistant, entry: SiteConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add sensors for every device there is and every one to come."""
    entry.runtime_data.add_platform(Platform.SENSOR, async_add_entities, _build)


def _build(device: FieldDevice) -> Iterator[SensorEntity]:
    match device:
        case BasketDevice():
            yield from _build_basket(device)
        case PrinterDevice():
            yield from _build_models(device, device.printer, PRINTER_SENSORS, None)
        case SiteDevice():
            yield from _build_models(device, device.site, SITE_SENSORS, device.site.currency)
            if device.claim("sensor:revenue_today"):
                yield RevenueSensor(device)
        case BridgedFieldDevice():
            for described in device.device.objects.values():
                if not described.is_boolean and device.claim(f"sensor:{described.name}"):
                    yield BridgedSensor(device, described)


def _build_basket(device: BasketDevice) -> Iterator[SensorEntity]:
    for description in BASKET_CONTENTS_SENSORS:
        if device.claim(f"sensor:{description.key}"):
            yield ContentsSensor(device, description)
    yield from _build_models(device, device.basket, BASKET_SENSORS, device.currency)
    if device.claim("sensor:problem_reason"):
        yield ProblemReasonSensor(device)


def _build_models[ModelT](
    device: FieldDevice,
    model: ModelT,
    descriptions: tuple[ModelSensorDescription[ModelT], ...],
    currency: Currency | None,
) -> Iterator[ModelSensor[ModelT]]:
    for description in descriptions:
        if description.exists_fn(model) and device.claim(f"sensor:{description.key}"):
            yield ModelSensor(device, model, description, currency)


class DescribedSensor(SensorEntity):
    """A sensor whose description is of a model."""

    def _apply_description(self, description: SensorEntityDescription, currency: Currency | None) -> None:
        self.entity_description = description
        if description.device_class is SensorDeviceClass.MONETARY and currency is not None:
            self._attr_native_unit_of_measurement = currency.code
            self._attr_suggested_display_precision = currency.digits


class ModelSensor[ModelT](ValueEntity[SensorValue], DescribedSensor):
    """One value of a basket, a printer or the site."""

    def __init__(
        self,
        device: FieldDevice,
        model: ModelT,
        description: ModelSensorDescription[ModelT],
        currency: Currency | None,
    ) -> None:
        super().__init__(device, description.key, partial(description.value_fn, model))
        self._apply_description(description, currency)
        self._value: SensorValue = None

    @property
    @override
    def native_value(self) -> SensorValue:
        """Return the value; an `_attr_` attribute has a cache that costs more at each change."""
        return self._value

    @override
    def _show(self, value: SensorValue) -> None:
        self._value = value


class ContentsSensor(ValueEntity[tuple[SensorValue, bool]], DescribedSensor):
    """One value of a basket, and whether the contents that it is of may be older than the basket's last update."""

    def __init__(self, device: BasketDevice, description: ModelSensorDescription[Basket]) -> None:
        basket, value_fn = device.basket, description.value_fn
        super().__init__(device, description.key, lambda: (value_fn(basket), basket.contents_uncertain))
        self._apply_description(description, device.currency)
        self._value: SensorValue = None

    @property
    @override
    def native_value(self) -> SensorValue:
        """Return the value, as in `ModelSensor`."""
        return self._value

    @override
    def _show(self, value: tuple[SensorValue, bool]) -> None:
        self._value, uncertain = value
        self._attr_extra_state_attributes = {"contents_uncertain": True} if uncertain else {}


class RevenueSensor(ValueEntity[tuple[Decimal, datetime]], SensorEntity):
    """The revenue of a site since it began to be summed."""

    _attr_device_class = SensorDeviceClass.MONETARY
    _attr_state_class = SensorStateClass.TOTAL

    def __init__(self, device: SiteDevice) -> None:
        site = device.site
        # A sum of 0 that begins anew has changed too.
        super().__init__(device, "revenue_today", lambda: (site.revenue_today, site.revenue_since))
        self._attr_native_unit_of_measurement = site.currency.code
        self._attr_suggested_display_precision = site.currency.digits

    @override
    def _show(self, value: tuple[Decimal, datetime]) -> None:
        self._attr_native_value, self._attr_last_reset = value


class ProblemReasonSensor(ValueEntity[tuple[Problem, ...]], SensorEntity):
    """Why a basket needs attention: the most urgent reason as the state, all of them as an attribute."""

    _attr_device_class = SensorDeviceClass.ENUM
    _unrecorded_attributes = frozenset({"reasons"})

    def __init__(self, device: BasketDevice) -> None:
        basket = device.basket
        super().__init__(device, "problem_reason", lambda: basket.problems)
        self._attr_options = [NO_PROBLEM, *(problem.value for problem in Problem)]

    @override
    def _show(self, value: tuple[Problem, ...]) -> None:
        self._attr_native_value = value[0].value if value else NO_PROBLEM
        self._attr_extra_state_attributes = {"reasons": [problem.value for problem in value]}


class BridgedSensor(ValueEntity[ObjectAndValue], SensorEntity):
    """One object of a bridged device, named and described as in the catalog."""

    def __init__(self, device: BridgedFieldDevice, described: BridgedObject) -> None:
        super().__init__(device, "object", self._read)
        self._attr_unique_id = object_key(device.key, described.name)
        self._attr_translation_placeholders = {"object": described.name}
        self._device = device.device
        self._object = described

    def _read(self) -> ObjectAndValue:
        # An object that a new catalog lacks is about to lose its entity.
        self._object = self._device.objects.get(self._object.name, self._object)
        return self._object, self._device.values.get(self._object.name)

    @override
    def _show(self, value: ObjectAndValue) -> None:
        described, self._attr_native_value = value
        is_number = described.value_type is not ValueType.TEXT
        self._attr_native_unit_of_measurement = described.unit if is_number else None
        self._attr_device_class = _device_class(described) if is_number else None
        self._attr_state_class = _state_class(described, self._attr_device_class) if is_number else None


def _device_class(described: BridgedObject) -> SensorDeviceClass | None:
    """Return the catalog's device class if Home Assistant has it for a number with this unit."""
    try:
        device_class = SensorDeviceClass(described.device_class or "")
    except ValueError:
        return None
    units = DEVICE_CLASS_UNITS.get(device_class)
    return device_class if units is not None and described.unit in units else None


def _state_class(described: BridgedObject, device_class: SensorDeviceClass | None) -> SensorStateClass | None:
    try:
        state_class = SensorStateClass(described.state_class or "")
    except ValueError:
        return None
    if device_class is not None and state_class not in DEVICE_CLASS_STATE_CLASSES.get(device_class, set()):
        return None
    return state_class
