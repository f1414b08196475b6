"""The catalog in use: loaded at start, watched on disk, and kept as a last good copy for the next start."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_bridge.catalog.files import CatalogFiles, CatalogTexts, read_texts
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog
from data_bridge.yaml_documents import CatalogError

type Stamp = tuple[tuple[int, int, int], ...]


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

    def __init__(self, files: CatalogFiles, copy: Path | None = None) -> None:
        self.refusals: Counter[str] = Counter()
        self.copies_failed = 0
        self._files = files
        self._copy = copy
        self._settled: Stamp | None = None

    def start(self) -> Loaded:
        """Return the catalog on disk or, where that is refused, the last good one.

        Raises:
            CatalogError: the one on disk is refused, and there is no good one.
        """
        stamp = self._stamp()
        try:
            return self.load()
        except CatalogError as error:
            texts = self._kept()
            if texts is None:
                raise
            try:
                return Loaded(load(self._files, texts), texts, stamp, error)
            except CatalogError:
                raise error from None

    def load(self) -> Loaded:
        """Return the catalog on disk; `settle` must follow when it is in use.

        Raises:
            CatalogError: it is refused, which is counted, and not read again before it changes.
        """
        stamp = self._stamp()
        try:
            texts = read_texts(self._files)
            return Loaded(load(self._files, texts), texts, stamp)
        except CatalogError as error:
            self.refusals[error.reason] += 1
            self._settled = stamp
            raise

    def settle(self, loaded: Loaded) -> None:
        """Take note that a catalog is in use: it is not read again before it changes, and it is the last good one.

        Raises:
            OSError: its copy cannot be written, which is counted; all else is done.
        """
        self._settled = loaded.stamp
        if self._copy is None or loaded.refused is not None:
            return
        try:
            self._keep(self._copy, loaded.texts)
        except OSError:
            self.copies_failed += 1
            raise

    def changed(self) -> bool:
        """Tell whether the files are others than those of the last catalog that was settled or refused."""
        return self._stamp() != self._settled

    def _keep(self, copy: Path, texts: CatalogTexts) -> None:
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary = copy.with_name(f".{copy.name}")
        with temporary.open("wb") as file:
            file.write(orjson.dumps(texts))
            file.flush()
            # Else a power cut may leave the new name without its content.
            os.fsync(file.fileno())
        temporary.replace(copy)

    def _kept(self) -> CatalogTexts | None:
        if self._copy is None:
            return None
        try:
            document = orjson.loads(self._copy.read_bytes())
            return CatalogTexts(str(document["mappings"]), str(document["devices"]))
        except (OSError, orjson.JSONDecodeError, TypeError, LookupError):
            return None

    def _stamp(self) -> Stamp:
        return tuple(_stamp(path) for path in (self._files.mappings, self._files.devices))


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
