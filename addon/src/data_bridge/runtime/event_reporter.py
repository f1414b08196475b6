"""Reports of the bridge: a log line at once, and an event when there is a connection."""

import asyncio
from collections.abc import Callable

from structlog.stdlib import BoundLogger

from data_bridge.damaged_files import DamagedFile
from data_bridge.runtime.problems import ProblemType

# Of the time before the first connection, and of an outage.
_MOST_WAITING = 100

type PublishEvent = Callable[..., None]
"""publish(type, **content) publishes an event now"""


class EventReporter:
    """Takes reports from any thread, and from the first moment on."""

    def __init__(self, log: BoundLogger, is_connected: Callable[[], bool]) -> None:
        """Construct it on the event loop on which events are published."""
        self.dropped = 0
        self._log = log
        self._is_connected = is_connected
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[str, dict[str, object]]] = []
        self._publish: PublishEvent | None = None

    def publish_with(self, publish: PublishEvent) -> None:
        """Publish events by this from now on."""
        self._publish = publish

    def connected(self) -> None:
        """Publish the events that wait."""
        waiting, self._waiting = self._waiting, []
        for event, content in waiting:
            self._send(event, content)

    def warning(self, event: str, **content: object) -> None:
        """Report a condition that impairs nothing now."""
        self._log.warning(event, **content)
        self._loop.call_soon_threadsafe(self._send, event, content)

    def error(self, event: str, **content: object) -> None:
        """Report a failure."""
        self._log.error(event, **content)
        self._loop.call_soon_threadsafe(self._send, event, content)

    def damaged_file(self, damaged: DamagedFile) -> None:
        """Report a file of the data directory that cannot be used."""
        moved_to = None if damaged.moved_to is None else str(damaged.moved_to)
        self.error("file_damaged", file=str(damaged.path), moved_to=moved_to, cause=damaged.cause)

    def problem(self, problem: ProblemType, text: str | None) -> None:
        """Report a problem, or with None its end."""
        if text is None:
            self.warning("problem_solved", problem=problem.value)
        else:
            self.error(problem.value, text=text)

    def publish(self, event: str, **content: object) -> None:
        """Publish an event without a log line; it does not wait for a connection."""
        if self._publish is not None:
            self._publish(event, **content)
        else:
            self.dropped += 1

    def _send(self, event: str, content: dict[str, object]) -> None:
        if self._publish is not None and self._is_connected():
            self._publish(event, **content)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append((event, content))
        else:
            self.dropped += 1
