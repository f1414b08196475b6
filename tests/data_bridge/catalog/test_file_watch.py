"""A catalog that is being written is not used before it has come to rest."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_bridge.catalog.file_watch import FileWatch
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.store import CatalogDeferredError, CatalogStore, Loaded

REST = 10.0


def use(store: CatalogStore, loaded: Loaded) -> None:
    """Take a catalog into use, and keep it as the last good one."""
    store.mark_in_use(loaded)
    store.keep(loaded)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def rules(count: int) -> str:
    lines = (f"  - {{equip_tag: T{n}, message_id: M, object: O{n}, value_type: float}}\n" for n in range(count))
    return "mappings:\n" + "".join(lines)


def objects(count: int) -> str:
    return "objects:\n" + "".join(f"  O{n}: [D]\n" for n in range(count))


@pytest.fixture
def files(tmp_path: Path) -> CatalogFiles:
    files = CatalogFiles(tmp_path / "mappings.yaml", tmp_path / "devices.yaml")
    files.mappings.write_text(rules(50))
    files.devices.write_text(objects(50))
    return files


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(files: CatalogFiles, clock: Clock) -> CatalogStore:
    store = CatalogStore(files, watch=FileWatch((files.mappings, files.devices), REST, clock))
    use(store, store.start())
    return store


def test_files_rest_when_two_looks_find_the_same(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a"
    watch = FileWatch([path], REST, clock)
    assert not watch.rested()
    clock.now += REST
    assert watch.rested()
    path.write_text("x")
    assert not watch.rested()
    clock.now += REST - 1
    path.write_text("xy")
    assert not watch.rested()
    clock.now += REST - 1
    assert not watch.rested()
    clock.now += 1
    assert watch.rested()


def test_a_catalog_that_is_being_written_is_neither_told_nor_loaded(
    files: CatalogFiles, store: CatalogStore, clock: Clock
) -> None:
    whole = rules(60)
    for end in (200, 900, 2000):
        files.mappings.write_text(whole[:end])
        assert not store.changed()
        with pytest.raises(CatalogDeferredError):
            store.load()
        clock.now += REST / 2
    files.mappings.write_text(whole)
    assert not store.changed()
    clock.now += REST
    assert store.changed()
    assert len(store.load().catalog.rules) == 60


@pytest.mark.parametrize(
    ("mappings", "devices"), [(rules(25), objects(50)), (rules(50), objects(20)), ("mappings:\n", objects(50))]
)
def test_a_catalog_that_loses_half_of_itself_waits_for_one_more_look(
    files: CatalogFiles, store: CatalogStore, clock: Clock, mappings: str, devices: str
) -> None:
    files.mappings.write_text(mappings)
    files.devices.write_text(devices)
    store.changed()
    clock.now += REST
    assert store.changed()
    with pytest.raises(CatalogDeferredError) as caught:
        store.load()
    assert caught.value.shrinks is not None
    assert caught.value.shrinks.rules_before == 50
    assert not store.changed()
    clock.now += REST
    assert store.changed()
    use(store, store.load())
    assert not store.changed()


def test_a_catalog_that_grows_again_during_that_look_is_the_one_that_is_used(
    files: CatalogFiles, store: CatalogStore, clock: Clock
) -> None:
    files.mappings.write_text(rules(25))
    store.changed()
    clock.now += REST
    with pytest.raises(CatalogDeferredError):
        store.load()
    files.mappings.write_text(rules(51))
    assert not store.changed()
    clock.now += REST
    assert len(store.load().catalog.rules) == 51


def test_a_catalog_that_loses_less_is_used_at_once(files: CatalogFiles, store: CatalogStore, clock: Clock) -> None:
    files.mappings.write_text(rules(26))
    store.changed()
    clock.now += REST
    assert len(store.load().catalog.rules) == 26


def test_a_start_waits_for_a_file_that_is_being_written(files: CatalogFiles, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    first = CatalogStore(files, copy)
    use(first, first.start())
    whole = rules(60)

    def write() -> None:
        for end in range(500, len(whole), 500):
            files.mappings.write_text(whole[:end])
            time.sleep(0.05)  # the writer takes its time; nothing waits for it here but the store
        files.mappings.write_text(whole)

    files.mappings.write_text(whole[:100])
    writer = threading.Thread(target=write)
    writer.start()
    started = CatalogStore(files, copy).start()
    writer.join()
    assert len(started.catalog.rules) == 60


def test_a_start_on_what_was_in_use_waits_for_nothing(files: CatalogFiles, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    watch = FileWatch((files.mappings, files.devices), 60)
    first = CatalogStore(files, copy)
    use(first, first.start())
    files.mappings.touch()
    assert len(CatalogStore(files, copy, watch).start().catalog.rules) == 50


def test_a_start_without_a_last_good_catalog_waits_for_nothing(files: CatalogFiles, tmp_path: Path) -> None:
    store = CatalogStore(files, tmp_path / "copy.json", FileWatch((files.mappings, files.devices), 60))
    assert len(store.start().catalog.rules) == 50
