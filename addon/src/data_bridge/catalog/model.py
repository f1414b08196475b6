"""A checked catalog: the model of both files, before it is compiled for a transport."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_bridge.catalog.casts import Cast, ValueType
from data_bridge.catalog.readers import Reader
from data_bridge.catalog.text_templates import prepare_template

TOPIC_PLACES = frozenset({"device", "object"})


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """Name, type and presentation of a value; `min`, `max` and `options` limit `set` commands."""

    name: str
    value_type: ValueType
    unit: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    access: str = "r"
    min: float | None = None
    max: float | None = None
    options: tuple[str, ...] | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """Where and how a device gets its values; `payload` is a template, None the standard `{"object","value"}`."""

    topic: str
    qos: int = 1
    retain: bool = False
    payload: str | None = None

    def topic_for(self, device: str, name: str) -> str:
        """Return the topic for an object; {device} becomes the id in lower case.

        Raises:
            ValueError: the template names something else.
        """
        fill = prepare_template(self.topic, TOPIC_PLACES)
        return self.topic if fill is None else fill({"device": device.lower(), "object": name})


@dataclass(frozen=True, slots=True)
class SignalRAddress:
    """Group and client event of a device on the SignalR hub."""

    group: str
    target: str


@dataclass(frozen=True, slots=True)
class Device:
    """A receiver of values. A device with only a SignalR route has no `mqtt`."""

    id: str
    name: str
    mqtt: MqttAddress | None
    signalr: SignalRAddress | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One mapping: from an envelope's key, or a topic filter and a path, to an object.

    The value of an envelope is `cast`, the payload of a topic `read`.
    `object` may be a template over the filter's wildcards ({1}, {2}, ...) when `templated`.
    """

    object: str
    cast: Cast
    read: Reader
    value_type: ValueType
    equip_tag: str | None = None
    message_id: str | None = None
    topic: str | None = None
    path: str | None = None
    qos: int = 1
    takes_retained: bool = True
    templated: bool = False


@dataclass(frozen=True, slots=True)
class CatalogWarning:
    """Something that works but is probably not meant."""

    path: Path
    line: int | None
    text: str

    def __str__(self) -> str:
        """Return it as `check` prints it."""
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Both files, checked together. `version` is a digest of their texts."""

    version: str
    rules: tuple[Rule, ...]
    objects: Mapping[str, CatalogObject]
    devices: Mapping[str, Device]
    warnings: tuple[CatalogWarning, ...] = ()
