"""Which device classes, state classes and units go together in Home Assistant, for each type of value.

The data file is made from Home Assistant itself by development/home_assistant_classes.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from data_bridge.catalog.casts import ValueType
from data_bridge.catalog.near_misses import did_you_mean

_FILE = Path(__file__).with_suffix(".json")


class _SensorClass(BaseModel):
    model_config = ConfigDict(frozen=True)

    units: tuple[str | None, ...] | None  # None in the place of a unit: there may be none. No list: any
    state_classes: tuple[str, ...]


class _Classes(BaseModel):
    model_config = ConfigDict(frozen=True)

    sensor: Mapping[str, _SensorClass]
    sensor_without_number: tuple[str, ...]
    binary_sensor: tuple[str, ...]
    state_class_units: Mapping[str, tuple[str | None, ...] | None]
    spellings_of_units: Mapping[str, str]


_KNOWN = _Classes.model_validate_json(_FILE.read_bytes())


@dataclass(frozen=True, slots=True)
class Misfit:
    """A key of an object that Home Assistant cannot use; a `mild` one costs only the device class or the unit."""

    key: str
    text: str
    mild: bool = False


@lru_cache(4096)
def misfits(
    value_type: ValueType, unit: str | None, device_class: str | None, state_class: str | None
) -> tuple[Misfit, ...]:
    """Return the keys of an object that Home Assistant cannot use."""
    if value_type in (ValueType.INTEGER, ValueType.FLOAT):
        return (*_of_number(device_class, state_class), *_units(unit, device_class, state_class))
    found: list[Misfit] = []
    if device_class is not None:
        known = _KNOWN.binary_sensor if value_type is ValueType.BOOLEAN else _KNOWN.sensor_without_number
        if device_class not in known:
            found.append(_unknown_class(device_class, value_type, known))
    if state_class is not None:
        found.append(Misfit("state_class", f"only numbers have a state_class, and this is {value_type}"))
    if unit is not None:
        found.append(Misfit("unit", f"only numbers have a unit, and this is {value_type}: it is not shown", mild=True))
    return tuple(found)


def _of_number(device_class: str | None, state_class: str | None) -> list[Misfit]:
    found: list[Misfit] = []
    if device_class is not None and device_class not in _KNOWN.sensor:
        found.append(_unknown_class(device_class, ValueType.FLOAT, _KNOWN.sensor))
    if state_class is None:
        return found
    if state_class not in _KNOWN.state_class_units:
        near = did_you_mean(state_class, _KNOWN.state_class_units)
        known = ", ".join(_KNOWN.state_class_units)
        found.append(Misfit("state_class", f"Home Assistant has no state_class {state_class!r}{near}; it has {known}"))
    elif (sensor := _KNOWN.sensor.get(device_class or "")) is not None and state_class not in sensor.state_classes:
        fitting = " or ".join(sensor.state_classes)
        text = f"{state_class} does not go with the device_class {device_class}; {fitting} does"
        found.append(Misfit("state_class", text))
    return found


def _units(unit: str | None, device_class: str | None, state_class: str | None) -> list[Misfit]:
    sensor = _KNOWN.sensor.get(device_class or "")
    given = (
        ("device_class", device_class, sensor.units if sensor is not None else None),
        ("state_class", state_class, _KNOWN.state_class_units.get(state_class or "")),
    )
    spelt = _KNOWN.spellings_of_units.get(unit or "", unit)
    return [
        _unit_misfit(unit, key, value, units) for key, value, units in given if units is not None and spelt not in units
    ]


def _unit_misfit(unit: str | None, key: str, value: str | None, units: Collection[str | None]) -> Misfit:
    known = [each for each in units if each is not None]
    near = did_you_mean(unit, known) if unit is not None else ""
    text = f"the {key} {value} goes with the unit {', '.join(known) or 'none'}, not with {unit or 'none'}{near}"
    return Misfit("unit", f"{text}: the {key} is not shown", mild=True)


def _unknown_class(device_class: str, value_type: ValueType, known: Collection[str]) -> Misfit:
    everything = {*_KNOWN.sensor, *_KNOWN.sensor_without_number, *_KNOWN.binary_sensor}
    kind = "numbers" if known is _KNOWN.sensor else f"values that are {value_type}"
    whose = f"the device_class {device_class!r} is none of {kind}"
    if device_class not in everything:
        whose = f"Home Assistant has no device_class {device_class!r}"
    return Misfit("device_class", f"{whose}{did_you_mean(device_class, known)}")
