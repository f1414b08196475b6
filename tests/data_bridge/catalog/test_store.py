"""Which catalog a bridge uses: the one on disk, read once for each change, or the last good one after a refusal."""

from dataclasses import replace
from pathlib import Path

import pytest

from data_bridge.catalog.file_watch import FileWatch
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.store import CatalogStore, Loaded
from data_bridge.damaged_files import DamagedFileError
from data_bridge.yaml_documents import CatalogError

MAPPINGS = "mappings:\n  - {equip_tag: GPS001, message_id: GLL001, object: GPS.Latitude, value_type: float}\n"
DEVICES = "objects:\n  GPS.Latitude: [VM-A, VM-C]\n"
BAD = "mappings: [}"


def use(store: CatalogStore, loaded: Loaded) -> None:
    """Take a catalog into use, and keep it as the last good one."""
    store.mark_in_use(loaded)
    store.keep(loaded)


@pytest.fixture
def files(tmp_path: Path) -> CatalogFiles:
    files = CatalogFiles(tmp_path / "mappings.yaml", tmp_path / "devices.yaml")
    files.mappings.write_text(MAPPINGS)
    files.devices.write_text(DEVICES)
    return files


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "data" / "last-good-catalog.json"


def store_of(files: CatalogFiles, copy: Path) -> CatalogStore:
    """Return a store that takes files for at rest at once."""
    return CatalogStore(files, copy, FileWatch((files.mappings, files.devices), 0))


def objects(loaded: Loaded) -> list[str]:
    return [rule.object for rule in loaded.catalog.rules]


def test_after_a_refusal_the_last_good_catalog_starts_the_bridge(files: CatalogFiles, copy: Path) -> None:
    first = store_of(files, copy)
    loaded = first.start()
    assert loaded.refused is None
    use(first, loaded)
    files.mappings.write_text(BAD)
    second = store_of(files, copy)
    started = second.start()
    use(second, started)
    assert objects(started) == ["GPS.Latitude"]
    assert started.catalog.version == loaded.catalog.version
    assert started.refused is not None
    assert started.refused.line == 1
    assert not second.changed()
    assert objects(store_of(files, copy).start()) == ["GPS.Latitude"]


def test_without_a_good_catalog_there_is_no_start(files: CatalogFiles, copy: Path) -> None:
    files.mappings.write_text(BAD)
    store = store_of(files, copy)
    with pytest.raises(CatalogError):
        store.start()
    assert store.refusals == {"syntax": 1}


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"mappings": 5, "devices": null}'])
def test_a_damaged_copy_is_told_even_while_it_is_not_needed(files: CatalogFiles, copy: Path, content: bytes) -> None:
    copy.parent.mkdir()
    copy.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"last-good.*\.json cannot be used: it (is no JSON|holds no catalog)"):
        store_of(files, copy).start()


def test_a_catalog_that_never_came_into_use_is_not_the_last_good_one(files: CatalogFiles, copy: Path) -> None:
    store = store_of(files, copy)
    use(store, store.start())
    files.mappings.write_text(MAPPINGS.replace("Latitude", "Longitude"))
    store.load()
    assert store.changed()
    files.mappings.write_text(BAD)
    assert objects(store_of(files, copy).start()) == ["GPS.Latitude"]


def test_what_is_kept_is_what_was_read_though_the_file_changed_since(files: CatalogFiles, copy: Path) -> None:
    store = store_of(files, copy)
    loaded = store.start()
    files.mappings.write_text(BAD)
    use(store, loaded)
    assert store.changed()
    assert objects(store_of(files, copy).start()) == ["GPS.Latitude"]


def test_a_change_is_one_change_whether_it_is_good_or_refused(files: CatalogFiles, copy: Path) -> None:
    store = store_of(files, copy)
    use(store, store.start())
    assert not store.changed()
    files.mappings.write_text(BAD)
    assert store.changed()
    with pytest.raises(CatalogError):
        store.load()
    assert not store.changed()
    files.mappings.write_text(MAPPINGS + "\n")
    assert store.changed()
    use(store, store.load())
    assert not store.changed()


def test_a_copy_that_cannot_be_written_is_counted_and_the_catalog_is_used(files: CatalogFiles, copy: Path) -> None:
    store = store_of(files, copy)
    loaded = store.start()
    copy.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        use(store, loaded)
    assert store.copies_failed == 1
    assert not store.changed()


def test_catalogs_anywhere_in_the_data_directory_are_left_alone(tmp_path: Path, copy: Path) -> None:
    files = CatalogFiles(tmp_path / "data" / "catalog" / "mappings.yaml", tmp_path / "data" / "devices.yaml")
    files.mappings.parent.mkdir(parents=True)
    files.mappings.write_text(MAPPINGS)
    files.devices.write_text(DEVICES)
    store = store_of(files, copy)
    use(store, store.start())
    assert not store.changed()
    assert (files.mappings.read_text(), files.devices.read_text()) == (MAPPINGS, DEVICES)


@pytest.mark.parametrize("which", ["mappings", "devices"])
def test_the_copy_itself_is_no_catalog(files: CatalogFiles, copy: Path, which: str) -> None:
    store = store_of(files, copy)
    use(store, store.start())
    kept = copy.read_bytes()
    pointed = replace(files, mappings=copy) if which == "mappings" else replace(files, devices=copy)
    store = store_of(pointed, copy)
    started = store.start()
    use(store, started)
    assert started.refused is not None
    assert copy.read_bytes() == kept
