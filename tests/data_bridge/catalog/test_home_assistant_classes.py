"""What Home Assistant cannot use of an object is told when its catalog is checked."""

import pytest

from data_bridge.catalog.casts import ValueType
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.home_assistant_classes import misfits
from data_bridge.catalog.loader import load
from data_bridge.yaml_documents import CatalogError
from development import home_assistant_classes

FLOAT, TEXT, BOOLEAN = ValueType.FLOAT, ValueType.TEXT, ValueType.BOOLEAN


def test_the_data_file_is_that_of_the_pinned_home_assistant() -> None:
    written = home_assistant_classes.FILE.read_text(encoding="utf-8")
    assert written == home_assistant_classes.text(), "run: python -m development.home_assistant_classes"


@pytest.mark.parametrize(
    ("value_type", "unit", "device_class", "state_class"),
    [
        (FLOAT, "°C", "temperature", "measurement"),
        (FLOAT, "°", None, "measurement_angle"),
        (FLOAT, "kWh", "energy", "total_increasing"),
        (FLOAT, "KRW", "monetary", "total"),
        (FLOAT, None, "aqi", None),
        (FLOAT, "µg/m³", "pm25", None),  # the micro sign, where Home Assistant writes the Greek letter
        (FLOAT, "of my own", None, "measurement"),
        (BOOLEAN, None, "running", None),
        (TEXT, None, "timestamp", None),
        (TEXT, None, None, None),
    ],
)
def test_what_goes_together_is_fine(
    value_type: ValueType, unit: str | None, device_class: str | None, state_class: str | None
) -> None:
    assert misfits(value_type, unit, device_class, state_class) == ()


@pytest.mark.parametrize(
    ("value_type", "unit", "device_class", "state_class", "key", "text"),
    [
        (
            FLOAT,
            None,
            "temperaturx",
            None,
            "device_class",
            "no device_class 'temperaturx' (did you mean 'temperature'?)",
        ),
        (FLOAT, None, "running", None, "device_class", "the device_class 'running' is none of numbers"),
        (FLOAT, None, "timestamp", None, "device_class", "the device_class 'timestamp' is none of numbers"),
        (BOOLEAN, None, "temperature", None, "device_class", "is none of values that are boolean"),
        (TEXT, None, "temperature", None, "device_class", "is none of values that are text"),
        (FLOAT, None, None, "measurementx", "state_class", "(did you mean 'measurement'?); it has measurement, "),
        (FLOAT, "kWh", "energy", "measurement", "state_class", "does not go with the device_class energy; total or"),
        (TEXT, None, None, "measurement", "state_class", "only numbers have a state_class, and this is text"),
    ],
)
def test_a_class_that_home_assistant_cannot_use_is_an_error(
    value_type: ValueType, unit: str | None, device_class: str | None, state_class: str | None, key: str, text: str
) -> None:
    (found,) = misfits(value_type, unit, device_class, state_class)
    assert (found.key, found.mild) == (key, False)
    assert text in found.text


@pytest.mark.parametrize(
    ("value_type", "unit", "device_class", "state_class", "text"),
    [
        (FLOAT, "C", "temperature", None, "goes with the unit K, °C, °F, not with C: the device_class is not shown"),
        (FLOAT, None, "temperature", None, "not with none"),
        (FLOAT, "kw", "power", None, "not with kw (did you mean 'kW'?)"),
        (FLOAT, "rad", None, "measurement_angle", "measurement_angle goes with the unit °, not with rad"),
        (TEXT, "m", None, None, "only numbers have a unit"),
    ],
)
def test_a_unit_that_does_not_fit_is_a_warning(
    value_type: ValueType, unit: str | None, device_class: str | None, state_class: str | None, text: str
) -> None:
    (found,) = misfits(value_type, unit, device_class, state_class)
    assert (found.key, found.mild) == ("unit", True)
    assert text in found.text


def test_a_misfit_is_told_where_its_key_stands(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    files = CatalogFiles(folder / "mappings.yaml", folder / "devices.yaml")
    files.mappings.write_text("""\
mappings:
  - topic: a
    object: A
    value_type: float
    device_class: temperaturx
  - topic: b/+
    object: "{1}.B"
    value_type: float
    state_class: sometimes
  - topic: c/+
    object: "{1}.C"
    value_type: float
    device_class: nothing
""")
    files.devices.write_text("""\
objects:
  A:
    devices: [VM-A]
    state_class: total
  x.B: [VM-A]
  y.B: [VM-A]
  S:
    devices: [VM-A]
    access: rw
    value_type: boolean
    device_class: rolling
""")
    with pytest.raises(CatalogError) as caught:
        load(files)
    assert [(each.path.name, each.line) for each in caught.value.every()] == [
        ("mappings.yaml", 5),
        ("mappings.yaml", 9),
        ("mappings.yaml", 13),
        ("devices.yaml", 11),
    ]
