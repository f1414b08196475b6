"""Redeliveries of messages without a trace id that were delivered before.

MQTT distinguishes them from repeated readings: the broker marks a redelivery (DUP) and keeps its packet identifier
(MQTT 5.0, sections 3.3.1.1 and 4.4). A message is dropped only when it is marked, and its packet identifier, topic and
payload are those of a delivered one among the last that the broker may have had in flight: it cannot send older ones
again, and their identifiers may be in use for other messages.
"""

import contextlib
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

from data_bridge.damaged_files import DamagedFileError, unreadable
from data_bridge.files import make_private_folder, write_atomically
from data_bridge.pipeline.delivery.message import InFlightMessage

# Number of the delivery from 1; packet identifier; digest.
_RECORD = Struct("<QH14s")
# More than a machine can count.
_LARGEST_NUMBER = 2**62
_DIGEST_BYTES = 14


def seed_of(topic: str) -> int:
    """Return the first value of the checksums of a topic's messages."""
    # A topic has no NUL, so that topic and payload have an unambiguous border.
    return crc32(topic.encode() + b"\0")


def digest_of(payload: bytes, seed: int) -> int:
    """Return checksum and length of a message, which are compared between messages with one packet identifier.

    It costs a third of a cryptographic digest. Only messages of one topic and length could be confused, and payloads
    that differ in one place never have the same checksum.
    """
    return crc32(payload, seed) | len(payload) << 32


class Redeliveries:
    """Remembers the last `window` messages that were delivered, in memory and in a file of fixed size.

    The file is not synced: it survives the process, and for the most part a power cut.
    """

    __slots__ = ("_delivered", "_file", "_number", "_path", "_records", "_window", "in_flight", "unwritten")

    def __init__(self, window: int, path: Path | None = None) -> None:
        """`window` is the largest number of unacknowledged messages that the broker sends."""
        # Public for the hot path. Messages in flight by packet identifier: a new message replaces the earlier,
        # which is acknowledged and is not sent again. And identifiers and digests of delivered messages.
        self.in_flight: dict[int, InFlightMessage] = {}
        self.unwritten: list[tuple[int, int]] = []
        self._window = window
        self._path = path
        self._file: BinaryIO | None = None
        self._number = 0
        self._records: list[bytes] = []
        self._delivered: dict[int, tuple[int, int]] = {}

    def open(self) -> None:
        """Read the records of an earlier process, and open the file; before the first message, and best on a thread.

        Raises:
            DamagedFileError: the file cannot be used.
            OSError: it cannot be written to.
        """
        if self._path is None:
            return
        make_private_folder(self._path.parent)
        for number, identifier, record in _read(self._path):
            self._delivered[identifier] = (int.from_bytes(record), number)
            self._number = number
        slots = bytearray(self._window * _RECORD.size)
        for identifier, (digest, number) in self._delivered.items():
            if self._number - number < self._window:
                _RECORD.pack_into(slots, self._place(number), number, identifier, digest.to_bytes(_DIGEST_BYTES))
        # The window may have changed, so the file is made anew beside the old one.
        write_atomically(self._path, bytes(slots))
        self._file = self._path.open("r+b", buffering=0)

    def is_redelivered(self, packet_identifier: int, digest: int) -> bool:
        """Return whether a message that is marked as a redelivery was delivered before."""
        self._take_note()
        known = self._delivered.get(packet_identifier)
        return known is not None and known[0] == digest and self._number - known[1] < self._window

    def _take_note(self) -> None:
        for identifier, digest in self.unwritten:
            self._number += 1
            self._delivered[identifier] = (digest, self._number)
            self._records.append(_RECORD.pack(self._number, identifier, digest.to_bytes(_DIGEST_BYTES)))
        self.unwritten.clear()

    def write(self) -> None:
        """Pass the new records to the operating system, before their messages are acknowledged.

        Raises:
            OSError: the disk is full or removed.
        """
        self._take_note()
        records, self._records = self._records[-self._window :], []
        if not records or self._file is None:
            return
        first = self._number - len(records) + 1
        # The file is a ring: records beyond its end continue at its beginning.
        before_end = self._window - first % self._window
        for number, part in ((first, records[:before_end]), (first + before_end, records[before_end:])):
            if part:
                self._file.seek(self._place(number))
                self._file.write(b"".join(part))

    def close(self) -> None:
        """Write the remaining records and close the file."""
        with contextlib.suppress(OSError):
            self.write()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _place(self, number: int) -> int:
        return number % self._window * _RECORD.size


def _read(path: Path) -> list[tuple[int, int, bytes]]:
    """Return the records of a ring in the order of their numbers.

    Raises:
        DamagedFileError: it cannot be read, or is no such ring: a number is in a wrong place.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(path, error) from error
    slots, rest = divmod(len(data), _RECORD.size)
    records = [] if rest else [each for each in enumerate(_RECORD.iter_unpack(data)) if each[1][0]]
    if rest or any(number > _LARGEST_NUMBER or number % slots != place for place, (number, _, _) in records):
        raise DamagedFileError(path, "it holds no ring of delivered messages")
    return sorted(record for _, record in records)
