"""The catalog in use: loaded at start, watched on disk, and kept as a last good copy for the next start."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_bridge.catalog.file_watch import FileWatch, Stamp
from data_bridge.catalog.files import CatalogFiles, CatalogTexts, read_texts
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog
from data_bridge.damaged_files import DamagedFileError, read_json
from data_bridge.files import make_private_folder, write_atomically
from data_bridge.yaml_documents import CatalogError

_LONGEST_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Shrinking:
    """Sizes of a catalog with at most half of the rules or objects in use: its file may still be written."""

    rules_before: int
    rules: int
    objects_before: int
    objects: int


class CatalogDeferredError(Exception):
    """Files that are not used yet: they are being written or, with `shrinks`, may be."""

    def __init__(self, shrinks: Shrinking | None = None) -> None:
        super().__init__("the catalog files are being written")
        self.shrinks = shrinks


@dataclass(frozen=True, slots=True)
class Loaded:
    """A catalog, the very texts it was read from, and the `stamp` that the files had before.

    `refused` is the complaint that made it the last good one instead of the one on disk.
    """

    catalog: Catalog
    texts: CatalogTexts
    stamp: Stamp
    refused: CatalogError | None = None


class CatalogStore:
    """Loads catalogs from `files`, and keeps the texts of the last one that came into use in the file `copy`.

    The copy holds both texts, so that they always belong together, in a form that is no catalog: it can be neither read
    as one of the files nor overwrite one of them.
    """

    def __init__(self, files: CatalogFiles, copy: Path | None = None, watch: FileWatch | None = None) -> None:
        self.refusals: Counter[str] = Counter()
        self.copies_failed = 0
        self._files = files
        self._copy = copy
        self._watch = FileWatch((files.mappings, files.devices)) if watch is None else watch
        self._in_use: Catalog | None = None
        self._shrunk: Stamp | None = None
        self._stamp_in_use: Stamp | None = None

    def start(self) -> Loaded:
        """Return the catalog on disk or, where that is refused, the last good one.

        Raises:
            CatalogError: the one on disk is refused, and there is no good one.
            DamagedFileError: the copy cannot be used.
        """
        # Read at every start, so that damage is found before the copy is needed.
        texts = self._kept()
        if texts is not None:
            self._rest_at_start(texts)
        stamp = self._watch.look()
        try:
            return self._load()
        except CatalogDeferredError as deferred:
            raise CatalogError(self._files.mappings, None, "unreadable", str(deferred)) from deferred
        except CatalogError as error:
            if texts is None:
                raise
            try:
                return Loaded(load(self._files, texts), texts, stamp, error)
            except CatalogError:
                raise error from None

    def load(self) -> Loaded:
        """Return the catalog on disk; `mark_in_use` must follow once it is in use.

        Raises:
            CatalogError: it is refused, which is counted, and not read again before it changes.
            CatalogDeferredError: the files are not at rest; try again later.
        """
        if not self._watch.rested():
            raise CatalogDeferredError
        loaded = self._load()
        shrinking = self._shrinking(loaded.catalog)
        if shrinking is not None and loaded.stamp != self._shrunk:
            self._shrunk = loaded.stamp
            self._watch.begin_again()
            raise CatalogDeferredError(shrinking)
        return loaded

    def _load(self) -> Loaded:
        stamp = self._watch.look()
        try:
            texts = read_texts(self._files)
            if self._watch.look() != stamp:
                raise CatalogDeferredError
            return Loaded(load(self._files, texts), texts, stamp)
        except CatalogError as error:
            self.refusals[error.reason] += 1
            self._stamp_in_use = stamp
            raise

    def _rest_at_start(self, last_good: CatalogTexts) -> None:
        """Wait for files that were modified just now, unless they equal the last good copy."""
        end = time.monotonic() + _LONGEST_START_SECONDS
        while self._watch.is_young() and self._differs(last_good) and time.monotonic() < end:
            time.sleep(self._watch.rest / 5)

    def _differs(self, texts: CatalogTexts) -> bool:
        try:
            return read_texts(self._files) != texts
        except CatalogError:
            return True

    def _shrinking(self, catalog: Catalog) -> Shrinking | None:
        if self._in_use is None:
            return None
        before, now = _size(self._in_use), _size(catalog)
        if all(2 * count > earlier for count, earlier in zip(now, before, strict=True) if earlier):
            return None
        return Shrinking(before[0], now[0], before[1], now[1])

    def mark_in_use(self, loaded: Loaded) -> None:
        """Take note that a catalog is in use: it is not read again before it changes."""
        self._stamp_in_use = loaded.stamp
        self._in_use = loaded.catalog

    def refuse(self, loaded: Loaded, error: Exception) -> CatalogError:
        """Return the refusal of a catalog that the bridge cannot use; it is not read again before it changes."""
        refusal = CatalogError(self._files.mappings, None, "unusable", f"{type(error).__name__}: {error}")
        self.refusals[refusal.reason] += 1
        self._stamp_in_use = loaded.stamp
        return refusal

    def keep(self, loaded: Loaded) -> None:
        """Keep a catalog that is in use as the last good one.

        Raises:
            OSError: its copy cannot be written, which is counted.
        """
        if self._copy is None or loaded.refused is not None:
            return
        try:
            self._keep(self._copy, loaded.texts)
        except OSError:
            self.copies_failed += 1
            raise

    def changed(self) -> bool:
        """Look, and return whether the files rest and differ from the last catalog that was used or refused."""
        return self._watch.rested() and self._watch.look() != self._stamp_in_use

    def _keep(self, copy: Path, texts: CatalogTexts) -> None:
        make_private_folder(copy.parent)
        write_atomically(copy, orjson.dumps(texts), synced=True)

    def _kept(self) -> CatalogTexts | None:
        if self._copy is None:
            return None
        document = read_json(self._copy)
        if document is None:
            return None
        if not isinstance(document, dict):
            raise DamagedFileError(self._copy, "it holds no catalog")
        mappings, devices = document.get("mappings"), document.get("devices")
        if not isinstance(mappings, str) or not isinstance(devices, str):
            raise DamagedFileError(self._copy, "it holds no catalog")
        return CatalogTexts(mappings, devices)


def _size(catalog: Catalog) -> tuple[int, int]:
    """Return how many rules there are, and how many objects that go somewhere."""
    return len(catalog.rules), sum(bool(each.devices) for each in catalog.objects.values())
