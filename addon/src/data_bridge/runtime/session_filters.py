"""Topic filters in the broker's session, which outlives the process and cannot be queried."""

from collections.abc import Collection, Iterable
from pathlib import Path

import orjson

from data_bridge.damaged_files import DamagedFileError, read_json
from data_bridge.files import write_atomically


class SessionFilters:
    """Wanted filters, and stale ones that earlier processes or catalogs may have left subscribed, in a file."""

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
        """Return the filters that may be subscribed and are not wanted."""
        return self._subscribed - self._wanted

    def set_wanted(self, filters: Iterable[str]) -> None:
        """Set the wanted filters, before they are subscribed: after a kill they must be known.

        Raises:
            OSError: the file cannot be written; the filters apply to this process all the same.
        """
        self._wanted = frozenset(filters)
        self._note(self._subscribed | self._wanted)

    def end_stale(self) -> None:
        """Record that the stale subscriptions were ended.

        Raises:
            OSError: the file cannot be written; the next process ends them again.
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
