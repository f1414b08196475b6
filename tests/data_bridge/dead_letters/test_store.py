"""The dead-letter store: nothing that is in it is lost, and it has a bound."""

import asyncio
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from data_bridge.damaged_files import DamagedFile, DamagedFileError, DamagedFiles
from data_bridge.dead_letters.letter import DeadLetter, Origin, OriginKind
from data_bridge.dead_letters.store import DeadLetterStore, open_to_read
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import get_logger
from data_bridge.reasons import Reason
from tests.data_bridge.connections import not_damaged

MEBIBYTE = 1024 * 1024
LETTER = DeadLetter(
    Reason.REFUSED, "0x97", "u1", "VM-A", "GPS.Latitude", "devices/vm-a/ingress", 1, True, b'{"v":"\xff"}', 3
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "dead-letters.sqlite"


def test_a_letter_comes_back_as_it_was(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    store.close()
    again = DeadLetterStore(path, 10, MEBIBYTE)
    (found,) = again.find_all()
    assert found.letter == LETTER
    assert again.get(found.id) == found
    again.close()


def test_the_oldest_go_when_there_are_too_many(path: Path) -> None:
    store = DeadLetterStore(path, 3, MEBIBYTE)
    assert store.add([replace(LETTER, trace_id=str(number)) for number in range(5)]) == 2
    assert [each.letter.trace_id for each in store.find_all()] == ["2", "3", "4"]
    store.close()


def test_all_letters_together_have_a_bound_in_bytes(path: Path) -> None:
    store = DeadLetterStore(path, 1000, MEBIBYTE)
    for number in range(100):
        store.add([replace(LETTER, trace_id=str(number), payload=os.urandom(100_000))])
    kept = [each.letter.trace_id for each in store.find_all()]
    assert kept == [str(number) for number in range(100 - len(kept), 100)]
    assert 5 <= len(kept) <= 10
    store.close()
    assert sum(each.stat().st_size for each in path.parent.iterdir()) < 2 * MEBIBYTE


def test_a_letter_larger_than_the_whole_room_is_kept_alone(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER] * 3)
    store.add([replace(LETTER, payload=bytes(2 * MEBIBYTE))])
    assert [len(each.letter.payload) for each in store.find_all()] == [2 * MEBIBYTE]
    store.close()


def test_inputs_make_room_before_deliveries_do(path: Path) -> None:
    store = DeadLetterStore(path, 3, MEBIBYTE)
    store.add([replace(LETTER, trace_id="delivery")])
    store.add([replace(LETTER, trace_id=f"input {number}", device="") for number in range(5)])
    assert [each.letter.trace_id for each in store.find_all()] == ["delivery", "input 3", "input 4"]
    store.add([replace(LETTER, trace_id=f"delivery {number}") for number in range(3)])
    assert [each.letter.trace_id for each in store.find_all()] == ["delivery 0", "delivery 1", "delivery 2"]
    store.close()


def test_a_letter_that_failed_again_is_kept_once_with_its_age(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER, LETTER])
    before, other = store.find_all()
    store.add([replace(LETTER, reason=Reason.NO_TRANSPORT, detail="now", attempts=6, number=before.id)])
    changed = replace(LETTER, reason=Reason.NO_TRANSPORT, detail="now", attempts=6)
    assert store.find_all() == [replace(before, letter=changed), other]
    store.close()


def test_a_file_of_the_first_version_is_taken_over(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    store.close()
    database = sqlite3.connect(path)
    for column in ("cut", "origin"):
        database.execute(f"ALTER TABLE dead_letters DROP COLUMN {column}")
    database.close()
    again = DeadLetterStore(path, 10, MEBIBYTE)
    origin = Origin(OriginKind.TOPIC, ("a/+", "$share/g/b"), 'x."y"')
    again.add([replace(LETTER, cut=5, origin=origin)])
    assert [(each.letter.cut, each.letter.origin) for each in again.find_all()] == [(0, Origin()), (5, origin)]
    again.close()


def test_letters_are_found_by_reason_trace_and_number(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER, replace(LETTER, reason=Reason.CAST_FAILED, trace_id="u2", device="")])
    assert [each.id for each in store.find_all(reason="cast_failed")] == [2]
    assert [each.id for each in store.find("u1")] == [1]
    assert [each.id for each in store.find_all(after=1)] == [2]
    assert [each.is_input for each in store.find_all()] == [False, True]
    assert store.get(9) is None
    store.close()


def test_removing_and_purging(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER] * 4)
    assert store.remove([1, 99]) == 1
    stored = store.find_all()[0].stored
    assert store.purge(stored - 1) == 0
    assert store.purge() == 3
    assert store.count() == 0
    store.close()


