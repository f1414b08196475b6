"""Reads mappings.yaml and devices.yaml, checks them alone and against each other, and says where and why they fail."""

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from data_bridge.catalogs.casts import CastError, ValueType, prepare_cast
from data_bridge.catalogs.catalog import (
    Catalog,
    CatalogObject,
    CatalogWarning,
    Device,
    MqttRoute,
    Rule,
    SignalRRoute,
)
from data_bridge.catalogs.collector import collector_held
from data_bridge.catalogs.documents import CatalogError, Node, line_of, parse, read_text
from data_bridge.catalogs.schema import DeviceEntry, DeviceFile, Devices, MappingRule, ObjectEntry, Objects
from data_bridge.catalogs.topics import capture, check_topic, prepare_template, wildcards

DEFAULT_MAXIMUM_BYTES = 256 * 1024 * 1024
DEFAULT_EGRESS_TOPIC = "devices/{device}/ingress"
# How many entries Pydantic checks in one go: in a reload, messages travel between two goes.
_CHUNK = 500
_MOST_WARNINGS = 1000
_PRESENTATION = ("unit", "device_class", "state_class", "access", "min", "max", "options")

_RULES = TypeAdapter(list[MappingRule])
_OBJECTS: TypeAdapter[dict[str, ObjectEntry]] = TypeAdapter(Objects)
_DEVICES: TypeAdapter[dict[str, DeviceEntry]] = TypeAdapter(Devices)
TOPIC_PLACES = frozenset({"device", "object"})


@dataclass(frozen=True, slots=True)
class CatalogFiles:
    """Where the catalogs are, and what of the settings decides about them.

    `ingress` are the filters that the bridge reads besides topic rules, `reserved` the prefix of its own announcements.
    """

    mappings: Path
    devices: Path
    ingress: tuple[str, ...] = ("iot/ingress",)
    egress_topic: str = DEFAULT_EGRESS_TOPIC
    egress_qos: int = 1
    reserved: str = "iot_data_bridge/"
    maximum_bytes: int = DEFAULT_MAXIMUM_BYTES


def load(files: CatalogFiles) -> Catalog:
    """Return the checked catalog.

    Raises:
        CatalogError: with file, line and reason; nothing of a refused catalog is used.
    """
    with collector_held():
        return _Loader(files).load()


