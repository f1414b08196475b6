"""Bridges and the devices behind them, as `iot_data_bridge/<bridge_id>/…` announces them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .admission import MOST_DEVICES, DeviceKind
from .errors import MalformedMessageError
from .json_values import JsonObject, JsonValue, parse_object, to_float, to_integer, to_text
from .level_names import is_id

MOST_OBJECTS = 1_000


class ValueType(StrEnum):
    """How an object's value is to be read; older catalogs write int, str and bool."""

    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    BOOLEAN = "boolean"


_VALUE_TYPES = {
    **{value_type.value: value_type for value_type in ValueType},
    "int": ValueType.INTEGER,
    "str": ValueType.TEXT,
    "string": ValueType.TEXT,
    "bool": ValueType.BOOLEAN,
}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})

type ObjectValue = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class BridgedObject:
    """One value of a device, as the catalog describes it."""

    name: str
    value_type: ValueType
    unit: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    writable: bool = False
    options: tuple[str, ...] = ()

    @property
    def is_boolean(self) -> bool:
        """Tell whether the object is a yes or no."""
        return self.value_type is ValueType.BOOLEAN

    def read(self, value: JsonValue) -> ObjectValue:
        """Return a value of the object's type, None when it is none."""
        match self.value_type:
            case ValueType.TEXT:
                return str(value).lower() if isinstance(value, bool) else to_text(value)
            case ValueType.BOOLEAN:
                if isinstance(value, bool):
                    return value
                text = (to_text(value) or "").casefold()
                return True if text in _TRUE else False if text in _FALSE else None
            case ValueType.INTEGER:
                return to_integer(value)
            case ValueType.FLOAT:
                return to_float(value)


@dataclass(frozen=True, slots=True)
class CatalogDevice:
    """A device of the catalog with its objects by name."""

    device_id: str
    name: str
    objects: dict[str, BridgedObject]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that a bridge carries."""

    version: str | None
    devices: dict[str, CatalogDevice]


@dataclass(frozen=True, slots=True)
class Hello:
    """The identity of a bridge."""

    bridge_id: str
    name: str
    version: str | None


@dataclass(slots=True)
class Bridge:
    """A bridge: its availability and its last hello."""

    bridge_id: str
    name: str
    version: str | None = None
    online: bool | None = None

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {"bridge_id": self.bridge_id, "name": self.name, "version": self.version}


@dataclass(slots=True)
class BridgedDevice:
    """A device behind a bridge: its objects, their latest values, and the bridge they come through."""

    bridge: Bridge
    device_id: str
    name: str
    objects: dict[str, BridgedObject] = field(default_factory=dict)
    values: dict[str, ObjectValue] = field(default_factory=dict)

    def describe(self, device: CatalogDevice) -> None:
        """Apply a catalog entry; values of removed objects are dropped, others are read again by their type."""
        self.name = device.name
        self.objects = device.objects
        self.values = {
            name: device.objects[name].read(value) for name, value in self.values.items() if name in device.objects
        }

    def apply(self, values: Mapping[str, JsonValue]) -> bool:
        """Take the latest values; objects that the catalog lacks are left out.

        Returns:
            Whether each of the others is of its object's type; one that is not becomes unknown.
        """
        readable = True
        for name, value in values.items():
            described = self.objects.get(name)
            if described is not None:
                read = self.values[name] = described.read(value)
                readable = readable and (read is not None or value in (None, ""))
        return readable

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        objects: list[JsonValue] = [
            {
                "object": described.name,
                "value_type": described.value_type,
                "unit": described.unit,
                "device_class": described.device_class,
                "state_class": described.state_class,
                "access": "rw" if described.writable else "r",
                "options": list(described.options),
            }
            for described in self.objects.values()
        ]
        return {
            "id": self.device_id,
            "name": self.name,
            "objects": objects,
            "values": dict(self.values),
        }


def parse_hello(payload: bytes) -> Hello:
    """Read `{"bridge_id","name","version","schema":1}`.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object` or `bridge_id_missing`.
    """
    message = parse_object(payload)
    bridge_id = to_text(message.get("bridge_id"))
    if bridge_id is None or not is_id(bridge_id):
        raise MalformedMessageError("bridge_id_missing")
    return Hello(bridge_id, to_text(message.get("name")) or bridge_id, to_text(message.get("version")))


def parse_catalog(payload: bytes) -> Catalog:
    """Read `{"version","devices":[{"id","name","objects":[…]}]}`; a device or object without its id is left out.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object` or `devices_missing`.
    """
    message = parse_object(payload)
    listed = message.get("devices")
    if not isinstance(listed, list) or len(listed) > MOST_DEVICES[DeviceKind.BRIDGED_DEVICE]:
        raise MalformedMessageError("devices_missing")
    devices: dict[str, CatalogDevice] = {}
    for entry in listed:
        device = parse_catalog_device(entry)
        if device is not None:
            devices[device.device_id] = device
    return Catalog(to_text(message.get("version")), devices)


def parse_catalog_device(entry: JsonValue) -> CatalogDevice | None:
    """Read one device of a catalog, None when it has no id."""
    if not isinstance(entry, dict) or (device_id := to_text(entry.get("id"))) is None:
        return None
    objects: dict[str, BridgedObject] = {}
    listed = entry.get("objects")
    for item in listed[:MOST_OBJECTS] if isinstance(listed, list) else ():
        described = _object(item)
        if described is not None:
            objects[described.name] = described
    return CatalogDevice(device_id, to_text(entry.get("name")) or device_id, objects)


def _object(item: JsonValue) -> BridgedObject | None:
    if not isinstance(item, dict) or (name := to_text(item.get("object"))) is None:
        return None
    options = item.get("options")
    return BridgedObject(
        name=name,
        value_type=_VALUE_TYPES.get((to_text(item.get("value_type")) or "").casefold(), ValueType.TEXT),
        unit=to_text(item.get("unit")),
        device_class=to_text(item.get("device_class")),
        state_class=to_text(item.get("state_class")),
        writable=item.get("access") == "rw",
        options=tuple(text for option in options if (text := to_text(option)) is not None)
        if isinstance(options, list)
        else (),
    )


def parse_state(payload: bytes) -> JsonObject:
    """Read `{"ts","values":{"GPS.Latitude":37.5}}` and return the values.

    Raises:
        MalformedMessageError: `not_json`, `not_an_object` or `values_missing`.
    """
    values = parse_object(payload).get("values")
    if not isinstance(values, dict):
        raise MalformedMessageError("values_missing")
    return values
