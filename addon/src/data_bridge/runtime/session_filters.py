"""Which filters the broker may hold for us: its session outlives the process, and nobody can ask it for them."""

from collections.abc import Collection, Iterable
from pathlib import Path

import orjson

from data_bridge.damaged_files import DamagedFileError, read_json
from data_bridge.files import write_atomically


class SessionFilters:
    """What is wanted, and what earlier runs or catalogs may have left subscribed, in a file."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            DamagedFileError: it cannot be used.
        """
        self._path = path
        self._wanted: frozenset[str] = frozenset()
        self._subscribed = self._written = frozenset(_read(path))

    @property
    def stale(self) -> Collection[str]:
        """Return the filters that may be subscribed and that nobody wants."""
        return self._subscribed - self._wanted

    def set_wanted(self, filters: Iterable[str]) -> None:
        """Take note of all that is wanted from now on; before it is subscribed, or a killed process leaves it unknown.

        Raises:
            OSError: the file cannot be written; what is noted holds for this run.
        """
        self._wanted = frozenset(filters)
        self._note(self._subscribed | self._wanted)

    def end_stale(self) -> None:
        """Take note that the broker has been told to end all that is not wanted.

        Raises:
            OSError: the file cannot be written: the next run will tell it again.
        """
        self._note(self._wanted)

    def _note(self, subscribed: frozenset[str]) -> None:
        self._subscribed = subscribed
        if subscribed == self._written:
            return
        write_atomically(self._path, orjson.dumps(sorted(subscribed)))
        self._written = subscribed


def _read(path: Path) -> list[str]:
    document = read_json(path)
    if document is None:
        return []
    if not isinstance(document, list) or not all(isinstance(each, str) for each in document):
        raise DamagedFileError(path, "it holds no list of topic filters")
    return document
