"""YAML files read as plain text scalars, at a tenth of the usual cost, with the line of every complaint."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml import Event
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # imported names are missing in its stubs

# A catalog nests four deep; anything far beyond is a mistake or an attack.
MAXIMUM_DEPTH = 32
_LONGEST_NAME = 120
# Words that YAML reads as null when they are not quoted.
_NULL_WORDS = frozenset({"", "~", "null", "Null", "NULL"})

type Node = str | list[Node] | dict[str, Node] | None


class CatalogError(Exception):
    """A file that cannot be used, with the place and the reason that its author needs.

    `reason` is a short word for counters: unreadable, syntax, duplicate_key, invalid, contradiction, loop. `more` are
    the other errors that were found with it.
    """

    def __init__(
        self, path: Path, line: int | None, reason: str, text: str, more: Iterable["CatalogError"] = ()
    ) -> None:
        super().__init__(f"{path}:{line}: {text}" if line else f"{path}: {text}")
        self.path = path
        self.line = line
        self.reason = reason
        self.text = text
        self.more = tuple(more)

    def every(self) -> "tuple[CatalogError, ...]":
        """Return this error and those that were found with it."""
        return (self, *self.more)


def read_text(path: Path, maximum_bytes: int) -> str:
    """Return a file's text.

    Raises:
        CatalogError: it is missing, not a file, too large or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > maximum_bytes:
            raise CatalogError(path, None, "unreadable", f"has {size} bytes, more than the allowed {maximum_bytes}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CatalogError(path, None, "unreadable", f"is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise CatalogError(path, None, "unreadable", f"cannot be read: {error.strerror or error}") from error


def parse(text: str, path: Path) -> Node:
    """Return the document's mappings, lists and scalars; every scalar stays the text that was written.

    Leaving `on`, `1.0` or `010` as text lets each field decide their meaning: an enum's `on` is a word, not a boolean.
    The loop is Python's own, so that other threads (the one that carries messages) run in between.

    Raises:
        CatalogError: not YAML, a key that occurs twice, aliases, more than one document, or nested too deep.
    """
    parser = CParser(text)
    try:
        return _Builder(parser, path).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise CatalogError(path, line, "syntax", f"is not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise CatalogError(path, None, "syntax", f"is not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        parser.dispose()


class _Builder:
    """Builds values from the parser's events."""

    def __init__(self, parser: CParser, path: Path) -> None:
        self._next: Callable[[], Event] = parser.get_event  # type: ignore[assignment]  # None follows the stream's end only
        self._path = path

    def document(self) -> Node:
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "syntax", "holds more than one YAML document")
        return value

    def _value(self, event: Event, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if depth >= MAXIMUM_DEPTH:
            raise self._error(event, "invalid", f"is nested deeper than {MAXIMUM_DEPTH} levels")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth + 1)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return items
        raise self._error(event, "syntax", "uses a YAML alias (*name), which catalogs do not allow")

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        step = self._next
        while not isinstance(event := step(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "syntax", "has a key that is not a plain word")
            key: str = event.value
            if key in entries:
                raise self._error(event, "duplicate_key", f"has the key {key!r} twice")
            entries[key] = self._value(step(), depth)
        return entries

    def _error(self, event: Event, reason: str, text: str) -> CatalogError:
        mark = event.start_mark
        return CatalogError(self._path, mark.line + 1 if mark else None, reason, text)


def _scalar(event: yaml.ScalarEvent) -> str | None:
    value: str = event.value
    # implicit[0] is true for a plain scalar, false for a quoted one.
    return None if event.implicit[0] and value in _NULL_WORDS else value


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """Return the line (from 1) of the value at keys and indices `location`, or of its nearest parent that exists.

    The text is one that `parse` accepts.
    """
    return lines_of(text, parse(text, Path()), [location])[0]


def lines_of(text: str, document: Node, locations: Iterable[Sequence[str | int]]) -> list[int | None]:
    """Return the lines of many locations, as `line_of`, in one pass over the text; `document` is its parsed form."""
    root = _Wanted()
    wanted = [root.at(_existing(document, location)) for location in locations]
    parser = CParser(text)
    try:
        _LineReader(parser).read(root)
    finally:
        parser.dispose()
    return [each.line for each in wanted]


def name_of(step: str | int) -> str:
    """Return a key or index for an error message: escaped, in one line of bounded length."""
    text = str(step)
    return text if text.isprintable() and 0 < len(text) <= _LONGEST_NAME else repr(text[:_LONGEST_NAME])


def _existing(document: Node, location: Sequence[str | int]) -> list[str | int]:
    """Return the steps of a location that lead somewhere.

    Pydantic names the alternatives of a union in its locations; they are no keys of the file.
    """
    steps: list[str | int] = []
    place = document
    for step in location:
        if isinstance(place, dict):
            key = str(step)
            if key in place:
                place = place[key]
                steps.append(key)
        elif isinstance(place, list) and isinstance(step, int) and 0 <= step < len(place):
            place = place[step]
            steps.append(step)
        else:
            break
    return steps


@dataclass(slots=True)
class _Wanted:
    """A place whose line is looked up, or a parent of such places."""

    line: int | None = None
    below: "dict[str | int, _Wanted]" = field(default_factory=dict)

    def at(self, steps: Iterable[str | int]) -> "_Wanted":
        place = self
        for step in steps:
            place = place.below.setdefault(step, _Wanted())
        return place


class _LineReader:
    """Reads the events of a text for the lines of wanted places; a mapping's value has the line of its key."""

    def __init__(self, parser: CParser) -> None:
        self._next: Callable[[], Event] = parser.get_event  # type: ignore[assignment]  # None follows the stream's end only

    def read(self, root: _Wanted) -> None:
        self._next()  # the stream's start
        if not isinstance(self._next(), yaml.StreamEndEvent):
            event = self._next()
            root.line = _line(event)
            self._value(event, root)

    def _value(self, event: Event, wanted: _Wanted | None) -> None:
        if wanted is None or not wanted.below:
            self._pass_over(event)
        elif isinstance(event, yaml.MappingStartEvent):
            while isinstance(key := self._next(), yaml.ScalarEvent):
                self._item(key, self._next(), wanted.below.get(key.value))
        elif isinstance(event, yaml.SequenceStartEvent):
            index = 0
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                self._item(item, item, wanted.below.get(index))
                index += 1

    def _item(self, place: Event, value: Event, wanted: _Wanted | None) -> None:
        if wanted is not None:
            wanted.line = _line(place)
        self._value(value, wanted)

    def _pass_over(self, event: Event) -> None:
        """Skip all events of the value that begins with `event`."""
        depth = 0
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth == 0:
                return
            event = self._next()


def _line(event: Event) -> int | None:
    mark = event.start_mark
    return mark.line + 1 if mark else None
