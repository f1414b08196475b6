"""Structured logs: JSON lines to stdout and a rotating file, and one line per reason and minute for what floods."""

import logging
import sys
import time
from collections.abc import Callable

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import Processor

from data_bridge.damaged_files import DamagedFile, DamagedFileError, DamagedFiles
from data_bridge.log_file import LogFile
from data_bridge.settings import LoggingSettings

_LIMIT_SECONDS = 60.0


def configure_logging(settings: LoggingSettings, damaged: DamagedFiles) -> None:
    """Send every log line of the process, structlog's and the standard library's, to stdout and the file.

    What is in the file's place and cannot be written is moved aside; where that is impossible there is no file.
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
    """Says each thing at once when it first happens, and then at most once a minute with how often it did."""

    def __init__(
        self,
        say: Callable[[str, int, str], None],
        seconds: float = _LIMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._seconds = seconds
        self._clock = clock
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, tuple[int, str]] = {}

    def happened(self, what: str, detail: str) -> None:
        """Say it, or remember that it happened."""
        now = self._clock()
        said = self._said.get(what)
        count = self._unsaid[what][0] if what in self._unsaid else 0
        if said is not None and now - said < self._seconds:
            self._unsaid[what] = (count + 1, detail)
            return
        self._unsaid.pop(what, None)
        self._said[what] = now
        self._say(what, count + 1, detail)

    def flush(self, *, everything: bool = False) -> None:
        """Say what is overdue: called now and then, so that the end of a flood is told too."""
        now = self._clock()
        for what, (count, detail) in list(self._unsaid.items()):
            if everything or now - self._said[what] >= self._seconds:
                del self._unsaid[what]
                self._said[what] = now
                self._say(what, count, detail)
