"""What the health command makes of the health file, the process that wrote it and its store."""

import os
from pathlib import Path

import orjson
import pytest

from data_bridge.pipeline.deduplication.boot_clock import BootTime
from data_bridge.runtime.health import STALE_SECONDS, Health, read_health, write_health

NOW = BootTime("this-boot", 1000.0)
WALL = 1_800_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "health.json"


def written(
    path: Path, *, connected: bool = True, store_error: str | None = None, connection_error: str | None = None
) -> None:
    write_health(
        path,
        connected=connected,
        connection_error=connection_error,
        store_error=store_error,
        content={},
        now=NOW,
        wall_clock=WALL,
    )


def judged(path: Path, seconds: float = 0.0, *, boot: str = NOW.boot, wall: float | None = None) -> Health:
    wall_clock = WALL + seconds if wall is None else wall
    return read_health(path, now=BootTime(boot, NOW.seconds + seconds), wall_clock=wall_clock)


def change(path: Path, **values: object) -> None:
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **values}))


def test_a_bridge_that_runs_is_connected_and_can_store_is_healthy(path: Path) -> None:
    written(path)
    assert judged(path, 5) == Health(True, "the bridge runs and is connected")


def test_a_file_that_is_too_old_tells_of_a_bridge_that_hangs(path: Path) -> None:
    written(path)
    assert judged(path, STALE_SECONDS - 1).healthy
    health = judged(path, STALE_SECONDS + 1)
    assert (health.healthy, "for 21 s" in health.text, "hangs" in health.text) == (False, True, True)


@pytest.mark.parametrize("wall", [WALL - 86400, WALL + 86400])
def test_a_clock_that_is_set_changes_nothing_on_a_machine_that_was_not_restarted(path: Path, wall: float) -> None:
    written(path)
    assert judged(path, 5, wall=wall).healthy


def test_a_file_dated_in_the_future_is_not_believed(path: Path) -> None:
    written(path)
    health = judged(path, 5, boot="another", wall=WALL - 3600)
    assert not health.healthy
    assert "3600 s in the future" in health.text


def test_a_file_of_an_earlier_start_of_the_machine_is_judged_by_its_date(path: Path) -> None:
    written(path)
    assert judged(path, boot="another", wall=WALL + 5).healthy
    assert not judged(path, boot="another", wall=WALL + STALE_SECONDS + 1).healthy


def test_a_process_that_has_ended_is_not_believed_to_run(path: Path) -> None:
    written(path)
    change(path, pid=2**22 + 1)
    health = judged(path, 1)
    assert not health.healthy
    assert f"process {2**22 + 1}" in health.text


def test_a_process_of_another_container_is_not_looked_for(path: Path) -> None:
    written(path)
    change(path, pid=2**22 + 1, pid_namespace="pid:[1]")
    assert judged(path, 1).healthy


def test_a_file_of_the_version_before_is_judged_by_its_date(path: Path) -> None:
    path.write_bytes(orjson.dumps({"ts": WALL, "pid": os.getpid(), "connected": True}))
    assert judged(path, 5).healthy
    assert not judged(path, STALE_SECONDS + 1).healthy


def test_a_connection_that_is_not_there_is_told_with_its_reason(path: Path) -> None:
    written(path, connected=False, connection_error="Connection refused")
    assert judged(path) == Health(False, "the bridge runs, but has no connection to the broker: Connection refused")


def test_a_store_that_cannot_store_is_told_with_its_reason(path: Path) -> None:
    written(path, store_error="database or disk is full")
    assert judged(path) == Health(False, "the bridge runs, but cannot store dead letters: database or disk is full")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"ts":"x"}', b'{"ts":1,"pid":[],"connected":true}', b"\xff", b'{"ts":1e400}']
)
def test_a_damaged_file_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert judged(path) == Health(False, f"{path} is damaged")


def test_a_file_that_cannot_be_read_is_told_with_its_reason(path: Path) -> None:
    assert judged(path) == Health(False, f"the bridge does not run: there is no {path}")
    path.mkdir()
    assert judged(path) == Health(False, f"{path} cannot be read: Is a directory")
