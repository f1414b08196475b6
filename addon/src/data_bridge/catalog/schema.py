"""Schema of the two catalog files, with the spellings in the field. Pydantic checks it at load, never later."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from communicator.topics import check_filter, check_topic
from data_bridge.catalog.casts import SPELLINGS, ValueType
from data_bridge.catalog.json_path import parse_path
from data_bridge.catalog.near_misses import did_you_mean, nearest
from data_bridge.catalog.payload_templates import check_payload


def _value_type(value: object) -> ValueType:
    known = SPELLINGS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        nearby = did_you_mean(value, SPELLINGS) if isinstance(value, str) else ""
        names = "integer, float, text, boolean (or int, float, str, bool)"
        raise ValueError(f"{value!r} is no value type{nearby}; known: {names}")
    return known


def _name(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _filter(value: str) -> str:
    check_filter(value)
    return value


def _path(value: str) -> str:
    parse_path(value)
    return value


def _payload(value: str) -> str:
    check_payload(value)
    return value


def _device_id(value: str) -> str:
    _name(value)
    if "/" in value:
        raise ValueError(f"the device id {value!r} must not hold a slash: it becomes one level of a topic")
    check_topic(value)
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _key(value: str) -> str:
    if "\x1f" in value:
        raise ValueError("must not hold the control character U+001F")
    return value


def _scale(value: Decimal) -> Decimal:
    if not value:
        raise ValueError("0 makes every value the same")
    return value


type Name = Annotated[str, AfterValidator(_name), Field(max_length=1024)]
type DeviceId = Annotated[str, AfterValidator(_device_id), Field(max_length=256)]
type AnyValueType = Annotated[ValueType, BeforeValidator(_value_type)]
type QoS = Annotated[int, Field(ge=0, le=1)]
type Number = Annotated[float, Field(allow_inf_nan=False)]
type Scale = Annotated[Decimal, AfterValidator(_scale)]


class _Part(BaseModel):
    # Fielded catalogs carry keys of their own (comments, owners): they are ignored, and `check` warns about them.
    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="after")
    def _no_decimal_comma(self) -> Self:
        for key, value in (self.model_extra or {}).items():
            if value is None and key.isdecimal():
                raise ValueError(f"the key {key!r} has no value: a decimal number has a point, as in 0.{key}")
        return self


class Presentation(_Part):
    """Presentation of an object in Home Assistant."""

    unit: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    access: Literal["r", "rw"] | None = None
    min: Number | None = None
    max: Number | None = None
    options: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class MappingRule(Presentation):
    """One rule of mappings.yaml: for an envelope (equip_tag and message_id) or a topic (topic and perhaps path)."""

    object: Name
    value_type: AnyValueType
    equip_tag: Annotated[str, AfterValidator(_key)] | None = None
    message_id: Annotated[str, AfterValidator(_key)] | None = None
    topic: Annotated[str, AfterValidator(_filter)] | None = None
    path: Annotated[str, AfterValidator(_path)] | None = None
    qos: QoS = 1
    retained: Literal["take", "ignore"] = "take"
    scale: Scale | None = None
    offset: Decimal | None = None
    enum: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.topic is None:
            if self.equip_tag is None or self.message_id is None:
                raise ValueError(f"a rule needs equip_tag and message_id, or a topic{self._near_miss()}")
            if self.path is not None:
                raise ValueError("path belongs to a topic rule; an envelope's value is always at payload.VALUE")
            if "retained" in self.model_fields_set:
                raise ValueError("retained belongs to a topic rule")
        elif self.equip_tag is not None or self.message_id is not None:
            raise ValueError("a rule has either equip_tag and message_id or a topic, not both")
        return self

    def _near_miss(self) -> str:
        missing = [name for name in ("equip_tag", "message_id", "topic") if getattr(self, name) is None]
        pairs = [(key, near) for key in self.model_extra or () if (near := nearest(key, missing)) is not None]
        return "".join(f" (did you mean {near!r} by {key!r}?)" for key, near in pairs)


class MqttEgress(_Part):
    """How one device is reached over MQTT; `topic` and `payload` may hold {device}, {object} and so on."""

    topic: Annotated[str, Field(min_length=1)] | None = None
    qos: QoS = 1
    retain: bool = False
    payload: Annotated[str, AfterValidator(_payload)] | None = None


class SignalREgress(_Part):
    """How one device is reached over SignalR."""

    group: Name | None = None
    target: str = "ingress"


class DeviceEntry(_Part):
    """One device of devices.yaml."""

    name: str | None = None
    mqtt: MqttEgress | None = None
    signalr: SignalREgress | None = None


class ObjectEntry(Presentation):
    """One object of devices.yaml in its long form; the short form is the list of devices alone."""

    devices: Annotated[tuple[DeviceId, ...], BeforeValidator(_listed)] = ()
    value_type: AnyValueType | None = None


def _object_entry(value: object) -> object:
    if value is None:
        return {}
    return {"devices": value} if isinstance(value, str | list) else value


type Objects = dict[Name, Annotated[ObjectEntry, BeforeValidator(_object_entry)]]
type Devices = dict[DeviceId, Annotated[DeviceEntry, BeforeValidator(lambda value: {} if value is None else value)]]


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """devices.yaml, checked piece by piece."""

    objects: dict[str, ObjectEntry]
    devices: dict[str, DeviceEntry]
