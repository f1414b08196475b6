"""Messages without a trace id that the broker sends again though they were delivered.

MQTT tells them apart from a reading that is merely repeated: the broker marks what it sent before (DUP) and keeps its
packet identifier (MQTT 5.0, sections 3.3.1.1 and 4.4). So a message is dropped only when it is marked, its packet
identifier, topic and payload are those of one that was delivered, and that was among the last ones that the broker may
have had on its way without an answer: older ones it cannot send again, and their identifiers may be in use anew.
"""

import contextlib
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

from data_bridge.damaged_files import DamagedFileError, unreadable
from data_bridge.files import make_private_folder, write_atomically
from data_bridge.pipeline.delivery.message import InFlightMessage

# Which delivery it was, counted from 1; packet identifier; digest.
_RECORD = Struct("<QH14s")
# More than can be counted in the life of a machine.
_LARGEST_NUMBER = 2**62
_DIGEST_BYTES = 14


def seed_of(topic: str) -> int:
    """Return what the digests of a topic's messages begin with."""
    # No topic holds a NUL, so that nothing else makes the same bytes.
    return crc32(topic.encode() + b"\0")


def digest_of(payload: bytes, seed: int) -> int:
    """Return what tells a message from another with its packet identifier: checksum and length.

    It costs a third of a cryptographic digest, and only readings of one topic and length that the broker confuses with
    each other are compared: those that differ in one place never have the same.
    """
    return crc32(payload, seed) | len(payload) << 32


class Redeliveries:
    """Remembers the last `window` messages that were delivered, in memory and in a file of fixed size.

    The file is not synced: it survives the process, and for the most part a power cut.
    """

    __slots__ = ("_delivered", "_file", "_number", "_path", "_records", "_window", "in_flight", "unwritten")

    def __init__(self, window: int, path: Path | None = None) -> None:
        """Make it for a broker that sends at most `window` messages without an answer."""
        # Public for the hot path. Messages in flight by packet identifier: a new message has taken that of the one
        # before, which is answered, and will not come again. And the identifiers and digests of what was delivered.
        self.in_flight: dict[int, InFlightMessage] = {}
        self.unwritten: list[tuple[int, int]] = []
        self._window = window
        self._path = path
        self._file: BinaryIO | None = None
        self._number = 0
        self._records: list[bytes] = []
        self._delivered: dict[int, tuple[int, int]] = {}

    def open(self) -> None:
        """Read what an earlier process left, and begin to write; before the first message, and best on a thread.

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
        """Tell whether a message that is marked as sent before was delivered then."""
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
        """Hand what was delivered since the last call to the operating system; before it is acknowledged.

        Raises:
            OSError: the disk is full or gone.
        """
        self._take_note()
        records, self._records = self._records[-self._window :], []
        if not records or self._file is None:
            return
        first = self._number - len(records) + 1
        # They lie in a ring: what does not fit before its end begins it anew.
        before_end = self._window - first % self._window
        for number, part in ((first, records[:before_end]), (first + before_end, records[before_end:])):
            if part:
                self._file.seek(self._place(number))
                self._file.write(b"".join(part))

    def close(self) -> None:
        """Write what is left and close the file."""
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
        raise DamagedFileError(path, "it holds no ring of what was delivered")
    return sorted(record for _, record in records)
