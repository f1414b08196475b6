"""The objects: statements of devices.yaml and of the rules, merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from data_bridge.catalog.casts import ValueType
from data_bridge.catalog.files import CatalogFiles, warn_of_unknown_keys
from data_bridge.catalog.findings import Findings, Location
from data_bridge.catalog.home_assistant_classes import Misfit, misfits
from data_bridge.catalog.model import CatalogObject
from data_bridge.catalog.name_templates import NameTemplates
from data_bridge.catalog.near_misses import did_you_mean
from data_bridge.catalog.rules import ReadRule
from data_bridge.catalog.schema import ObjectEntry, Presentation

_NUMBERS = (ValueType.INTEGER, ValueType.FLOAT)
_KEYS = tuple(Presentation.model_fields)


@dataclass(frozen=True, slots=True)
class _Makers:
    """The rules that make an object: those that name it, and those whose template may."""

    named: Sequence[ReadRule]
    templates: Sequence[ReadRule]


class _Reach(IntEnum):
    """How far a template gets with the objects of devices.yaml."""

    NOWHERE = 0
    ANOTHER_TYPE = 1  # it makes names of objects that have another type
    NO_DEVICE = 2
    DEVICE = 3


class Objects:
    """Merges the statements of the files about each object. Contradictions are added to the findings.

    An object may be named by `entries` of devices.yaml, by rules, or by both; a template makes only objects that are
    named elsewhere.
    """

    def __init__(
        self, rules: Sequence[ReadRule], entries: Mapping[str, ObjectEntry], files: CatalogFiles, findings: Findings
    ) -> None:
        self._rules = rules
        self._entries = entries
        self._files = files
        self._findings = findings
        # The missing statement may be in a rule that was refused.
        self._complete = not findings.refused
        self._named: dict[str, list[ReadRule]] = {}
        for each in rules:
            if not each.rule.templated:
                self._named.setdefault(each.rule.object, []).append(each)
        self._templates = NameTemplates(rules)
        self._reached: dict[int, _Reach] = {}
        self._told: set[tuple[Misfit, tuple[Path, Location]]] = set()

    def merge(self) -> dict[str, CatalogObject]:
        """Return the objects by name: those of devices.yaml, then those that only rules name."""
        objects = {name: self._object(name, entry) for name, entry in self._entries.items()}
        for name in self._named:
            if name not in objects:
                objects[name] = self._object(name, ObjectEntry())
        if self._complete:
            self._warn_of_dead_ends(objects)
        return objects

    def _object(self, name: str, entry: ObjectEntry) -> CatalogObject:
        place = ("objects", name)
        warn_of_unknown_keys(self._findings, self._files.devices, place, entry)
        makers = _Makers(self._named.get(name, ()), self._templates.rules_for(name))
        value_type = self._value_type(name, entry, makers)
        if not makers.named and not makers.templates and entry.access != "rw" and self._complete:
            near = did_you_mean(name, self._named.keys() - self._entries.keys())
            text = f"no rule makes it and it cannot be set: it never gets a value{near}"
            self._findings.warn(self._files.devices, place, text)
        if len(set(entry.devices)) < len(entry.devices):
            self._findings.warn(self._files.devices, place, "names a device twice; it gets each value once")
        makers = self._of_type(makers, value_type, bool(entry.devices))
        statements = _Statements(name, entry, makers, self._files, self._findings)
        told = statements.merge()
        found = CatalogObject(
            name=name,
            value_type=value_type or ValueType.TEXT,
            unit=told.unit,
            device_class=told.device_class,
            state_class=told.state_class,
            access=told.access or "r",
            min=told.min,
            max=told.max,
            options=told.options or (_words(makers) if value_type is ValueType.TEXT else None),
            devices=tuple(dict.fromkeys(entry.devices)),
        )
        if value_type is not None or self._complete:
            _check(found, statements)
            self._check_for_home_assistant(found, statements)
        return found

    def _check_for_home_assistant(self, each: CatalogObject, statements: "_Statements") -> None:
        for misfit in misfits(each.value_type, each.unit, each.device_class, each.state_class):
            self._tell(misfit, statements.place_of(misfit.key))

    def _tell(self, misfit: Misfit, place: tuple[Path, Location]) -> None:
        # The statements of a template apply to each of its objects: one finding is enough.
        if (misfit, place) in self._told:
            return
        self._told.add((misfit, place))
        if misfit.mild:
            self._findings.warn(*place, misfit.text)
        else:
            self._findings.refuse(*place, "invalid", misfit.text)

    def _value_type(self, name: str, entry: ObjectEntry, makers: _Makers) -> ValueType | None:
        """Return an object's type, None where it is not stated."""
        if makers.named:
            self._check_named(name, makers)
        if entry.value_type is not None:
            makes = [each.rule.value_type for each in makers.named or makers.templates]
            if makes and entry.value_type not in makes:
                text = f"gives {name} the value_type {entry.value_type}, but {self._files.mappings.name} {makes[0]}"
                place = ("objects", name, "value_type")
                self._findings.refuse(self._files.devices, place, "contradiction", text)
            return entry.value_type
        if makers.named:
            self._check_templates(name, makers)
            return makers.named[0].rule.value_type
        by_type: dict[ValueType, ReadRule] = {}
        for each in makers.templates:
            by_type.setdefault(each.rule.value_type, each)
        if len(by_type) > 1:
            ways = " and ".join(f"{value_type} by {each.name}" for value_type, each in by_type.items())
            text = f"may be {ways}: give it a value_type"
            self._findings.refuse(self._files.devices, ("objects", name), "contradiction", text)
        return next(iter(by_type), None)

    def _check_named(self, name: str, makers: _Makers) -> None:
        first = makers.named[0].rule.value_type
        for each in makers.named[1:]:
            if each.rule.value_type is not first:
                text = f"gives {name} the type {each.rule.value_type}, but an earlier rule {first}"
                self._findings.refuse(self._files.mappings, each.location, "contradiction", text)

    def _check_templates(self, name: str, makers: _Makers) -> None:
        first = makers.named[0]
        for each in makers.templates:
            if each.rule.value_type is not first.rule.value_type:
                text = (
                    f"{each.rule.object} may make {name} a {each.rule.value_type}, but {first.name} makes it "
                    f"{first.rule.value_type}; a value_type in {self._files.devices.name} decides"
                )
                self._findings.refuse(self._files.mappings, each.location, "contradiction", text)

    def _of_type(self, makers: _Makers, value_type: ValueType | None, has_device: bool) -> _Makers:
        """Return the makers without the templates of another type: for this name they are refused at run time."""
        fitting = []
        for each in makers.templates:
            reach = _Reach.DEVICE if has_device else _Reach.NO_DEVICE
            if each.rule.value_type is value_type:
                fitting.append(each)
            else:
                reach = _Reach.ANOTHER_TYPE
            self._reached[each.number] = max(reach, self._reached.get(each.number, _Reach.NOWHERE))
        return _Makers(makers.named, fitting)

    def _warn_of_dead_ends(self, objects: Mapping[str, CatalogObject]) -> None:
        known = self._files.devices.name
        for each in self._rules:
            name = each.rule.object
            if each.rule.templated:
                reach = self._reached.get(self._templates.first_alike(each).number, _Reach.NOWHERE)
            else:
                reach = _Reach.DEVICE if objects[name].devices else _Reach.NO_DEVICE
            if reach is _Reach.DEVICE:
                continue
            if reach < _Reach.NO_DEVICE:
                told = each.model
                for misfit in misfits(told.value_type, told.unit, told.device_class, told.state_class):
                    self._tell(misfit, (self._files.mappings, (*each.location, misfit.key)))
            text = {
                _Reach.NOWHERE: f"{name} makes no object of {known}",
                _Reach.ANOTHER_TYPE: f"{name} makes nothing of its type {each.rule.value_type} in {known}",
                _Reach.NO_DEVICE: f"{name} goes to no device",
            }[reach]
            self._findings.warn(self._files.mappings, each.location, f"{text}: nothing will be sent")


