"""Both catalog files: read once, each checked by itself, with the line of every complaint."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from data_bridge.catalog.schema import DeviceEntry, DeviceFile, Devices, MappingRule, ObjectEntry, Objects
from data_bridge.own_topics import OwnTopics
from data_bridge.yaml_documents import CatalogError, Node, line_of, parse, read_text

DEFAULT_MAXIMUM_BYTES = 256 * 1024 * 1024
DEFAULT_EGRESS_TOPIC = "devices/{device}/ingress"
# How many entries Pydantic checks in one go: in a reload, messages travel between two goes.
_CHUNK = 500

_DEFAULT_OWN = OwnTopics("main")

_RULES = TypeAdapter(list[MappingRule])
_OBJECTS: TypeAdapter[dict[str, ObjectEntry]] = TypeAdapter(Objects)
_DEVICES: TypeAdapter[dict[str, DeviceEntry]] = TypeAdapter(Devices)


@dataclass(frozen=True, slots=True)
class CatalogFiles:
    """Where the catalogs are, and what of the settings decides about them.

    `ingress` are the filters that the bridge reads besides topic rules, `own` the topics where it talks itself.
    """

    mappings: Path
    devices: Path
    ingress: tuple[str, ...] = ("iot/ingress",)
    egress_topic: str = DEFAULT_EGRESS_TOPIC
    egress_qos: int = 1
    own: OwnTopics = _DEFAULT_OWN
    maximum_bytes: int = DEFAULT_MAXIMUM_BYTES


@dataclass(frozen=True, slots=True)
class CatalogTexts:
    """What the two files said at one moment."""

    mappings: str
    devices: str


def read_texts(files: CatalogFiles) -> CatalogTexts:
    """Return what the files say now.

    Raises:
        CatalogError: one is missing, not a file, too large or not UTF-8.
    """
    return CatalogTexts(
        read_text(files.mappings, files.maximum_bytes),
        read_text(files.devices, files.maximum_bytes),
    )


class CatalogSource:
    """The texts of the two files, and what each says by itself."""

    def __init__(self, files: CatalogFiles, texts: CatalogTexts) -> None:
        self.files = files
        self._texts = texts

    def version(self) -> str:
        """Return a digest of both texts."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(self._texts.mappings.encode())
        digest.update(b"\0")
        digest.update(self._texts.devices.encode())
        return digest.hexdigest()

    def mapping_models(self) -> list[MappingRule]:
        """Return the rules of mappings.yaml in their order.

        Raises:
            CatalogError: the file is refused.
        """
        path = self.files.mappings
        items = self._section(parse(self._texts.mappings, path), path, self._texts.mappings, "mappings")
        if not isinstance(items, list):
            raise self.error(path, ("mappings",), "invalid", "`mappings` must be a list of rules")
        models: list[MappingRule] = []
        for start in range(0, len(items), _CHUNK):
            try:
                models += _RULES.validate_python(items[start : start + _CHUNK])
            except ValidationError as error:
                raise self._invalid(path, ("mappings", start), error) from error
            # A reload runs on its own thread: this lets the one that carries messages go first.
            time.sleep(0)
        return models

    def device_file(self) -> DeviceFile:
        """Return devices.yaml.

        Raises:
            CatalogError: the file is refused.
        """
        path = self.files.devices
        document = parse(self._texts.devices, path)
        objects = self._section(document, path, self._texts.devices, "objects")
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
            raise self.error(path, (key,), "invalid", f"`{key}` must be a mapping of names")
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
        return self.error(path, location, "invalid", f"{what}: {text}" + (f" (and {more} more)" if more else ""))

    def error(self, path: Path, location: Sequence[str | int], reason: str, text: str) -> CatalogError:
        """Return the complaint about what is at keys and indices `location` of a file, with its line."""
        source = self._texts.mappings if path == self.files.mappings else self._texts.devices
        return CatalogError(path, line_of(source, location), reason, text)
