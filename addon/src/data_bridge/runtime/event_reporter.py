"""Reports what a person should know of: as a log line at once, and as an event when there is a connection."""

import asyncio
from collections.abc import Callable

from structlog.stdlib import BoundLogger

# Of the time before the first connection, and of an outage.
_MOST_WAITING = 100

type PublishEvent = Callable[..., None]
"""publish(type, **content) publishes an event now"""


class EventReporter:
    """Takes reports from any thread, and from the first moment on."""

    def __init__(self, log: BoundLogger, is_connected: Callable[[], bool]) -> None:
        """Make it on the event loop on which events are published."""
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
        """Report something that works, and that a person should know of."""
        self._log.warning(event, **content)
        self._loop.call_soon_threadsafe(self._send, event, content)

    def error(self, event: str, **content: object) -> None:
        """Report something that does not work."""
        self._log.error(event, **content)
        self._loop.call_soon_threadsafe(self._send, event, content)

    def _send(self, event: str, content: dict[str, object]) -> None:
        if self._publish is not None and self._is_connected():
            self._publish(event, **content)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append((event, content))
        else:
            self.dropped += 1
