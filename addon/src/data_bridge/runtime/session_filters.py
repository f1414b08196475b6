"""Which filters the broker may hold for us: its session outlives the process, and nobody can ask it for them."""

from collections.abc import Collection, Iterable
from pathlib import Path

import orjson


class SessionFilters:
    """What is wanted, and what earlier runs or catalogs may have left subscribed, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted: frozenset[str] = frozenset()
        self._subscribed = self._written = frozenset(_read(path))

    @property
    def left(self) -> Collection[str]:
        """Return the filters that may be subscribed and that nobody wants."""
        return self._subscribed - self._wanted

    def want(self, filters: Iterable[str]) -> None:
        """Take note of all that is wanted from now on; before it is subscribed, or a killed process leaves it unknown.

        Raises:
            OSError: the file cannot be written; what is noted holds for this run.
        """
        self._wanted = frozenset(filters)
        self._note(self._subscribed | self._wanted)

    def end_left(self) -> None:
        """Take note that the broker has been told to end all that is not wanted.

        Raises:
            OSError: the file cannot be written: the next run will tell it again.
        """
        self._note(self._wanted)

    def _note(self, subscribed: frozenset[str]) -> None:
        self._subscribed = subscribed
        if subscribed == self._written:
            return
        temporary = self._path.with_name(f".{self._path.name}")
        temporary.write_bytes(orjson.dumps(sorted(subscribed)))
        temporary.replace(self._path)
        self._written = subscribed


def _read(path: Path) -> list[str]:
    try:
        document = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return []
    return [each for each in document if isinstance(each, str)] if isinstance(document, list) else []
