"""What scripts/develop says when something is in its way: a sentence, not a traceback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from development.mosquitto import free_port
from development.printer_replay import recorded_messages
from development.program import Program, ProgramFailedError, ProgramMissingError, find_program
from development.stack import CHECKOUT, Stack


def develop(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "development", "--directory", str(directory), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 -- ours


@pytest.mark.parametrize("option", ["--port", "--broker-port"])
def test_a_busy_port_is_named_with_the_option_that_changes_it(tmp_path: Path, option: str) -> None:
    ports = {"--port": free_port(), "--broker-port": free_port()}
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports[option] = other.getsockname()[1]
        ended = develop(tmp_path, *(str(word) for pair in ports.items() for word in pair))
    assert ended.returncode == 1
    assert (
        f"port {ports[option]} cannot be used (address already in use); choose another with {option}." in ended.stderr
    )
    assert "Traceback" not in ended.stderr


def test_a_second_start_beside_a_running_one_is_refused(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415 -- only here

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = develop(tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "scripts/develop: scripts/develop is already running in this checkout; stop it first.\n"


@pytest.mark.parametrize("port", ["0", "99999", "-3", "http"])
def test_what_is_no_port_is_refused(tmp_path: Path, port: str) -> None:
    ended = develop(tmp_path, f"--port={port}")
    assert ended.returncode == 2
    assert f"argument --port: '{port}' is no port: a number from 1 to 65535" in ended.stderr


def test_a_reset_leaves_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "mosquitto").mkdir()
    (tmp_path / "photos").symlink_to(tmp_path)
    Stack.forget(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "photos"]


def test_a_missing_program_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(ProgramMissingError, match=r"no-such-broker is not installed\. Run scripts/setup"):
        find_program("no-such-broker")


def test_a_program_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = Program("bridge", (sys.executable, "-c", "raise SystemExit('catalog missing')"), tmp_path / "bridge.log")
    program.start()
    os.waitid(os.P_PID, program.process_id, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProgramFailedError, match="bridge ended with status 1: catalog missing"):
        program.check()


def test_the_replay_holds_only_what_the_printer_said() -> None:
    messages = list(recorded_messages())
    assert {message.topic.split("/")[0] for message in messages} == {"octoprint", "camera"}
    assert not [message for message in messages if message.topic.endswith("/cmd")]
    payloads = [json.loads(message.payload) for message in messages]
    assert [payload["state_id"] for payload in payloads if "state_id" in payload][:2] == ["STARTING", "PRINTING"]
    assert sum("temperatures" in payload for payload in payloads) > 100
