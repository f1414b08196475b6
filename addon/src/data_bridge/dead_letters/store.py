"""The dead-letter store: failed deliveries and rejected inputs in SQLite, until they are replayed or purged."""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_bridge.damaged_files import DamagedFileError, DamagedFiles, check_file, reason_of, unreadable
from data_bridge.dead_letters.letter import DeadLetter, Origin, OriginKind
from data_bridge.files import make_private, make_private_folder, private
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
    # A letter that failed again keeps its number and time.
    " ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, attempts = excluded.attempts"
)
_BUSY_SECONDS = 10.0
_WAL_BYTES = 16 * 1024 * 1024
_DROPPED_AT_ONCE = 100
# The least space that SQLite needs to begin a transaction.
_LEAST_FREE_BYTES = 128 * 1024
_JOURNAL = "-wal"
_COMPANIONS = (_JOURNAL, "-shm")
# The first bytes of a write-ahead log, of either order of its checksums' bytes.
_JOURNAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DeadLetterStoreError(Exception):
    """The store cannot be used now, though its file is not damaged; the text gives the cause."""


class DeadLetterStoreGoneError(DeadLetterStoreError):
    """The file was removed or replaced while it was in use."""


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A stored letter with its number and the time when it was stored (Unix seconds)."""

    id: int
    stored: float
    letter: DeadLetter

    @property
    def is_input(self) -> bool:
        """Return whether it is a rejected input, and not a delivery."""
        return not self.letter.device


class DeadLetterReader:
    """The letters of a database, which is closed with it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def find_all(self, limit: int = 100, after: int = 0, reason: str | None = None) -> list[StoredDeadLetter]:
        """Return letters by number, oldest first, those with a number above `after`."""
        rows = self._database.execute(
            f"SELECT id, stored, {_COLUMNS} FROM dead_letters"  # noqa: S608 -- fixed names
            " WHERE id > ? AND (? IS NULL OR reason = ?) ORDER BY id LIMIT ?",
            (after, reason, reason, limit),
        )
        return [_letter(row) for row in rows]

    def get(self, number: int) -> StoredDeadLetter | None:
        """Return one letter."""
        row = self._database.execute(
            f"SELECT id, stored, {_COLUMNS} FROM dead_letters WHERE id = ?",  # noqa: S608 -- fixed names
            (number,),
        ).fetchone()
        return _letter(row) if row else None

    def find(self, trace_id: str, limit: int = 100) -> list[StoredDeadLetter]:
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

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def open_to_read(path: Path) -> DeadLetterReader | None:
    """Return the letters of a file that belongs to another process or user; None where there is no file.

    Nothing is made or changed: the bridge's user could not use files that root makes.

    Raises:
        DeadLetterStoreError: it cannot be read.
    """
    try:
        if not path.exists():
            return None
        # Without a journal no process has it open; SQLite would make one to look whether there is one.
        mode = "mode=ro" if path.with_name(f"{path.name}{_JOURNAL}").exists() else "immutable=1"
        database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", timeout=_BUSY_SECONDS, uri=True)
        try:
            _check_columns(database, path)
        except BaseException:
            database.close()
            raise
    except DamagedFileError as error:
        raise DeadLetterStoreError(f"the dead letters in {path} cannot be read: {error.cause}") from error
    except OSError as error:
        raise DeadLetterStoreError(f"the dead letters in {path} cannot be read: {reason_of(error)}") from error
    except sqlite3.Error as error:
        raise DeadLetterStoreError(f"the dead letters in {path} cannot be read: {error}") from error
    return DeadLetterReader(database)


