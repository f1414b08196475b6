"""Write Home Assistant's device classes, state classes and units to the bridge's data file; scripts/pin runs it.

The bridge checks catalogs by it, and runs without Home Assistant.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor.const import (
    AMBIGUOUS_UNITS,
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS,
    NON_NUMERIC_DEVICE_CLASSES,
    STATE_CLASS_UNITS,
    SensorDeviceClass,
    SensorStateClass,
)

FILE = Path(__file__).parents[1] / "addon/src/data_bridge/catalog/home_assistant_classes.json"


def text() -> str:
    """Return the content of the file for the installed Home Assistant."""
    content = {
        "sensor": {
            device_class.value: {
                # Of money every currency, so there is no list.
                "units": _units(DEVICE_CLASS_UNITS.get(device_class)),
                "state_classes": sorted(each.value for each in DEVICE_CLASS_STATE_CLASSES[device_class]),
            }
            for device_class in sorted(set(SensorDeviceClass) - NON_NUMERIC_DEVICE_CLASSES)
        },
        "sensor_without_number": sorted(each.value for each in NON_NUMERIC_DEVICE_CLASSES),
        "binary_sensor": sorted(each.value for each in BinarySensorDeviceClass),
        "state_class_units": {each.value: _units(STATE_CLASS_UNITS.get(each)) for each in sorted(SensorStateClass)},
        "spellings_of_units": {str(spelling): str(unit) for spelling, unit in sorted(AMBIGUOUS_UNITS.items())},
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _units(units: Iterable[object] | None) -> list[str | None] | None:
    if units is None:
        return None
    return sorted((None if unit is None else str(unit) for unit in units), key=lambda unit: unit or "")


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
