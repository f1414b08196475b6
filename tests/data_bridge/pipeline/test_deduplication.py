"""Which messages were delivered lately: two generations, in memory and on disk."""

import asyncio
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.damaged_files import DamagedFile, DamagedFileError
from data_bridge.pipeline.deduplication.boot_clock import BootTime
from data_bridge.pipeline.deduplication.trace_files import GenerationFiles
from data_bridge.pipeline.deduplication.traces import Deduplication

TTL = 600.0


@dataclass
class Clock:
    """A clock that the test sets."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Machine:
    """A machine that the test lets run and restarts, and whose wall clock it sets."""

    wall: Clock = field(default_factory=Clock)
    boot: str = "first"
    seconds: float = 5.0

    def now(self) -> BootTime:
        return BootTime(self.boot, self.seconds)

    def run(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall.now += seconds

    def restart(self) -> None:
        self.boot += " again"
        self.seconds = 5.0


def opened(
    folder: Path, machine: Machine | None = None, steady: Clock | None = None, entries: int = 1000
) -> Deduplication:
    machine = machine or Machine()
    files = GenerationFiles(folder, TTL, machine.wall, machine.now)
    seen = Deduplication(entries, TTL, files, clock=steady or Clock())
    seen.open()
    return seen


def add(seen: Deduplication, *identities: str) -> None:
    seen.current.update(dict.fromkeys(identities, 1))
    seen.unwritten.extend(identities)


def files(folder: Path) -> list[Path]:
    return list(folder.glob("seen-*.txt"))


def knows(seen: Deduplication, identity: str) -> bool:
    return identity in seen.current or identity in seen.previous


async def test_an_identity_is_remembered_for_one_turn_and_forgotten_after_two() -> None:
    seen = Deduplication(100, TTL)
    add(seen, "a")
    await seen.rotate()
    assert knows(seen, "a")
    await seen.rotate()
    assert not knows(seen, "a")


async def test_turns_come_every_half_of_the_time_to_live() -> None:
    clock = Clock()
    seen = Deduplication(100, TTL, clock=clock)
    add(seen, "a")
    clock.now += TTL / 2 - 1
    await seen.rotate_when_due()
    assert set(seen.current) == {"a"}
    clock.now += 1
    await seen.rotate_when_due()
    assert (set(seen.current), set(seen.previous)) == (set(), {"a"})
    await seen.rotate_when_due()
    assert set(seen.previous) == {"a"}


async def test_memory_is_bounded() -> None:
    seen = Deduplication(10, TTL)
    for number in range(100):
        add(seen, str(number))
        await seen.rotate_when_due()
        assert len(seen) <= 10
    assert seen.early_rotations == 20


async def test_another_process_knows_what_was_written(tmp_path: Path) -> None:
    seen = opened(tmp_path)
    add(seen, "old")
    await seen.rotate()
    add(seen, "new", "가")
    seen.write()
    # Killed: never closed.
    after = opened(tmp_path)
    assert (set(after.previous), set(after.current)) == ({"old"}, {"new", "가"})
    await after.rotate()
    assert not knows(after, "old")
    assert knows(after, "new")
    assert len(files(tmp_path)) == 2


async def test_a_restart_does_not_make_a_generation_younger(tmp_path: Path) -> None:
    machine, steady = Machine(), Clock(5.0)
    seen = opened(tmp_path, machine, steady)
    add(seen, "a")
    seen.write()
    machine.run(TTL / 2 - 10)
    after = opened(tmp_path, machine, steady)
    await after.rotate_when_due()
    assert set(after.current) == {"a"}
    steady.now += 10
    await after.rotate_when_due()
    assert (set(after.current), set(after.previous)) == (set(), {"a"})


@pytest.mark.parametrize(("stopped", "known"), [(TTL / 2 + 1, True), (TTL - 1, True), (TTL + 1, False)])
def test_what_was_delivered_is_known_after_a_stop_for_as_long_as_without_one(
    tmp_path: Path, stopped: float, known: bool
) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    machine.run(stopped)
    after = opened(tmp_path, machine)
    assert knows(after, "a") is known
    assert set(after.current) == set()
    after.close()
    assert knows(opened(tmp_path, machine), "a") is known


async def test_the_age_of_both_generations_is_known_after_many_restarts(tmp_path: Path) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    machine.run(TTL / 2)
    await seen.rotate()
    seen.close()
    for _ in range(4):
        machine.run(TTL / 8 - 1)
        again = opened(tmp_path, machine)
        assert knows(again, "a")
        again.close()
    machine.run(5)
    assert not knows(opened(tmp_path, machine), "a")


def test_a_changed_modification_time_changes_nothing(tmp_path: Path) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    machine.run(TTL + 1)
    for path in tmp_path.iterdir():
        os.utime(path)
    assert not knows(opened(tmp_path, machine), "a")


@pytest.mark.parametrize("days", [-365, -1, 1, 365])
def test_a_clock_that_is_set_between_stop_and_start_changes_nothing(tmp_path: Path, days: int) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    machine.wall.now += days * 86400
    machine.run(TTL / 2 - 1)
    assert set(opened(tmp_path, machine).current) == {"a"}
    machine.run(TTL / 2 + 2)
    assert not knows(opened(tmp_path, machine), "a")


@pytest.mark.parametrize("days", [-365, 0, 365])
def test_what_an_earlier_start_of_the_machine_delivered_is_rather_kept_too_long(tmp_path: Path, days: int) -> None:
    # A machine without a clock of its own corrects its time only some time after its start.
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    machine.restart()
    machine.wall.now += days * 86400
    assert knows(opened(tmp_path, machine), "a")
    # Nor does it stay for ever.
    machine.run(TTL + 1)
    assert not knows(opened(tmp_path, machine), "a")


@pytest.mark.parametrize(("passed", "known"), [(TTL - 1, True), (TTL + 1, False), (-86400, True)])
def test_where_there_is_no_clock_since_the_start_the_date_counts(tmp_path: Path, passed: float, known: bool) -> None:
    machine = Machine(boot="")
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    assert [path.name for path in tmp_path.iterdir()] == [path.name for path in files(tmp_path)]
    machine.wall.now += passed
    assert knows(opened(tmp_path, machine), "a") is known


@pytest.mark.parametrize(("passed", "known"), [(TTL - 1, True), (TTL + 1, False)])
def test_a_folder_of_the_version_before_is_taken_over_by_its_dates(tmp_path: Path, passed: float, known: bool) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "a")
    seen.close()
    (tmp_path / "clock.json").unlink()
    machine.wall.now += passed
    assert knows(opened(tmp_path, machine), "a") is known


async def test_when_the_clock_went_back_between_two_generations_they_keep_their_order(tmp_path: Path) -> None:
    machine = Machine()
    seen = opened(tmp_path, machine)
    add(seen, "older")
    machine.wall.now -= 86400
    await seen.rotate()
    add(seen, "newer")
    seen.close()
    after = opened(tmp_path, machine)
    assert (set(after.previous), set(after.current)) == ({"older"}, {"newer"})
    # Nor does one from the future stay for ever.
    await after.rotate()
    assert not knows(after, "older")
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"boot":"first","began":[]}', b'{"boot":"first","began":{"x":1}}', b"\xff"]
)
def test_damaged_times_of_generations_are_told(tmp_path: Path, content: bytes) -> None:
    opened(tmp_path).close()
    (tmp_path / "clock.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"clock\.json cannot be used: it (holds|is) no"):
        opened(tmp_path)


def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    seen = opened(tmp_path)
    add(seen, "whole")
    seen.write()
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes() + b"hal")
    files_again = GenerationFiles(tmp_path, TTL)
    after = Deduplication(1000, TTL, files_again)
    assert after.open() == (DamagedFile(path, None, "its last line was cut off: 3 bytes are dropped"),)
    assert set(after.current) == {"whole"}
    add(after, "next")
    after.write()
    assert path.read_text() == "whole\nnext\n"


def test_an_identity_of_two_lines_is_not_read_as_two_others(tmp_path: Path) -> None:
    seen = opened(tmp_path)
    add(seen, "a", "b\nc", "d")
    seen.close()
    assert set(opened(tmp_path).current) == {"a", "d"}


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seen-notes.txt").write_text("mine")
    opened(tmp_path).close()
    assert (tmp_path / "seen-notes.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file's mode does not say who may read it")
async def test_only_its_owner_may_read_the_files(tmp_path: Path) -> None:
    seen = opened(tmp_path)
    await seen.rotate()
    seen.close()
    assert [stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)] == [0o600] * 2


def test_without_de_duplication_nothing_is_written(tmp_path: Path) -> None:
    seen = Deduplication(100, TTL, GenerationFiles(tmp_path / "seen", TTL), enabled=False)
    seen.open()
    assert not seen.persistent
    assert not (tmp_path / "seen").exists()


@given(st.lists(st.one_of(st.sampled_from(["turn", "kill"]), st.text("abcdef", min_size=1, max_size=3)), max_size=40))
def test_disk_and_memory_agree_after_any_history(history: list[str]) -> None:
    asyncio.run(_live_through(history))


async def _live_through(history: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seen = opened(folder)
        for step in history:
            if step == "turn":
                await seen.rotate()
            elif step == "kill":
                seen.write()
                before = (set(seen.current), set(seen.previous))
                seen = opened(folder)
                assert (set(seen.current), set(seen.previous)) == before
            else:
                add(seen, step)
        seen.close()


async def test_a_folder_that_is_gone_is_told_and_costs_only_the_memory_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "seen"
    seen = opened(folder)
    seen.current["u1"] = 1
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        await seen.rotate()
    assert (set(seen.previous), set(seen.current)) == ({"u1"}, set())
    seen.current["u2"] = 1
    seen.unwritten.append("u2")
    seen.write()
    folder.mkdir()
    await seen.rotate()
    assert set(seen.previous) == {"u2"}
    add(seen, "u3")
    seen.close()
    assert knows(opened(folder), "u3")
