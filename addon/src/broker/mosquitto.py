"""Mosquitto's files: the configuration, the users' hashed passwords and what each user may do."""

import base64
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.options import LogLevel

# What mosquitto_passwd 2.0 writes: PBKDF2 with HMAC-SHA-512. The cost is its default too: the broker has one thread, in
# which a thousand devices that come back at once wait for each other.
_ITERATIONS = 101
_SALT_BYTES = 12

_LOG_TYPES: Mapping[LogLevel, tuple[str, ...]] = {
    "debug": ("all",),
    "info": ("error", "warning", "notice", "information"),
    "warning": ("error", "warning"),
    "error": ("error",),
}

MAXIMUM_IN_FLIGHT = 100
"""Messages of QoS 1 and 2 that a client may have on their way to it without an acknowledgement."""

# What one client may cost the others. A message may be twice the bridge's own limit of 1 MB, so that a bigger one is
# counted there by reason before it is refused here by closing the sender's connection.
_LIMITS = (
    "max_packet_size 2097152",
    # Of the default of 20 a read brings a dozen at most, and the bridge spends a fifth of its time waking up for them.
    f"max_inflight_messages {MAXIMUM_IN_FLIGHT}",
    # A restarted bridge has seconds of small messages waiting, so bytes are the limit that counts. 0, no limit of the
    # number, makes Mosquitto 2.0.11 close the connection of a client that publishes what it may not.
    "max_queued_messages 1000000",
    "max_queued_bytes 67108864",
    "memory_limit 536870912",
    "persistent_client_expiration 14d",
    "allow_zero_length_clientid false",
)
_MAX_CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and TCP port that Mosquitto listens on; an empty address is every one."""

    port: int
    address: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines of mosquitto.conf."""
        # Before the first listener this limit would open one more, on port 1883.
        return f"listener {self.port} {self.address}".rstrip(), f"max_connections {_MAX_CONNECTIONS}"


@dataclass(frozen=True, slots=True)
class Access:
    """What one user may do, in the words of Mosquitto's acl_file: `readwrite basket/#`, see mosquitto.conf(5)."""

    username: str
    password: str
    permissions: tuple[str, ...]


def configuration(files: Path, persistence: Path, listeners: Iterable[Listener], log_level: LogLevel) -> str:
    """Return mosquitto.conf for a broker whose other files are in the folder `files`.

    `persistence` is the folder for retained messages and sessions, writable for the user Mosquitto runs as.
    """
    lines = [
        "per_listener_settings false",
        "allow_anonymous false",
        f"password_file {files / 'passwords'}",
        f"acl_file {files / 'access'}",
        "persistence true",
        f"persistence_location {persistence}/",
        # A power cut loses at most this many seconds of retained messages and sessions.
        "autosave_interval 60",
        *_LIMITS,
        # Standard output is buffered when it is a pipe.
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        *(f"log_type {kind}" for kind in _LOG_TYPES[log_level]),
        *(line for listener in listeners for line in listener.lines),
    ]
    return "\n".join(lines) + "\n"


def password_line(username: str, password: str) -> str:
    """Return one line of a password_file: a random salt and the hash, in the format of mosquitto_passwd(1).

    That program is not called for it: it cuts a password at its first colon and trims its blanks.
    """
    salt = os.urandom(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"{username}:$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def password_file(users: Iterable[Access]) -> str:
    """Return Mosquitto's password_file."""
    return "".join(password_line(user.username, user.password) for user in users)


def access_file(users: Iterable[Access]) -> str:
    """Return Mosquitto's acl_file; what it does not name is refused."""
    return "\n".join(
        "\n".join([f"user {user.username}", *(f"topic {permission}" for permission in user.permissions), ""])
        for user in users
    )