class DeadLetterStore(DeadLetterReader):
    """One SQLite file. Several processes may use it at once; one object belongs to one thread at a time.

    It holds at most so many letters and, in all, so many bytes; when there are more the oldest go, inputs before
    deliveries: a flood of unusable input must not displace deliveries.
    """

    def __init__(self, path: Path, maximum_entries: int, maximum_bytes: int) -> None:
        """Open the file, and make it where there is none.

        Raises:
            DamagedFileError: the file, or one that belongs to it, is damaged or cannot be read.
            DeadLetterStoreError: it cannot be used for another reason.
        """
        self.path = path
        self._maximum_entries = maximum_entries
        self._maximum_bytes = maximum_bytes
        self._last = 0
        super().__init__(self._open())

    def _open(self) -> sqlite3.Connection:
        path = self.path
        try:
            make_private_folder(path.parent)
            _keep_private(path)
            # The bridge writes on a thread of its own, which is not the one that opens and closes.
            database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise DeadLetterStoreError(f"the dead letters in {path} cannot be used: {error}") from error
        try:
            database.execute("PRAGMA journal_mode=WAL")
            # FULL syncs at each commit: the input is acknowledged on the strength of it.
            database.execute("PRAGMA synchronous=FULL")
            database.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
            database.execute(_SCHEMA)
            _add_columns(database)
            _check_columns(database, path)
            self._identity = _identity(path)
            (self._page_bytes,) = database.execute("PRAGMA page_size").fetchone()
            (last,) = database.execute("SELECT max(id) FROM dead_letters").fetchone()
            self._last = max(self._last, last or 0)
        except sqlite3.Error as error:
            database.close()
            if is_damage(error):
                raise DamagedFileError(path, str(error), _COMPANIONS) from error
            raise DeadLetterStoreError(f"the dead letters in {path} cannot be used: {error}") from error
        except BaseException:
            database.close()
            raise
        return database

    def reopen(self, damaged: DamagedFiles, error: Exception) -> None:
        """Open the file again, after moving it aside if `error` or the opening shows damage.

        Raises:
            DamagedFileError: it cannot be moved.
            DeadLetterStoreError: the file that is there now cannot be used.
        """
        self._database.close()
        if isinstance(error, sqlite3.Error) and is_damage(error) and self.path.exists():
            damaged.move(DamagedFileError(self.path, str(error), _COMPANIONS))
        self._database = damaged.run(self._open)
        # A number that is still being replayed must not become that of another letter.
        with closing(self._database.cursor()) as cursor:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'dead_letters'")
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('dead_letters', ?)", (self._last,))

    def check(self) -> None:
        """Check that a letter could be stored now.

        Raises:
            DeadLetterStoreError: why it could not.
            sqlite3.Error: the same.
        """
        if _identity(self.path) != self._identity:
            raise DeadLetterStoreGoneError(f"{self.path} was removed or replaced")
        if shutil.disk_usage(self.path.parent).free < _LEAST_FREE_BYTES:
            raise DeadLetterStoreError("no space is left on the disk")
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("ROLLBACK")

    def add(self, letters: Iterable[DeadLetter]) -> int:
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
                (last,) = cursor.execute("SELECT max(id) FROM dead_letters").fetchone()
                dropped = self._make_room(cursor)
                cursor.execute("COMMIT")
                self._last = max(self._last, last or 0)
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


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means a damaged file, and not a temporary condition."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def _add_columns(database: sqlite3.Connection) -> None:
    with closing(database.cursor()) as cursor:
        # Another process may be about to do the same.
        cursor.execute("BEGIN IMMEDIATE")
        known = {row[1] for row in cursor.execute("PRAGMA table_info(dead_letters)")}
        for name, definition in _ADDED_COLUMNS.items():
            if name not in known:
                cursor.execute(f"ALTER TABLE dead_letters ADD COLUMN {name} {definition}")
        cursor.execute("COMMIT")


def _check_columns(database: sqlite3.Connection, path: Path) -> None:
    try:
        database.execute(f"SELECT id, stored, {_COLUMNS} FROM dead_letters LIMIT 1").fetchall()  # noqa: S608 -- fixed names
        database.execute("SELECT count(*) FROM dead_letters").fetchall()
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise
        raise DamagedFileError(path, f"it is no store of dead letters: {error}", _COMPANIONS) from error


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file, None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _keep_private(path: Path) -> None:
    """Make the file before SQLite does, which gives its mode to the files beside it.

    Raises:
        DamagedFileError: it, or a file beside it, is no file that can be read and written, or no journal.
        OSError: there is none, and it cannot be made.
    """
    for each in (path, *(path.with_name(f"{path.name}{ending}") for ending in _COMPANIONS)):
        check_file(each)
        try:
            with each.open("r+b") as file:
                first = file.read(len(_JOURNAL_MAGIC[0]))
            # The command line may run as another user, with access to the file but not to its mode.
            with contextlib.suppress(PermissionError):
                make_private(each)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unreadable(each, error) from error
        if each.name.endswith(_JOURNAL) and first and first not in _JOURNAL_MAGIC:
            raise DamagedFileError(each, "it is no journal of SQLite")
    with open(path, "ab", opener=private):
        pass


type _Row = tuple[int, float, str, str, str, str, str, str, int, int, bytes, int, int, str]


def _letter(row: _Row) -> StoredDeadLetter:
    number, stored, reason, detail, trace_id, device, name, topic, qos, retain, payload, attempts, cut, origin = row
    letter = DeadLetter(
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
    return StoredDeadLetter(number, stored, letter)


def _encode_origin(origin: Origin) -> str:
    return orjson.dumps(origin).decode() if origin.kind else ""


def _decode_origin(text: str) -> Origin:
    """Return the decoded origin; an unknown form becomes an unknown origin."""
    try:
        document = orjson.loads(text)
        return Origin(OriginKind(document["kind"]), tuple(map(str, document["filters"])), document["path"])
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
        return Origin()