def test_a_number_that_no_letter_can_have_locks_nobody_out(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    with pytest.raises(OverflowError):
        store.remove([2**63])
    store.add([LETTER])
    assert store.count() == 2
    store.close()


def test_two_processes_may_use_one_file(path: Path) -> None:
    first, second = DeadLetterStore(path, 10, MEBIBYTE), DeadLetterStore(path, 10, MEBIBYTE)
    first.add([LETTER])
    second.add([LETTER])
    assert first.count() == second.count() == 2
    first.close()
    second.close()


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 100)
    with pytest.raises(DamagedFileError, match="file is not a database"):
        DeadLetterStore(path, 10, MEBIBYTE)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file's mode does not say who may read it")
def test_only_its_owner_may_read_it(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o644)
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    files = sorted(path.parent.iterdir())
    assert [each.name.removeprefix(path.name) for each in files] == ["", "-shm", "-wal"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in files] == [0o600] * 3
    store.close()


async def test_while_the_disk_refuses_letters_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_bridge.dead_letters.writer._RETRY_SECONDS", 0.001)
    store = DeadLetterStore(path, 10, MEBIBYTE)
    writer = DeadLetterWriter(store, get_logger("test"), DamagedFiles(not_damaged))
    real, failures = store.add, iter([True, True, False])

    def add(letters: list[DeadLetter]) -> int:
        if next(failures):
            raise sqlite3.OperationalError("database or disk is full")
        return real(letters)

    monkeypatch.setattr(store, "add", add)
    stored = asyncio.Event()
    writer.add(LETTER, stored.set)
    async with asyncio.timeout(10):
        await stored.wait()
    assert store.count() == 1
    assert (writer.stored, writer.error) == (1, None)
    await writer.close()


async def test_a_store_that_is_damaged_while_it_is_used_is_moved_aside_and_its_numbers_are_not_used_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_bridge.dead_letters.writer._RETRY_SECONDS", 0.001)
    store = DeadLetterStore(path, 100_000, 100 * MEBIBYTE)
    # More than SQLite keeps in memory.
    store.add([replace(LETTER, payload=bytes(300))] * 20_000)
    with path.open("r+b") as file:
        file.seek(MEBIBYTE)
        file.write(bytes(3 * MEBIBYTE))
    reported: list[DamagedFile] = []
    writer = DeadLetterWriter(store, get_logger("test"), DamagedFiles(reported.append))
    stored = asyncio.Event()
    writer.add(LETTER, stored.set)
    async with asyncio.timeout(20):
        await stored.wait()
    assert [(each.id, each.letter) for each in store.find_all()] == [(20_001, LETTER)]
    (damaged,) = reported
    assert (damaged.path, damaged.cause) == (path, "database disk image is malformed")
    assert damaged.moved_to is not None
    assert damaged.moved_to.stat().st_size > 4 * MEBIBYTE
    assert writer.error is None
    await writer.close()


async def test_a_store_that_was_removed_while_it_is_used_is_told_and_made_anew(path: Path) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    writer = DeadLetterWriter(store, get_logger("test"), DamagedFiles(not_damaged))

    async def error_after_check() -> str | None:
        await writer.check()
        return writer.error

    assert await error_after_check() is None
    for each in path.parent.iterdir():
        each.unlink()
    assert await error_after_check() == f"{path} was removed or replaced"
    assert await error_after_check() is None
    store.add([LETTER])
    assert [each.id for each in store.find_all()] == [2]
    await writer.close()


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
def test_what_is_in_the_place_of_a_file_is_told_by_its_name(path: Path, ending: str) -> None:
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.close()
    place = path.with_name(f"{path.name}{ending}")
    place.unlink(missing_ok=True)
    place.mkdir()
    with pytest.raises(DamagedFileError, match="it is no file") as caught:
        DeadLetterStore(path, 10, MEBIBYTE)
    assert caught.value.path == place


def test_a_database_of_something_else_is_told(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, cut INTEGER, other TEXT)")
    database.commit()
    database.close()
    with pytest.raises(DamagedFileError, match="it is no store of dead letters: no such column"):
        DeadLetterStore(path, 10, MEBIBYTE)


def test_reading_makes_and_changes_nothing(path: Path) -> None:
    assert open_to_read(path) is None
    assert not path.parent.exists()
    store = DeadLetterStore(path, 10, MEBIBYTE)
    store.add([LETTER])
    reader = open_to_read(path)
    assert reader is not None
    assert [each.letter for each in reader.find_all()] == [LETTER]
    store.add([LETTER])
    assert reader.count() == 2
    reader.close()
    store.close()
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    assert list(before) == [path.name]
    reader = open_to_read(path)
    assert reader is not None
    assert reader.count() == 2
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._database.execute("DELETE FROM dead_letters")
    reader.close()
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before