class _Statements:
    """Statements about the presentation of one object in Home Assistant, with their places in the files."""

    def __init__(self, name: str, entry: ObjectEntry, makers: _Makers, files: CatalogFiles, findings: Findings) -> None:
        self._name = name
        self._entry = entry
        self._makers = makers
        self._files = files
        self._findings = findings

    def merge(self) -> Presentation:
        """Return the merged statements. A contradiction is refused; keys on which templates differ are left out."""
        stated = self._entry.model_fields_set
        if not self._makers.templates and len(self._makers.named) < 2 and stated.isdisjoint(_KEYS):  # noqa: PLR2004 -- no two can contradict
            return self._makers.named[0].model if self._makers.named else self._entry
        found = {key: self._stated(key) for key in _KEYS}
        return Presentation.model_construct(None, **found)

    def refuse(self, key: str, reason: str, text: str) -> None:
        """Refuse the object where the key is stated."""
        self._findings.refuse(*self.place_of(key), reason, text)

    def place_of(self, key: str) -> tuple[Path, Location]:
        """Return where the key is stated, or where it would be."""
        if getattr(self._entry, key) is not None:
            return self._files.devices, ("objects", self._name, key)
        for each in (*self._makers.named, *self._makers.templates):
            if getattr(each.model, key) is not None:
                return self._files.mappings, (*each.location, key)
        return self._files.devices, ("objects", self._name, key)

    def _stated(self, key: str) -> object:
        """Return the value of one key: that of the rules that name the object, of its entry, or of its templates."""
        named = self._of_rules(key)
        # Dictionaries keep the order, and lists have no hash.
        of_templates = [value for each in self._makers.templates if (value := getattr(each.model, key)) is not None]
        different = [value for number, value in enumerate(of_templates) if value not in of_templates[:number]]
        own: object = getattr(self._entry, key)
        if own is not None:
            self._check_own(key, own, [named] if named is not None else different)
            return own
        if named is not None:
            return named
        if len(different) > 1:
            values = " and ".join(map(repr, different))
            text = f"its rules say the {key} {values}: none is announced; state the {key} here"
            self._findings.warn(self._files.devices, ("objects", self._name), text)
            return None
        return next(iter(different), None)

    def _of_rules(self, key: str) -> object:
        """Return the value that the rules give that name the object; they must agree."""
        found: object = None
        for each in self._makers.named:
            value = getattr(each.model, key)
            if found is None:
                found = value
            elif value is not None and value != found:
                text = f"gives {self._name} the {key} {value!r}, but an earlier rule says {found!r}"
                place = (*each.location, key)
                self._findings.refuse(self._files.mappings, place, "contradiction", text)
        return found

    def _check_own(self, key: str, own: object, others: Sequence[object]) -> None:
        """Refuse the entry's value where rules give the key and none of them this value."""
        if others and own not in others:
            mappings = self._files.mappings.name
            text = f"gives {self._name} the {key} {own!r}, but its rule in {mappings} says {others[0]!r}"
            self.refuse(key, "contradiction", text)


def _words(makers: _Makers) -> tuple[str, ...] | None:
    """Return the words that the rules' enum maps lead to, None where a rule has none."""
    rules = (*makers.named, *makers.templates)
    if not rules or not all(each.model.enum for each in rules):
        return None
    return tuple(dict.fromkeys(word for each in rules for word in (each.model.enum or {}).values()))


def _check(each: CatalogObject, statements: _Statements) -> None:
    if each.value_type not in _NUMBERS:
        for key in ("min", "max"):
            if getattr(each, key) is not None:
                statements.refuse(key, "contradiction", f"{each.name} has min or max, but is {each.value_type}")
                break
    elif each.min is not None and each.max is not None and each.min > each.max:
        statements.refuse("min", "contradiction", f"min {each.min:g} is above max {each.max:g}")
    if each.options is not None and each.value_type is not ValueType.TEXT:
        statements.refuse("options", "contradiction", f"{each.name} has options, but is {each.value_type}, not text")