class _Loader:
    def __init__(self, files: CatalogFiles) -> None:
        self._files = files
        self._mappings_text = read_text(files.mappings, files.maximum_bytes)
        self._devices_text = read_text(files.devices, files.maximum_bytes)
        self._warnings: list[CatalogWarning] = []

    def load(self) -> Catalog:
        models = self._mapping_models()
        device_file = self._device_file()
        rules = self._rules(models)
        objects = self._objects(models, rules, device_file)
        devices = self._devices(objects, device_file)
        self._check_rules_lead_somewhere(rules, objects)
        self._check_loops(rules, objects, devices)
        digest = hashlib.blake2b(digest_size=8)
        digest.update(self._mappings_text.encode())
        digest.update(b"\0")
        digest.update(self._devices_text.encode())
        return Catalog(digest.hexdigest(), tuple(rules), objects, devices, tuple(self._warnings))

    # ------------------------------------------------------------ the files alone

    def _mapping_models(self) -> list[MappingRule]:
        path = self._files.mappings
        items = self._section(parse(self._mappings_text, path), path, self._mappings_text, "mappings")
        if not isinstance(items, list):
            raise self._error(path, ("mappings",), "invalid", "`mappings` must be a list of rules")
        models: list[MappingRule] = []
        for start in range(0, len(items), _CHUNK):
            try:
                models += _RULES.validate_python(items[start : start + _CHUNK])
            except ValidationError as error:
                raise self._invalid(path, ("mappings", start), error) from error
            # A reload runs on its own thread: this lets the one that carries messages go first.
            time.sleep(0)
        return models

    def _device_file(self) -> DeviceFile:
        path = self._files.devices
        document = parse(self._devices_text, path)
        objects = self._section(document, path, self._devices_text, "objects")
        devices = document.get("devices") if isinstance(document, dict) else None
        return DeviceFile(
            objects=self._entries(_OBJECTS, objects, "objects"),
            devices=self._entries(_DEVICES, {} if devices is None else devices, "devices"),
        )

    def _entries[T](self, adapter: TypeAdapter[dict[str, T]], section: Node, key: str) -> dict[str, T]:
        path = self._files.devices
        if section == []:
            section = {}
        if not isinstance(section, dict):
            raise self._error(path, (key,), "invalid", f"`{key}` must be a mapping of names")
        entries: dict[str, T] = {}
        items = list(section.items())
        for start in range(0, len(items), _CHUNK):
            try:
                entries.update(adapter.validate_python(dict(items[start : start + _CHUNK])))
            except ValidationError as error:
                raise self._invalid(path, (key,), error) from error
            time.sleep(0)
        return entries

    def _section(self, document: Node, path: Path, text: str, key: str) -> Node:
        if not isinstance(document, dict):
            raise CatalogError(path, 1 if text else None, "invalid", f"must hold the key `{key}`")
        if key not in document:
            raise CatalogError(
                path, 1, "invalid", f"must hold the key `{key}`; it has {', '.join(map(repr, document))}"
            )
        value = document[key]
        return [] if value is None else value

    # ------------------------------------------------------------ what they mean

    def _rules(self, models: list[MappingRule]) -> list[Rule]:
        rules: list[Rule] = []
        by_key: dict[tuple[str, str, str], int] = {}
        for number, model in enumerate(models):
            self._unknown_keys(model, f"mappings[{number}]")
            try:
                rule = _rule(model)
            except (CastError, ValueError) as error:
                raise self._error(self._files.mappings, ("mappings", number), "invalid", str(error)) from error
            # A topic may feed many objects; an envelope's key leads to one.
            key = (
                (model.topic, model.path or "", model.object)
                if model.topic is not None
                else ("", model.equip_tag or "", model.message_id or "")
            )
            earlier = by_key.get(key)
            by_key[key] = len(rules)
            if earlier is not None:
                self._warn(
                    self._files.mappings,
                    ("mappings", number),
                    f"repeats the key of an earlier rule ({_key_text(model)}); the last one wins",
                )
            rules.append(rule)
        # Python's dictionaries keep the first occurrence's place, and by_key holds the last one's number.
        return [rules[number] for number in by_key.values()] if len(by_key) < len(rules) else rules

    def _objects(self, models: list[MappingRule], rules: list[Rule], file: DeviceFile) -> dict[str, CatalogObject]:
        used = {id(rule) for rule in rules}
        del used
        stated: dict[str, tuple[MappingRule, int]] = {}
        for number, model in enumerate(models):
            earlier = stated.get(model.object)
            if earlier is None:
                stated[model.object] = (model, number)
            elif earlier[0].value_type is not model.value_type:
                raise self._error(
                    self._files.mappings,
                    ("mappings", number),
                    "contradiction",
                    f"gives {model.object} the type {model.value_type}, but an earlier rule {earlier[0].value_type}",
                )
            else:
                stated[model.object] = (self._merged(model.object, earlier[0], model, number), earlier[1])
        templates = [(rule, model) for rule, model in zip(rules, models, strict=False) if rule.templated]
        objects: dict[str, CatalogObject] = {}
        for name, entry in file.objects.items():
            self._unknown_keys(entry, f"objects.{name}")
            source = stated[name][0] if name in stated else _template_for(name, templates)
            objects[name] = self._object(name, entry, source)
        for name, (model, _) in stated.items():
            if name not in objects and "{" not in name:
                objects[name] = self._object(name, ObjectEntry(), model)
        return objects

    def _merged(self, name: str, first: MappingRule, second: MappingRule, number: int) -> MappingRule:
        update: dict[str, object] = {}
        for key in _PRESENTATION:
            old, new = getattr(first, key), getattr(second, key)
            if new is None or new == old:
                continue
            if old is not None:
                raise self._error(
                    self._files.mappings,
                    ("mappings", number, key),
                    "contradiction",
                    f"gives {name} the {key} {new!r}, but an earlier rule says {old!r}",
                )
            update[key] = new
        return first.model_copy(update=update) if update else first

    def _object(self, name: str, entry: ObjectEntry, rule: MappingRule | None) -> CatalogObject:
        place = ("objects", name)
        value_type = entry.value_type or (rule.value_type if rule else None)
        if value_type is None:
            value_type = ValueType.TEXT
            self._warn(self._files.devices, place, f"{name} has no rule and no value_type: nothing will ever send it")
        elif rule is not None and entry.value_type is not None and entry.value_type is not rule.value_type:
            raise self._error(
                self._files.devices,
                (*place, "value_type"),
                "contradiction",
                f"gives {name} the value_type {entry.value_type}, but {self._files.mappings.name} {rule.value_type}",
            )
        found: dict[str, object] = {}
        for key in _PRESENTATION:
            mine, theirs = getattr(entry, key), getattr(rule, key) if rule else None
            if mine is not None and theirs is not None and mine != theirs:
                raise self._error(
                    self._files.devices,
                    (*place, key),
                    "contradiction",
                    f"gives {name} the {key} {mine!r}, but its rule in {self._files.mappings.name} says {theirs!r}",
                )
            found[key] = mine if mine is not None else theirs
        limits = found["min"] is not None or found["max"] is not None
        if limits and value_type not in (ValueType.INTEGER, ValueType.FLOAT):
            raise self._error(
                self._files.devices, place, "contradiction", f"{name} has min or max, but is {value_type}"
            )
        options = found["options"]
        if options is None and rule is not None and rule.enum and value_type is ValueType.TEXT:
            options = tuple(dict.fromkeys(rule.enum.values()))
        if options is not None and value_type is not ValueType.TEXT:
            raise self._error(
                self._files.devices, place, "contradiction", f"{name} has options, but is {value_type}, not text"
            )
        if len(set(entry.devices)) < len(entry.devices):
            self._warn(self._files.devices, place, f"{name} names a device twice; it gets each value once")
        return CatalogObject(
            name=name,
            value_type=value_type,
            unit=entry.unit if entry.unit is not None else (rule.unit if rule else None),
            device_class=entry.device_class
            if entry.device_class is not None
            else (rule.device_class if rule else None),
            state_class=entry.state_class if entry.state_class is not None else (rule.state_class if rule else None),
            access=entry.access or (rule.access if rule else None) or "r",
            min=entry.min if entry.min is not None else (rule.min if rule else None),
            max=entry.max if entry.max is not None else (rule.max if rule else None),
            options=options if isinstance(options, tuple) else None,
            devices=tuple(dict.fromkeys(entry.devices)),
        )

    def _devices(self, objects: dict[str, CatalogObject], file: DeviceFile) -> dict[str, Device]:
        devices: dict[str, Device] = {}
        lower: dict[str, str] = {}
        named = dict.fromkeys(file.devices)
        named.update(dict.fromkeys(device for each in objects.values() for device in each.devices))
        for identifier in named:
            same = lower.setdefault(identifier.lower(), identifier)
            if same != identifier:
                raise self._error(
                    self._files.devices,
                    ("devices", identifier),
                    "contradiction",
                    f"has the devices {same} and {identifier}, which differ only in case and would share one topic",
                )
            devices[identifier] = self._device(identifier, file.devices.get(identifier))
        used = {device for each in objects.values() for device in each.devices}
        for identifier in file.devices:
            if identifier not in used:
                self._warn(self._files.devices, ("devices", identifier), f"{identifier} gets no object")
        return devices

    def _device(self, identifier: str, entry: DeviceEntry | None) -> Device:
        entry = entry or DeviceEntry()
        self._unknown_keys(entry, f"devices.{identifier}")
        signalr = None
        if entry.signalr is not None:
            # The group is the device id with its case kept, as hubs in the field compare it.
            signalr = SignalRRoute(entry.signalr.group or identifier, entry.signalr.target)
            if entry.mqtt is None:
                self._warn(
                    self._files.devices,
                    ("devices", identifier, "signalr"),
                    f"{identifier} is reached over SignalR only, which is not sent yet: its values become dead letters",
                )
            else:
                self._warn(
                    self._files.devices,
                    ("devices", identifier, "signalr"),
                    f"{identifier}: SignalR is not sent, MQTT is",
                )
        mqtt = None
        if entry.mqtt is not None or entry.signalr is None:
            given = entry.mqtt
            topic = given.topic if given and given.topic is not None else self._files.egress_topic
            mqtt = MqttRoute(
                topic=topic,
                qos=given.qos if given and "qos" in given.model_fields_set else self._files.egress_qos,
                retain=given.retain if given else False,
                payload=given.payload if given else None,
            )
        return Device(identifier, entry.name or identifier, mqtt, signalr)

    # ------------------------------------------------------------ both together

    def _check_rules_lead_somewhere(self, rules: Sequence[Rule], objects: dict[str, CatalogObject]) -> None:
        for number, rule in enumerate(rules):
            if not rule.templated and not objects[rule.object].devices:
                self._warn(
                    self._files.mappings, ("mappings", number), f"{rule.object} goes to no device: nothing will be sent"
                )

    def _check_loops(
        self, rules: Iterable[Rule], objects: dict[str, CatalogObject], devices: dict[str, Device]
    ) -> None:
        """Refuse a device topic that the bridge itself reads: each message would come back for ever."""
        filters = dict.fromkeys([*self._files.ingress, *(rule.topic for rule in rules if rule.topic is not None)])
        wild = [topic_filter for topic_filter in filters if wildcards(topic_filter)]
        checked: set[str] = set()
        for entry in objects.values():
            for identifier in entry.devices:
                route = devices[identifier].mqtt
                if route is None:
                    continue
                try:
                    topic = egress_topic(route, identifier, entry.name)
                    if topic in checked:
                        continue
                    check_topic(topic)
                except ValueError as error:
                    raise self._error(
                        self._files.devices, ("devices", identifier, "mqtt", "topic"), "invalid", str(error)
                    ) from error
                checked.add(topic)
                loop = (
                    topic
                    if topic in filters
                    else next((each for each in wild if capture(each, topic) is not None), None)
                )
                if loop is not None:
                    raise self._error(
                        self._files.devices,
                        ("devices", identifier, "mqtt", "topic"),
                        "loop",
                        f"sends to {topic}, which the bridge itself reads by {loop}: every message would come back",
                    )
                if topic.startswith(self._files.reserved):
                    raise self._error(
                        self._files.devices,
                        ("devices", identifier, "mqtt", "topic"),
                        "loop",
                        f"sends to {topic}, which is reserved for the bridge's own announcements",
                    )

    # ------------------------------------------------------------ complaints

    def _invalid(self, path: Path, prefix: tuple[str | int, ...], error: ValidationError) -> CatalogError:
        first = error.errors(include_url=False, include_input=False)[0]
        location: list[str | int] = list(first["loc"])
        if prefix and isinstance(prefix[-1], int) and location and isinstance(location[0], int):
            location[0] += prefix[-1]
            prefix = prefix[:-1]
        location = [*prefix, *location]
        what = ".".join(str(part) for part in location)
        text = first["msg"].removeprefix("Value error, ")
        more = error.error_count() - 1
        return self._error(path, location, "invalid", f"{what}: {text}" + (f" (and {more} more)" if more else ""))

    def _error(self, path: Path, location: Sequence[str | int], reason: str, text: str) -> CatalogError:
        source = self._mappings_text if path == self._files.mappings else self._devices_text
        return CatalogError(path, line_of(source, location), reason, text)

    def _unknown_keys(self, model: BaseModel, where: str) -> None:
        extra = model.model_extra
        if extra:
            self._warn(None, (where,), f"has keys that mean nothing here: {', '.join(map(str, extra))}")

    def _warn(self, path: Path | None, location: Sequence[str | int], text: str) -> None:
        if len(self._warnings) < _MOST_WARNINGS:
            where = ".".join(str(part) for part in location)
            self._warnings.append(CatalogWarning(f"{path.name}: {where}" if path else where, text))


