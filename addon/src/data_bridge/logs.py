"""Structured logs: JSON lines to stdout and a rotating file, and rate-limited lines for floods."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import override

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import Processor

from data_bridge.damaged_files import DamagedFile, DamagedFileError, DamagedFiles, reason_of
from data_bridge.files import make_private, make_private_folder, private
from data_bridge.settings import LoggingSettings

_LIMIT_SECONDS = 60.0


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


def configure_logging(settings: LoggingSettings, damaged: DamagedFiles) -> None:
    """Send every log line of the process, structlog's and the standard library's, to stdout and the file.

    An object in the file's place that cannot be written is moved aside; where that fails there is no file.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    path = settings.file
    if path is not None:
        try:
            handlers.append(damaged.run(lambda: LogFile(path, settings.maximum_bytes, settings.backups)))
        except DamagedFileError as error:
            damaged.report(DamagedFile(error.path, None, error.cause))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> BoundLogger:
    """Return a logger whose lines are structured."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class LimitedLog:
    """Reports the first event of a name at once, then at most one report a minute with their number."""

    def __init__(
        self,
        report: Callable[[str, int, str], None],
        seconds: float = _LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._seconds = seconds
        self._clock = clock
        self._reported: dict[str, float] = {}
        self._unreported: dict[str, tuple[int, str]] = {}

    def record(self, name: str, detail: str) -> None:
        """Report an event, or count it for the next report."""
        now = self._clock()
        reported = self._reported.get(name)
        count = self._unreported[name][0] if name in self._unreported else 0
        if reported is not None and now - reported < self._seconds:
            self._unreported[name] = (count + 1, detail)
            return
        self._unreported.pop(name, None)
        self._reported[name] = now
        self._report(name, count + 1, detail)

    def flush(self, *, everything: bool = False) -> None:
        """Report overdue counts; called periodically, so that the end of a flood is reported too."""
        now = self._clock()
        for name, (count, detail) in list(self._unreported.items()):
            if everything or now - self._reported[name] >= self._seconds:
                del self._unreported[name]
                self._reported[name] = now
                self._report(name, count, detail)
