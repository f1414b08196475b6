"""From what mappings.yaml and devices.yaml say each to what they mean together, or where and why they cannot."""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from data_bridge.catalog.casts import CastError, ValueType, prepare_cast
from data_bridge.catalog.collector import collector_held
from data_bridge.catalog.files import CatalogFiles, CatalogSource, CatalogTexts, read_texts
from data_bridge.catalog.loop_check import check_loops, check_reading
from data_bridge.catalog.model import (
    Catalog,
    CatalogObject,
    CatalogWarning,
    Device,
    MqttRoute,
    Rule,
    SignalRRoute,
)
from data_bridge.catalog.payload_templates import broken_json
from data_bridge.catalog.readers import prepare_reader
from data_bridge.catalog.schema import DeviceEntry, DeviceFile, MappingRule, ObjectEntry
from data_bridge.catalog.topics import prepare_template, wildcards

type _Read = tuple[Rule, MappingRule]

_MOST_WARNINGS = 1000
_PLACE = re.compile(r"\{[0-9]+\}")
_PRESENTATION = ("unit", "device_class", "state_class", "access", "min", "max", "options")


def load(files: CatalogFiles, texts: CatalogTexts | None = None) -> Catalog:
    """Return the checked catalog of the files or, with `texts`, of what they said earlier.

    Raises:
        CatalogError: with file, line and reason; nothing of a refused catalog is used.
    """
    with collector_held():
        return _Loader(CatalogSource(files, read_texts(files) if texts is None else texts)).load()


class _Loader:
    def __init__(self, source: CatalogSource) -> None:
        self._source = source
        self._files = source.files
        self._error = source.error
        self._warnings: list[CatalogWarning] = []

    def load(self) -> Catalog:
        models = self._source.mapping_models()
        device_file = self._source.device_file()
        read = self._rules(models)
        objects = self._objects(models, read, device_file)
        rules = [rule for rule, _ in read]
        devices = self._devices(objects, device_file)
        self._check_rules_lead_somewhere(rules, objects)
        check_loops(self._source, rules, objects, devices)
        return Catalog(self._source.version(), tuple(rules), objects, devices, tuple(self._warnings))

    def _rules(self, models: list[MappingRule]) -> list[_Read]:
        rules: list[_Read] = []
        by_key: dict[tuple[str, str, str], int] = {}
        for number, model in enumerate(models):
            self._unknown_keys(model, f"mappings[{number}]")
            try:
                rule = _rule(model)
            except (CastError, ValueError) as error:
                raise self._error(self._files.mappings, ("mappings", number), "invalid", str(error)) from error
            if model.topic is not None and (doubt := check_reading(self._source, number, model.topic)) is not None:
                self._warn(self._files.mappings, ("mappings", number, "topic"), doubt)
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
            rules.append((rule, model))
        # Python's dictionaries keep the first occurrence's place, and by_key holds the last one's number.
        return [rules[number] for number in by_key.values()] if len(by_key) < len(rules) else rules

    def _objects(self, models: list[MappingRule], rules: list[_Read], file: DeviceFile) -> dict[str, CatalogObject]:
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
        templates = [(_pattern(rule.object), model) for rule, model in rules if rule.templated]
        objects: dict[str, CatalogObject] = {}
        for name, entry in file.objects.items():
            self._unknown_keys(entry, f"objects.{name}")
            # A name that no rule states may be one that a rule's template makes.
            source = (
                stated[name][0]
                if name in stated
                else next((model for pattern, model in templates if pattern.fullmatch(name)), None)
            )
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
            if given is not None and given.payload is not None and (broken := broken_json(given.payload)) is not None:
                self._warn(
                    self._files.devices,
                    ("devices", identifier, "mqtt", "payload"),
                    f"begins like JSON and is none ({broken}): {{value}} is sent as plain text",
                )
            mqtt = MqttRoute(
                topic=topic,
                qos=given.qos if given and "qos" in given.model_fields_set else self._files.egress_qos,
                retain=given.retain if given else False,
                payload=given.payload if given else None,
            )
        return Device(identifier, entry.name or identifier, mqtt, signalr)

    def _check_rules_lead_somewhere(self, rules: Sequence[Rule], objects: dict[str, CatalogObject]) -> None:
        for number, rule in enumerate(rules):
            if not rule.templated and not objects[rule.object].devices:
                self._warn(
                    self._files.mappings, ("mappings", number), f"{rule.object} goes to no device: nothing will be sent"
                )

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
    cast = prepare_cast(model.value_type, scale=model.scale, offset=model.offset, enum=model.enum)
    verbatim = model.value_type is ValueType.TEXT and not model.enum
    return Rule(
        object=model.object,
        cast=cast,
        read=prepare_reader(cast, model.path, verbatim=verbatim),
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


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches the names that a template can make."""
    return re.compile("(.*)".join(re.escape(part) for part in _PLACE.split(template)))
