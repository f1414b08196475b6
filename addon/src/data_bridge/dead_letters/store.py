"""The dead-letter store: what could not be delivered or used, in SQLite, until somebody replays or purges it."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_bridge.dead_letters.letter import Origin, OriginKind, Undelivered
from data_bridge.files import make_private, private
from data_bridge.reasons import Reason

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stored REAL NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    device TEXT NOT NULL,
    object TEXT NOT NULL,
    topic TEXT NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL
)
"""
# Files of earlier versions do not have these columns.
_ADDED_COLUMNS = {"cut": "INTEGER NOT NULL DEFAULT 0", "origin": "TEXT NOT NULL DEFAULT ''"}
_COLUMNS = "reason, detail, trace_id, device, object, topic, qos, retain, payload, attempts, cut, origin"
_INSERT = (
    f"INSERT INTO dead_letters (id, stored, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608 -- fixed names
    # A letter that failed again stays where it is, as old as it is.
    " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, attempts = excluded.attempts"
)
_BUSY_SECONDS = 10.0
_WAL_BYTES = 16 * 1024 * 1024
_DROPPED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A stored letter: its number, when it was stored (Unix seconds), and what it is."""

    id: int
    stored: float
    letter: Undelivered

    @property
    def is_input(self) -> bool:
        """Tell whether it is a message that no rule could use, and not a delivery."""
        return not self.letter.device


class DeadLetterStore:
    """One SQLite file. Several processes may use it at once; one object belongs to one thread at a time.

    It holds at most so many letters and, in all, so many bytes; when there are more the oldest go, inputs before
    deliveries: a flood of rubbish must not push out what was on its way to a device.
    """

    def __init__(self, path: Path, maximum_entries: int, maximum_bytes: int) -> None:
        """Open the file, and make it where there is none.

        Raises:
            OSError: the folder cannot be made.
            sqlite3.Error: the file is not a database of ours, or not writable.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_private(path)
        self._maximum_entries = maximum_entries
        self._maximum_bytes = maximum_bytes
        # The bridge writes on a thread of its own, which is not the one that opens and closes.
        self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode=WAL")
            # FULL syncs at each commit: the input is acknowledged on the strength of it.
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
            self._database.execute(_SCHEMA)
            self._add_columns()
            (self._page_bytes,) = self._database.execute("PRAGMA page_size").fetchone()
        except sqlite3.Error:
            self._database.close()
            raise

    def _add_columns(self) -> None:
        with closing(self._database.cursor()) as cursor:
            # Another process may be about to do the same.
            cursor.execute("BEGIN IMMEDIATE")
            known = {row[1] for row in cursor.execute("PRAGMA table_info(dead_letters)")}
            for name, definition in _ADDED_COLUMNS.items():
                if name not in known:
                    cursor.execute(f"ALTER TABLE dead_letters ADD COLUMN {name} {definition}")
            cursor.execute("COMMIT")

    def add(self, letters: Iterable[Undelivered]) -> int:
        """Store letters in one transaction; return how many others had to go for it.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        now = time.time()
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(
                    _INSERT,
                    [
                        (
                            each.number,
                            now,
                            each.reason.value,
                            each.detail,
                            each.trace_id,
                            each.device,
                            each.object,
                            each.topic,
                            each.qos,
                            each.retain,
                            each.payload,
                            each.attempts,
                            each.cut,
                            _encode_origin(each.origin),
                        )
                        for each in letters
                    ],
                )
                dropped = self._make_room(cursor)
                cursor.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        return dropped

    def _make_room(self, cursor: sqlite3.Cursor) -> int:
        (count,) = cursor.execute("SELECT count(*) FROM dead_letters").fetchone()
        dropped = self._drop_oldest(cursor, count - self._maximum_entries)
        while count - dropped > 1 and self._used_bytes(cursor) > self._maximum_bytes:
            dropped += self._drop_oldest(cursor, min(_DROPPED_AT_ONCE, (count - dropped + 1) // 2))
        return dropped

    @staticmethod
    def _drop_oldest(cursor: sqlite3.Cursor, surplus: int) -> int:
        dropped = 0
        for inputs in ("AND device = ''", ""):
            if dropped < surplus:
                cursor.execute(
                    "DELETE FROM dead_letters WHERE id IN"  # noqa: S608 -- fixed words
                    f" (SELECT id FROM dead_letters WHERE id > 0 {inputs} ORDER BY id LIMIT ?)",
                    (surplus - dropped,),
                )
                dropped += cursor.rowcount
        return dropped

    def _used_bytes(self, cursor: sqlite3.Cursor) -> int:
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        (free,) = cursor.execute("PRAGMA freelist_count").fetchone()
        used: int = (pages - free) * self._page_bytes
        return used

    def find_all(self, limit: int = 100, after: int = 0, reason: str | None = None) -> list[DeadLetter]:
        """Return letters by number, oldest first, those with a number above `after`."""
        rows = self._database.execute(
            f"SELECT id, stored, {_COLUMNS} FROM dead_letters"  # noqa: S608 -- fixed names
            " WHERE id > ? AND (? IS NULL OR reason = ?) ORDER BY id LIMIT ?",
            (after, reason, reason, limit),
        )
        return [_letter(row) for row in rows]

    def get(self, number: int) -> DeadLetter | None:
        """Return one letter."""
        row = self._database.execute(
            f"SELECT id, stored, {_COLUMNS} FROM dead_letters WHERE id = ?",  # noqa: S608 -- fixed names
            (number,),
        ).fetchone()
        return _letter(row) if row else None

    def find(self, trace_id: str, limit: int = 100) -> list[DeadLetter]:
        """Return the letters of one trace."""
        rows = self._database.execute(
            f"SELECT id, stored, {_COLUMNS} FROM dead_letters WHERE trace_id = ? ORDER BY id LIMIT ?",  # noqa: S608 -- fixed names
            (trace_id, limit),
        )
        return [_letter(row) for row in rows]

    def count(self) -> int:
        """Return how many letters there are."""
        (count,) = self._database.execute("SELECT count(*) FROM dead_letters").fetchone()
        return int(count)

    def remove(self, numbers: Sequence[int]) -> int:
        """Delete letters by number; return how many there were."""
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany("DELETE FROM dead_letters WHERE id = ?", [(number,) for number in numbers])
                removed = cursor.rowcount
                cursor.execute("COMMIT")
            except BaseException:
                # An open transaction would keep every later letter out.
                if self._database.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        return removed

    def purge(self, older_than: float | None = None) -> int:
        """Delete all letters, or those stored before the Unix time `older_than`; return how many."""
        cursor = self._database.execute(
            "DELETE FROM dead_letters WHERE ? IS NULL OR stored < ?", (older_than, older_than)
        )
        return cursor.rowcount

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _keep_private(path: Path) -> None:
    """Make the file before SQLite does, which gives its mode to the files beside it."""
    with open(path, "ab", opener=private):
        pass
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        # The command line may be somebody else, who is allowed to use the file and not to change its mode.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            make_private(each)


type _Row = tuple[int, float, str, str, str, str, str, str, int, int, bytes, int, int, str]


def _letter(row: _Row) -> DeadLetter:
    number, stored, reason, detail, trace_id, device, name, topic, qos, retain, payload, attempts, cut, origin = row
    letter = Undelivered(
        Reason(reason),
        detail,
        trace_id,
        device,
        name,
        topic,
        qos,
        bool(retain),
        payload,
        attempts,
        cut,
        origin=_decode_origin(origin),
    )
    return DeadLetter(number, stored, letter)


def _encode_origin(origin: Origin) -> str:
    return orjson.dumps(origin).decode() if origin.kind else ""


def _decode_origin(text: str) -> Origin:
    """Return what was encoded; what another version wrote means nothing."""
    try:
        document = orjson.loads(text)
        return Origin(OriginKind(document["kind"]), tuple(map(str, document["filters"])), document["path"])
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        return Origin()
