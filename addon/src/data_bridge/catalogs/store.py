"""The catalog in use: loaded at start, watched on disk, and kept as a last good copy for the next start."""

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from data_bridge.catalogs.catalog import Catalog
from data_bridge.catalogs.documents import CatalogError
from data_bridge.catalogs.loader import load
from data_bridge.catalogs.sources import CatalogFiles

_LAST_GOOD = ("mappings.yaml", "devices.yaml")

type Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A catalog, and the complaint that made it the last good one instead of the one on disk."""

    catalog: Catalog
    refused: CatalogError | None = None


class CatalogStore:
    """Loads catalogs from `files`. With a `folder` each that loads is copied there."""

    def __init__(self, files: CatalogFiles, folder: Path | None = None) -> None:
        self.refusals: Counter[str] = Counter()
        self._files = files
        self._folder = folder

    def start(self) -> Loaded:
        """Return the catalog on disk or, where that is refused, the last good one.

        Raises:
            CatalogError: the one on disk is refused, and there is no good one.
        """
        try:
            return Loaded(self.load())
        except CatalogError as error:
            if self._folder is None:
                raise
            mappings, devices = (self._folder / name for name in _LAST_GOOD)
            try:
                return Loaded(load(replace(self._files, mappings=mappings, devices=devices)), error)
            except CatalogError:
                raise error from None

    def load(self) -> Catalog:
        """Return the catalog on disk.

        Raises:
            CatalogError: it is refused, which is counted.
        """
        try:
            catalog = load(self._files)
        except CatalogError as error:
            self.refusals[error.reason] += 1
            raise
        if self._folder is not None:
            self._keep(self._folder)
        return catalog

    def _keep(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in zip((self._files.mappings, self._files.devices), _LAST_GOOD, strict=True):
            temporary = folder / f".{name}"
            shutil.copyfile(source, temporary)
            temporary.replace(folder / name)

    def stamp(self) -> Stamp:
        """Return what changes when a file does."""
        return tuple(_stamp(path) for path in (self._files.mappings, self._files.devices))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
