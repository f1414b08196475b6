"""Which messages were delivered lately: two generations, in memory and on disk."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.layers.deduplication import Deduplication


def add(seen: Deduplication, *identities: str) -> None:
    seen.current.update(identities)
    seen.unwritten.extend(identities)


def knows(seen: Deduplication, identity: str) -> bool:
    return identity in seen.current or identity in seen.previous


def test_an_identity_is_remembered_for_one_turn_and_forgotten_after_two() -> None:
    seen = Deduplication(100)
    add(seen, "a")
    seen.turn()
    assert knows(seen, "a")
    seen.turn()
    assert not knows(seen, "a")


def test_memory_is_bounded() -> None:
    seen = Deduplication(10)
    for number in range(100):
        add(seen, str(number))
        seen.turn_if_full()
        assert len(seen) <= 10
    assert seen.early_turns == 20


def test_another_process_knows_what_was_written(tmp_path: Path) -> None:
    seen = Deduplication(100, tmp_path)
    seen.open()
    add(seen, "old")
    seen.turn()
    add(seen, "new", "가")
    seen.write()
    # Killed: never closed.
    after = Deduplication(100, tmp_path)
    after.open()
    assert (after.previous, after.current) == ({"old"}, {"new", "가"})
    after.turn()
    assert not knows(after, "old")
    assert knows(after, "new")


def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    seen = Deduplication(100, tmp_path)
    seen.open()
    add(seen, "whole")
    seen.write()
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes() + b"hal")
    after = Deduplication(100, tmp_path)
    after.open()
    assert after.current == {"whole"}
    add(after, "next")
    after.write()
    assert path.read_text() == "whole\nnext\n"


def test_without_de_duplication_nothing_is_written(tmp_path: Path) -> None:
    seen = Deduplication(100, tmp_path / "seen", enabled=False)
    seen.open()
    assert not seen.persistent
    assert not (tmp_path / "seen").exists()


@given(st.lists(st.one_of(st.just("turn"), st.just("kill"), st.text("abcdef", min_size=1, max_size=3)), max_size=40))
def test_disk_and_memory_agree_after_any_history(history: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = Deduplication(1000, folder)
        seen.open()
        for step in history:
            if step == "turn":
                seen.turn()
            elif step == "kill":
                seen.write()
                before = seen.current | seen.previous
                seen = Deduplication(1000, folder)
                seen.open()
                assert seen.current | seen.previous == before
            else:
                add(seen, step)
        seen.close()


def test_a_folder_that_is_gone_is_told_and_costs_only_the_memory_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    seen = Deduplication(100, folder)
    seen.open()
    seen.current.add("u1")
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        seen.turn()
    assert (seen.previous, seen.current) == ({"u1"}, set())
    seen.current.add("u2")
    seen.unwritten.append("u2")
    seen.write()
    folder.mkdir()
    seen.turn()
    assert seen.previous == {"u2"}
    assert sorted(path.name for path in folder.iterdir())
    seen.close()
