"""The log file: private, rotating, and reopened after it was renamed or removed."""

import contextlib
import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import override

from data_bridge.damaged_files import DamagedFileError, reason_of
from data_bridge.files import make_private, make_private_folder, private


class LogFile(RotatingFileHandler):
    """A handler that reopens its file after another program, such as logrotate, has renamed it."""

    def __init__(self, path: Path, maximum_bytes: int, backups: int) -> None:
        """Open the file, and make it where there is none.

        Raises:
            DamagedFileError: it cannot be written.
        """
        try:
            make_private_folder(path.parent)
            super().__init__(path, maxBytes=maximum_bytes, backupCount=backups, encoding="utf-8")
        except OSError as error:
            raise DamagedFileError(path, f"it cannot be written: {reason_of(error)}") from error

    @override
    def _open(self) -> TextIOWrapper:
        # The base class calls it whenever it needs the file: at first, after a rotation, and after `reopen`.
        opened = open(self.baseFilename, "a", encoding=self.encoding, opener=private)  # noqa: SIM115 -- the base class closes it
        with contextlib.suppress(OSError):
            make_private(Path(self.baseFilename))
        return opened

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self._is_elsewhere():
            self.reopen()
        super().emit(record)

    def reopen(self) -> None:
        """Close the file; the next line opens the one that has its name then."""
        with self.lock or contextlib.nullcontext():
            opened, self.stream = self.stream, None
            if opened is not None:
                opened.close()

    def _is_elsewhere(self) -> bool:
        if self.stream is None:
            return False
        try:
            named, opened = Path(self.baseFilename).stat(), os.fstat(self.stream.fileno())
        except OSError:
            return True
        return (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)


def reopen_log_files() -> int:
    """Open each log file of the process anew with its next line; return how many there are."""
    files = [handler for handler in logging.getLogger().handlers if isinstance(handler, LogFile)]
    for each in files:
        each.reopen()
    return len(files)
