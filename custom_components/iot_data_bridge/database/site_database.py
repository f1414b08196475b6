"""The SQLite file of one site, read and written away from Home Assistant's loop."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util import dt as dt_util
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from ..const import DOMAIN, LOGGER
from ..damaged_files import MOST_DAMAGED, damaged_files, damaged_path
from .tables import METADATA

# SQLite's own default, which a backup switches off for its time.
CHECKPOINT_PAGES = 1000


class SiteDatabase:
    """The database of a site. Jobs run one after another in an executor, each in a transaction of its own.

    The write-ahead log is written through to the disk at each commit: a price that was answered for, or a session that
    ended, survives a power cut.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        self._hass = hass
        self._path = database_path(hass, entry_id)
        self._engine: Engine | None = None
        self._jobs: set[asyncio.Future[Any]] = set()
        self._failing = False

    async def async_open(self) -> None:
        """Open the file, or make it; a damaged one is moved aside.

        Raises:
            HomeAssistantError: the file can be neither opened nor made.
        """
        self._engine = await self._hass.async_add_executor_job(_open, self._path, dt_util.utcnow())

    async def async_close(self) -> None:
        """Close the file after the jobs that were begun; jobs of later are refused."""
        engine, self._engine = self._engine, None
        if self._jobs:
            await asyncio.wait(self._jobs)
        if engine is not None:
            await self._hass.async_add_executor_job(engine.dispose)

    async def async_damaged_files(self) -> list[Path]:
        """Return the damaged files that were moved aside and not deleted since, oldest first."""
        return await self._hass.async_add_executor_job(damaged_files, self._path)

    async def async_run[ResultT](self, job: Callable[[Connection], ResultT]) -> ResultT:
        """Return the result of a job, which writes all of its changes or none.

        Raises:
            HomeAssistantError: the database cannot be read or written, or is closed.
        """
        engine = self._engine
        if engine is None:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="database_closed")

        def run() -> ResultT:
            with engine.begin() as connection:
                return job(connection)

        running = self._hass.async_add_executor_job(run)
        self._jobs.add(running)
        running.add_done_callback(self._jobs.discard)
        try:
            result = await running
        except SQLAlchemyError as error:
            if not self._failing:
                # A full disk fails every job: it is said once until one succeeds.
                self._failing = True
                _log_failure(self._path, error)
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="database_failed") from error
        self._failing = False
        return result

    async def async_begin_backup(self) -> None:
        """Bring the file itself up to date, and leave it as it is until `async_end_backup`.

        Meanwhile writes go to the write-ahead log, of which a copy is sound wherever it ends.
        """
        await self.async_run(_begin_backup)

    async def async_end_backup(self) -> None:
        """Let the file change again."""
        await self.async_run(_end_backup)


def database_path(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the database of a site is."""
    return Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.{entry_id}.db"))


def remove_database(path: Path) -> None:
    """Delete a closed database, and the damaged ones that were moved aside."""
    for file in (path, *damaged_files(path)):
        _delete(file)


def _open(path: Path, now: datetime) -> Engine:
    try:
        try:
            return _open_sound(path)
        except OperationalError:
            # A file that cannot be opened, or a full disk: its content may be sound.
            raise
        except DatabaseError as error:
            aside = _move_aside(path, now)
            for older in damaged_files(path)[:-MOST_DAMAGED]:
                _delete(older)
            LOGGER.error("The database %s is damaged, and was moved to %s: %s", path, aside, error.orig)
            return _open_sound(path)
    except (SQLAlchemyError, OSError) as error:
        _log_failure(path, error)
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="database_failed") from error


def _open_sound(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    # One connection: two writers would only wait for each other, and settings of a backup are the connection's.
    engine = create_engine(f"sqlite:///{path}", pool_size=1, max_overflow=0)
    event.listen(engine, "connect", _set_up)
    try:
        with engine.begin() as connection:
            _check(connection)
            METADATA.create_all(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _check(connection: Connection) -> None:
    statement = "PRAGMA quick_check(1)"
    found = connection.exec_driver_sql(statement).scalar()
    if found != "ok":
        raise DatabaseError(statement, None, sqlite3.DatabaseError(str(found)))


def _set_up(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_backup(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.exec_driver_sql("PRAGMA wal_autocheckpoint = 0")
    _driver(connection).setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)


def _end_backup(connection: Connection) -> None:
    connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    _driver(connection).setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _delete(path: Path) -> None:
    for file in _files_of(path):
        file.unlink(missing_ok=True)


def _files_of(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm")]


def _move_aside(path: Path, now: datetime) -> Path:
    aside = damaged_path(path, now)
    for file, target in zip(_files_of(path), _files_of(aside), strict=True):
        if file.exists():
            file.replace(target)
    return aside


def _log_failure(path: Path, error: Exception) -> None:
    LOGGER.error("The database %s cannot be used: %s", path, getattr(error, "orig", None) or error)