def _rule(model: MappingRule) -> Rule:
    templated = False
    if model.topic is not None:
        places = frozenset(str(number + 1) for number in range(wildcards(model.topic)))
        templated = prepare_template(model.object, places) is not None
    return Rule(
        object=model.object,
        cast=prepare_cast(model.value_type, scale=model.scale, offset=model.offset, enum=model.enum),
        value_type=model.value_type,
        equip_tag=model.equip_tag,
        message_id=model.message_id,
        topic=model.topic,
        path=model.path,
        qos=model.qos,
        templated=templated,
    )


def _key_text(model: MappingRule) -> str:
    if model.topic is not None:
        return f"topic {model.topic}, path {model.path or '(whole payload)'}"
    return f"{model.equip_tag}, {model.message_id}"


def _template_for(name: str, templates: Sequence[tuple[Rule, MappingRule]]) -> MappingRule | None:
    """Return the templated rule that can produce an object of this name."""
    import re  # noqa: PLC0415 -- see below

    for rule, model in templates:
        pattern = "(.*)".join(re.escape(part) for part in re.split(r"\{[0-9]+\}", rule.object))
        if re.fullmatch(pattern, name):
            return model
    return None


def egress_topic(route: MqttRoute, device: str, name: str) -> str:
    """Return a device's topic for an object; {device} becomes the id in lower case.

    Raises:
        ValueError: the template names something else.
    """
    fill = prepare_template(route.topic, TOPIC_PLACES)
    return route.topic if fill is None else fill({"device": device.lower(), "object": name})
