"""The data directory: made where there is none, and owned by one bridge at a time."""

import errno
import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO, Self

import orjson

from data_bridge.damaged_files import reason_of

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Where a folder itself cannot be locked.
_LOCK_FILE = "bridge.lock"
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class DataDirectoryError(Exception):
    """The data directory cannot be used; the text gives the cause."""


class DataDirectory:
    """Holds a folder for this process as a context manager; the system ends that with the process too."""

    def __init__(self, path: Path, health_file: Path) -> None:
        """Make it for a folder, and the file in which the bridge that holds it writes its process id."""
        self._path = path
        self._health_file = health_file
        self._descriptor: int | None = None
        self._lock_file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Make the folder where there is none, and take it for this process.

        Raises:
            DataDirectoryError: another bridge has it, or it cannot be made or written to.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._path):
                pass
        except FileExistsError:
            raise DataDirectoryError(f"the data directory {self._path} is no folder") from None
        except OSError as error:
            raise DataDirectoryError(f"the data directory {self._path} cannot be used: {reason_of(error)}") from error
        try:
            self._lock()
        except OSError as error:
            self._release()
            if error.errno not in _HELD:
                raise DataDirectoryError(
                    f"the data directory {self._path} cannot be locked: {reason_of(error)}; it must lie on a disk that"
                    " knows locks, for two bridges with one data directory lose messages"
                ) from error
            raise DataDirectoryError(
                f"the data directory {self._path} is in use by another bridge{self._holder()}: stop that one, or give"
                " this one a data_directory and a bridge_id of its own"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Release the folder for another bridge."""
        self._release()

    def _release(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    if sys.platform == "win32":

        def _lock(self) -> None:
            self._lock_file = (self._path / _LOCK_FILE).open("ab")
            msvcrt.locking(self._lock_file.fileno(), msvcrt.LK_NBLCK, 1)
    else:

        def _lock(self) -> None:
            # The folder itself: a lock file could be damaged, left over or owned by another user.
            self._descriptor = os.open(self._path, os.O_RDONLY)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _HELD:
                    raise
                # Some network file systems lock only files that are opened for writing, which a folder cannot be.
                self._lock_file = (self._path / _LOCK_FILE).open("ab")
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _holder(self) -> str:
        try:
            return f" (process {int(orjson.loads(self._health_file.read_bytes())['pid'])})"
        except (OSError, ValueError, TypeError, KeyError):
            return ""
