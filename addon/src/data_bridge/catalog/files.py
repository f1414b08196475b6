"""Both catalog files: read once, each checked by itself."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from data_bridge.catalog.findings import Findings
from data_bridge.catalog.near_misses import did_you_mean, nearest
from data_bridge.catalog.schema import DeviceEntry, DeviceFile, Devices, MappingRule, ObjectEntry, Objects
from data_bridge.own_topics import OwnTopics
from data_bridge.yaml_documents import CatalogError, Node, parse, read_text

DEFAULT_MAXIMUM_BYTES = 256 * 1024 * 1024
DEFAULT_EGRESS_TOPIC = "devices/{device}/ingress"
# Entries that Pydantic checks in one call: during a reload, messages are carried between two calls.
_CHUNK = 500
_LONGEST_SHOWN = 60

_DEFAULT_OWN = OwnTopics("main")

_RULES = TypeAdapter(list[MappingRule])
_OBJECTS: TypeAdapter[dict[str, ObjectEntry]] = TypeAdapter(Objects)
_DEVICES: TypeAdapter[dict[str, DeviceEntry]] = TypeAdapter(Devices)


@dataclass(frozen=True, slots=True)
class SettingsText:
    """The settings file with its text, for errors that concern settings and catalog together."""

    path: Path = Path("settings")
    text: str = ""


@dataclass(frozen=True, slots=True)
class CatalogFiles:
    """Paths of the catalog files, and the settings that affect them.

    `ingress` are the filters of envelopes, `own` the topics on which the bridge itself publishes.
    """

    mappings: Path
    devices: Path
    ingress: tuple[str, ...] = ("iot/ingress",)
    egress_topic: str = DEFAULT_EGRESS_TOPIC
    egress_qos: int = 1
    own: OwnTopics = _DEFAULT_OWN
    maximum_bytes: int = DEFAULT_MAXIMUM_BYTES
    settings: SettingsText = SettingsText()


@dataclass(frozen=True, slots=True)
class CatalogTexts:
    """Texts of the two files at one moment."""

    mappings: str
    devices: str


def read_texts(files: CatalogFiles) -> CatalogTexts:
    """Return the present texts of the files.

    Raises:
        CatalogError: one is missing, not a file, too large or not UTF-8.
    """
    return CatalogTexts(
        read_text(files.mappings, files.maximum_bytes),
        read_text(files.devices, files.maximum_bytes),
    )


class CatalogSource:
    """Texts of the two files, each parsed and checked by itself; errors are added to `findings`."""

    def __init__(self, files: CatalogFiles, texts: CatalogTexts) -> None:
        self.files = files
        self.findings = Findings()
        self._texts = texts

    def version(self) -> str:
        """Return a digest of both texts."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(self._texts.mappings.encode())
        digest.update(b"\0")
        digest.update(self._texts.devices.encode())
        return digest.hexdigest()

    def parse(self) -> tuple[dict[int, MappingRule], DeviceFile]:
        """Return the rules of mappings.yaml by their index, and devices.yaml, without the refused parts."""
        mappings = self._document(self.files.mappings, self._texts.mappings)
        devices = self._document(self.files.devices, self._texts.devices)
        settings = self.files.settings
        self.findings.add_document(settings.path, settings.text, parse(settings.text, settings.path))
        return self._rules(mappings), self._device_file(devices)

    def _document(self, path: Path, text: str) -> Node:
        document: Node = None
        try:
            document = parse(text, path)
        except CatalogError as error:
            self.findings.add_document(path, "", None)
            self.findings.add(error)
        else:
            self.findings.add_document(path, text, document)
            if not isinstance(document, dict):
                key = "mappings" if path == self.files.mappings else "objects"
                self.findings.add(CatalogError(path, 1 if text else None, "invalid", f"must hold the key `{key}`"))
        return document

    def _rules(self, document: Node) -> dict[int, MappingRule]:
        path = self.files.mappings
        items = self._section(document, path, "mappings")
        if not isinstance(items, list):
            self.findings.refuse(path, ("mappings",), "invalid", "must be a list of rules")
            return {}
        rules: dict[int, MappingRule] = {}
        for start in range(0, len(items), _CHUNK):
            chunk = dict(enumerate(items[start : start + _CHUNK], start))
            try:
                rules.update(zip(chunk, _RULES.validate_python(list(chunk.values())), strict=True))
            except ValidationError as error:
                bad = {start + int(place) for place in self._refuse(path, ("mappings",), error, start)}
                good = [number for number in chunk if number not in bad]
                rules.update(zip(good, _RULES.validate_python([chunk[number] for number in good]), strict=True))
            # A reload runs on its own thread: this lets the one that carries messages go first.
            time.sleep(0)
        return rules

    def _device_file(self, document: Node) -> DeviceFile:
        objects = self._section(document, self.files.devices, "objects")
        devices = document.get("devices") if isinstance(document, dict) else None
        return DeviceFile(
            objects=self._entries(_OBJECTS, objects, "objects"),
            devices=self._entries(_DEVICES, {} if devices is None else devices, "devices"),
        )

    def _entries[T](self, adapter: TypeAdapter[dict[str, T]], section: Node, key: str) -> dict[str, T]:
        path = self.files.devices
        if section == []:
            section = {}
        if not isinstance(section, dict):
            self.findings.refuse(path, (key,), "invalid", "must be a mapping of names")
            return {}
        entries: dict[str, T] = {}
        items = list(section.items())
        for start in range(0, len(items), _CHUNK):
            chunk = dict(items[start : start + _CHUNK])
            try:
                entries.update(adapter.validate_python(chunk))
            except ValidationError as error:
                bad = self._refuse(path, (key,), error)
                entries.update(adapter.validate_python({name: chunk[name] for name in chunk if name not in bad}))
            time.sleep(0)
        return entries

    def _section(self, document: Node, path: Path, key: str) -> Node:
        if not isinstance(document, dict):
            return []  # refused above
        if key not in document:
            text = f"must hold the key `{key}`{did_you_mean(key, document)}; it has {', '.join(map(repr, document))}"
            self.findings.add(CatalogError(path, 1, "invalid", text))
        value = document.get(key)
        return [] if value is None else value

    def _refuse(
        self, path: Path, section: Sequence[str], error: ValidationError, start: int = 0
    ) -> frozenset[str | int]:
        """Add the errors of Pydantic; return the first step of each location."""
        places: set[str | int] = set()
        for each in error.errors(include_url=False):
            location = list(each["loc"])
            places.add(location[0])
            if isinstance(location[0], int):
                location[0] += start
            self.findings.refuse(path, (*section, *location), "invalid", _text(each))
        return frozenset(places)


def warn_of_unknown_keys(findings: Findings, path: Path, location: Sequence[str | int], model: BaseModel) -> None:
    """Warn about unknown keys of a part of a file: they may be misspelt."""
    for key in model.model_extra or ():
        near = did_you_mean(key, type(model).model_fields)
        findings.warn(path, (*location, key), f"this key means nothing here{near}")


def _text(error: ErrorDetails) -> str:
    """Return the text of an error, with the value or the nearest key."""
    text, given = error["msg"].removeprefix("Value error, "), error["input"]
    if error["type"] == "missing" and isinstance(given, Mapping):
        wanted = str(error["loc"][-1])
        near = nearest(wanted, map(str, given))
        return f"{text} (did you mean {wanted!r} by {near!r}?)" if near else text
    if error["type"] != "value_error" and isinstance(given, str):
        return f"{text}, not {given if len(given) <= _LONGEST_SHOWN else given[:_LONGEST_SHOWN] + '...'!r}"
    return text
