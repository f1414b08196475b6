"""Arguments that cannot be meant, and outputs that do not take what is printed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_bridge.cli.main import main
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import DeadLetterStore
from data_bridge.reasons import Reason
from tests.data_bridge.conftest import EXAMPLES

HUGE = "9" * 20
LETTER = DeadLetter(Reason.REFUSED, "0x97", "u1", "VM-A", "GPS.Latitude", "t", 1, False, b"1", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLES, tmp_path / "bridge")
    return tmp_path / "bridge"


def store(folder: Path, letters: int) -> Path:
    path = folder / "data" / "dead-letters.sqlite"
    opened = DeadLetterStore(path, 10_000, 64 * 1024 * 1024)
    opened.add([LETTER] * letters)
    opened.close()
    return path


def run(folder: Path, *arguments: str | bytes, redirected: str = "") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "data_bridge", *arguments, "--config", str(folder / "bridge.yaml")]
    if redirected:
        command = ["/bin/bash", "-c", f'set -o pipefail; "$@" {redirected}', "bash", *command]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603 -- our own program


def count(folder: Path) -> int:
    opened = DeadLetterStore(folder / "data" / "dead-letters.sqlite", 10_000, 64 * 1024 * 1024)
    try:
        return opened.count()
    finally:
        opened.close()


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what is said of arguments that cannot be meant."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--config", str(folder / "bridge.yaml")])
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("hours", ["nan", "-1", "0", "inf", "-inf", "1e400", "null", "", "0x10", "1_0"])
def test_purge_takes_only_a_finite_and_positive_number_of_hours(
    folder: Path, capsys: pytest.CaptureFixture[str], hours: str
) -> None:
    store(folder, 3)
    said = refused(folder, capsys, "dead-letters", "purge", f"--older-than={hours}")
    assert f"argument --older-than: must be a finite number of hours above 0, not {hours!r}" in said
    assert count(folder) == 3


def test_purge_deletes_what_is_older(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(folder, 3)
    config = ["--config", str(folder / "bridge.yaml")]
    assert main(["dead-letters", "purge", "--older-than", "0.5", *config]) == 0
    assert (capsys.readouterr().out, count(folder)) == ("0 purged\n", 3)
    assert main(["dead-letters", "purge", "--all", *config]) == 0
    assert (capsys.readouterr().out, count(folder)) == ("3 purged\n", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--limit", HUGE),
        ("list", "--after", HUGE),
        ("list", "--limit=-1"),
        ("show", HUGE),
        ("show", "0"),
        ("show", "1_0"),
        ("show", "x" * 5000),
        ("show", "9" * 5000),
        ("replay", HUGE),
        ("purge", HUGE),
        ("purge", "1", f"-{HUGE}"),
    ],
)
def test_a_number_that_no_letter_can_have_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    store(folder, 1)
    said = refused(folder, capsys, "dead-letters", *arguments)
    assert "must be a whole number from" in said
    assert len(said) < 250
    assert count(folder) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("try", b"\xff\xfe"),
        ("try", "{}", "--topic", b"a/\xff"),
        ("dead-letters", "list", "--reason", b"\xff"),
        ("dead-letters", "show", b"\xff"),
        (b"\xff",),
    ],
)
def test_bytes_that_are_no_utf_8_in_an_argument_are_a_sentence(
    folder: Path, arguments: tuple[str | bytes, ...]
) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr or b"invalid choice" in done.stderr or b"whole number" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_configuration_whose_name_is_no_utf_8_is_a_sentence(tmp_path: Path) -> None:
    command: list[str | bytes] = [sys.executable, "-m", "data_bridge", "check", "--config"]
    command.append(os.fsencode(tmp_path) + b"/\xff.yaml")
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603 -- our own program
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize("command", [("dead-letters", "list", "--limit", "5000"), ("check", "--show-settings")])
def test_a_pipe_that_ended_early_is_no_error(folder: Path, command: tuple[str, ...]) -> None:
    store(folder, 5000)
    done = run(folder, *command, redirected="| head -n 1")
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 1)
    assert b"data directory" not in done.stderr
    assert b"Broken pipe" not in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", [("dead-letters", "list"), ("dead-letters", "show", "1"), ("check",), ("health",), ("--version",)]
)
def test_a_full_standard_output_is_told_as_what_it_is(folder: Path, command: tuple[str, ...]) -> None:
    store(folder, 3)
    done = run(folder, *command, redirected=">/dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == b"the standard output cannot be written: No space left on device"
    assert b"data directory" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_nothing_is_made_where_there_is_no_store(folder: Path) -> None:
    for arguments in (("list",), ("show", "1"), ("purge", "--all")):
        run(folder, "dead-letters", *arguments)
    assert not (folder / "data").exists()
    assert run(folder, "dead-letters", "list").stderr == b"0 dead letters in all\n"


def test_a_damaged_store_is_told_with_its_cause(folder: Path) -> None:
    path = store(folder, 1)
    path.write_bytes(b"no database " * 1000)
    done = run(folder, "dead-letters", "list")
    assert done.returncode == 2
    assert done.stderr == f"the dead letters in {path} cannot be read: file is not a database\n".encode()
    assert path.read_bytes().startswith(b"no database")


def test_a_listing_by_root_leaves_the_store_to_its_owner(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may use what another user owns")
    owner = 65534
    path = store(folder, 2)
    os.chown(path.parent, owner, owner)
    os.chown(path, owner, owner)
    for arguments in (("list",), ("show", "1"), ("purge", "1")):
        assert run(folder, "dead-letters", *arguments).returncode == 0
    assert {each.name: each.stat().st_uid for each in path.parent.iterdir()} == {
        each.name: owner for each in path.parent.iterdir()
    }
