"""A real Mosquitto of our own: its configuration, its users and its process."""

import os
import pwd
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from development.program import Program, ProgramFailedError, find_program

START_SECONDS = 10.0


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Files of a TLS listener, in PEM; with `require_client` a client must show a certificate of the same authority."""

    authority: Path
    certificate: Path
    key: Path
    require_client: bool = False

    def lines(self) -> list[str]:
        """Return the lines of a Mosquitto listener."""
        return [
            f"cafile {self.authority}",
            f"certfile {self.certificate}",
            f"keyfile {self.key}",
            f"require_certificate {str(self.require_client).lower()}",
        ]


@dataclass(slots=True)
class Mosquitto:
    """One Mosquitto process on the loopback interface; everything it writes is in `directory`.

    With `users` (name to password) nobody else may connect; without, everybody may. `settings` are further lines of
    mosquitto.conf before the listener, `listener_settings` after it. A context manager starts and stops it.
    """

    directory: Path
    port: int = 0
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificate: ServerCertificate | None = None
    persistence: bool = True
    settings: tuple[str, ...] = ()
    listener_settings: tuple[str, ...] = ()
    program: str = "mosquitto"
    process: Program = field(init=False)

    def __post_init__(self) -> None:
        """Name the process; it is not started."""
        arguments = (self.program, "-c", str(self.directory / "mosquitto.conf"))
        self.process = Program("mosquitto", arguments, self.directory / "mosquitto.log")

    @property
    def log(self) -> Path:
        """Return the file with the broker's own log of all its starts."""
        return self.process.log

    @property
    def process_id(self) -> int:
        """Return the running broker's process id."""
        return self.process.process_id

    @property
    def running(self) -> bool:
        """Tell whether the process is alive."""
        return self.process.running

    def start(self) -> None:
        """Start the broker, again on the same port after a stop, and return when it accepts connections.

        Raises:
            ProgramMissingError: Mosquitto is not installed.
            ProgramFailedError: it ended at once, for example because the port is taken; the text has its last lines.
        """
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_users()
        self.port = self.port or free_port()
        (self.directory / "mosquitto.conf").write_text("\n".join(self._configuration()) + "\n")
        self.process.arguments = (find_program(self.program), *self.process.arguments[1:])
        self.process.start()
        deadline = time.monotonic() + START_SECONDS
        # Its own word, not an open port: on a taken one somebody else would answer.
        while not re.search(r"mosquitto version \S+ running", self.process.said()):
            if not self.process.running or time.monotonic() > deadline:
                said = " / ".join(self.process.said().strip().splitlines()[-3:])
                self.kill()
                raise ProgramFailedError(f"mosquitto did not start on port {self.port}: {said}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask the broker to end, which saves its persistent sessions, and wait for it."""
        self.process.stop()

    def kill(self) -> None:
        """End the broker at once: what it had not saved is lost, as in a power cut."""
        self.process.kill()

    def restart(self) -> None:
        """Stop the broker and start it on the same port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        """Start the broker."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the broker."""
        self.stop()

    def _configuration(self) -> list[str]:
        lines = [
            # Started by root it would become the user mosquitto, who may not read our folder.
            f"user {pwd.getpwuid(0).pw_name}" if os.geteuid() == 0 else "# started by an ordinary user",
            "log_dest stderr",  # stdout is buffered when it is a file
            "log_timestamp_format %Y-%m-%dT%H:%M:%S",
            f"persistence {str(self.persistence).lower()}",
            f"persistence_location {self.directory}/",
            f"allow_anonymous {str(not self.users).lower()}",
            *([f"password_file {self.directory / 'users'}"] if self.users else []),
            *self.settings,
            f"listener {self.port} 127.0.0.1",
            *self.listener_settings,
        ]
        return lines + (self.certificate.lines() if self.certificate else [])

    def _write_users(self) -> None:
        if not self.users:
            return
        path = self.directory / "users"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}:{password}\n" for name, password in self.users.items()))
        # -U hashes in place, so that no password is ever an argument that other users of the machine can list.
        subprocess.run([find_program("mosquitto_passwd"), "-U", str(path)], check=True, capture_output=True)  # noqa: S603 -- ours
