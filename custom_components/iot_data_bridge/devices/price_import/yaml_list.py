"""A price list as YAML or JSON: a list, `products: […]` or `code: {…}`, read event by event."""

from collections.abc import Iterator

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from ..products import PriceListError
from .columns import is_own_word, known_column
from .records import Record

try:
    # Six times faster; a PyYAML that was built without libyaml lacks it.
    from yaml import CBaseLoader as BaseLoader
except ImportError:
    from yaml import BaseLoader  # type: ignore[assignment] # the same face

# How YAML writes that there is nothing; a text in quotes is a text.
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})


class YamlList:
    """The products of a text.

    Numbers stay as they are written: no price becomes a binary float, no code 007 becomes 7.
    """

    def __init__(self, text: str) -> None:
        self._last_line = text.count("\n") + 1
        self._events = self._parse(text)

    def records(self) -> Iterator[Record]:
        """Return the products.

        Raises:
            PriceListError: `not_yaml`, `not_a_list`, `not_a_product`, `key_twice` or `field_twice`.
        """
        root = next((event for event in self._events if isinstance(event, CollectionStartEvent | ScalarEvent)), None)
        if isinstance(root, SequenceStartEvent):
            yield from self._list()
        elif isinstance(root, MappingStartEvent):
            yield from self._by_codes()
        else:
            self._drain()
            raise PriceListError("not_a_list")
        self._drain()

    def _by_codes(self) -> Iterator[Record]:
        """Read `code: {…}`, or the value of `products`."""
        seen: set[str] = set()
        while isinstance(key := next(self._events), ScalarEvent):
            if key.value in seen:
                raise PriceListError("key_twice", _line_of(key))
            seen.add(key.value)
            value = next(self._events)
            if key.value == "products" and isinstance(value, SequenceStartEvent):
                yield from self._list()
            elif key.value == "products" and isinstance(value, MappingStartEvent):
                yield from self._by_codes()
            else:
                yield self._product(value, key.value)
        if not isinstance(key, CollectionEndEvent):
            self._drain()
            raise PriceListError("not_a_product", _line_of(key))

    def _list(self) -> Iterator[Record]:
        while not isinstance(item := next(self._events), CollectionEndEvent):
            yield self._product(item)

    def _product(self, event: Event, code: str | None = None) -> Record:
        line = _line_of(event)
        if not isinstance(event, MappingStartEvent):
            self._drain()
            raise PriceListError("not_a_product", line)
        cells = {} if code is None else {"code": code}
        own: set[str] = set() if code is None else {"code"}
        seen: set[str] = set()
        while not isinstance(key := next(self._events), CollectionEndEvent):
            value = next(self._events) if isinstance(key, ScalarEvent) else key
            if not isinstance(key, ScalarEvent) or isinstance(value, AliasEvent):
                self._drain()
                raise PriceListError("not_a_product", line)
            if key.value in seen:
                raise PriceListError("key_twice", _line_of(key))
            seen.add(key.value)
            field = known_column(key.value)
            if isinstance(value, CollectionStartEvent):
                if field is not None:
                    raise PriceListError("not_a_product", _line_of(value))
                self._skip()
            elif field is not None and isinstance(value, ScalarEvent):
                self._take(field, key, value, cells, own)
        return Record(line, cells)

    def _take(self, field: str, key: ScalarEvent, value: ScalarEvent, cells: dict[str, str], own: set[str]) -> None:
        if is_own_word(key.value):
            if field in own:
                raise PriceListError("field_twice", _line_of(key))
            own.add(field)
        elif field in own:
            return
        elif field in cells:
            raise PriceListError("field_twice", _line_of(key))
        cells[field] = "" if value.implicit[0] and value.value in _NOTHING else value.value

    def _skip(self) -> None:
        """Read over the rest of a list or a map."""
        depth = 1
        while depth:
            event = next(self._events)
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)

    def _drain(self) -> None:
        """Read the rest, whose errors explain more."""
        for _ in self._events:
            pass

    def _parse(self, text: str) -> Iterator[Event]:
        try:
            yield from yaml.parse(text, Loader=BaseLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            # libyaml puts an end that comes too early on the line after the last.
            line = 1 if mark is None else min(mark.line + 1, self._last_line)
            raise PriceListError("not_yaml", line) from error


def _line_of(event: Event) -> int:
    return 1 if event.start_mark is None else int(event.start_mark.line) + 1
