"""scripts/develop as a person uses it: start, look, interrupt, start again, and things that go wrong."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from development.leftovers import leftovers
from development.mosquitto import free_port
from development.stack import CHECKOUT


class Command:
    """A running scripts/develop without its demo, in a folder of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ports = ("--port", str(free_port()), "--broker-port", str(free_port()))
        self.process = subprocess.Popen(  # noqa: S603 -- ours
            [sys.executable, "-m", "development", "--directory", str(directory), "--no-demo", *ports],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def read_until(self, pattern: str) -> str:
        """Read what it prints until a line matches; the rest stays for later."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended before it said {pattern}: {self.said}")

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        return self.process.wait()


@contextmanager
def develop(directory: Path) -> Iterator[Command]:
    command = Command(directory)
    try:
        yield command
    finally:
        command.process.kill()
        command.end()
        for process in leftovers(directory):
            os.kill(process, signal.SIGKILL)


def part(directory: Path, module: str) -> int:
    """Return the process id of the part that runs a module."""
    return next(
        process for process in leftovers(directory) if module.encode() in Path(f"/proc/{process}/cmdline").read_bytes()
    )


def test_it_starts_is_interrupted_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    passwords = []
    for _ in range(2):
        with develop(tmp_path) as command:
            command.read_until(r"^ready in ")
            passwords.append(command.read_until(r"password").split()[-1])
            assert command.interrupt() == 0
            assert "Traceback" not in command.said
            assert list(leftovers(tmp_path)) == []
    assert passwords[0] == passwords[1]


def test_a_part_that_ends_is_named_and_ends_all(tmp_path: Path) -> None:
    with develop(tmp_path) as command:
        command.read_until(r"^  Bridge +ready")
        os.kill(part(tmp_path, "data_bridge"), signal.SIGKILL)
        assert command.end() == 1
        assert "scripts/develop: bridge ended with status -9" in command.said
        assert list(leftovers(tmp_path)) == []


def test_what_a_killed_start_left_behind_is_ended_by_the_next(tmp_path: Path) -> None:
    with develop(tmp_path) as killed:
        killed.read_until(r"^  Bridge +ready")
        killed.process.kill()
        killed.process.wait()
        assert len(list(leftovers(tmp_path))) >= 2
        with develop(tmp_path) as second:
            assert "processes that an earlier start" in second.read_until(r"left behind")
            second.read_until(r"^  Bridge +ready")
            assert second.interrupt() == 0


def test_an_interrupt_while_the_broker_starts_leaves_nothing(tmp_path: Path) -> None:
    with develop(tmp_path) as command:
        while not (tmp_path / "mosquitto" / "mosquitto.conf").exists():
            assert command.process.poll() is None
        assert command.interrupt() == 0
        assert list(leftovers(tmp_path)) == []
