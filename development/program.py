"""One program of the product as a child process: where it logs, whether it lives, how it ends."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 20.0


class ProgramMissingError(RuntimeError):
    """A program that must be installed on this machine is not."""


class ProgramFailedError(RuntimeError):
    """A program ended, or did not come up, with what it printed last."""


def find_program(name: str) -> str:
    """Return the path of a system program; Debian keeps servers in /usr/sbin, which is not on everybody's PATH.

    Raises:
        ProgramMissingError: naming the command that installs it.
    """
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        raise ProgramMissingError(f"{name} is not installed. Run scripts/setup, which installs it or says how.")
    return found


@dataclass(slots=True)
class Program:
    """A child process whose output goes to the end of `log`; `environment` is added to our own."""

    name: str
    arguments: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    @property
    def process_id(self) -> int:
        """Return the id of the running process.

        Raises:
            ProgramFailedError: it was not started, or was stopped.
        """
        if self._process is None:
            raise ProgramFailedError(f"{self.name} is not running")
        return self._process.pid

    @property
    def started(self) -> bool:
        """Tell whether the process was started and not stopped since; it may have ended by itself."""
        return self._process is not None

    @property
    def running(self) -> bool:
        """Tell whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; a running one stays as it is."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # A group of its own, so that Ctrl-C in a terminal reaches only the one who stops the parts in order.
            self._process = subprocess.Popen(  # noqa: S603 -- the programs and their arguments are ours
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def said(self) -> str:
        """Return what the process printed since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def check(self) -> None:
        """Raise if the process is not alive.

        Raises:
            ProgramFailedError: with the exit status and the last lines it printed.
        """
        if self.running:
            return
        status = self._process.returncode if self._process is not None else None
        last = " / ".join(self.said().strip().splitlines()[-3:]) or "it printed nothing"
        raise ProgramFailedError(f"{self.name} ended with status {status}: {last} (all of it: {self.log})")

    def stop(self) -> int | None:
        """Ask the process to end (SIGTERM), wait for it, and return its exit status; None if it was not running."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int | None:
        if self._process is None:
            return None
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
