"""Says that the basket is there, and what is in it, whenever the broker or its other clients may not know."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

# After a broker's restart its clients come back one by one, Home Assistant's within 10 s; an update has nobody to
# reach before that, and nothing on this wire is retained.
REPEAT_SECONDS = 15.0

log = logging.getLogger(__name__)


class Connection(Protocol):
    """The connection to the broker, as far as it matters here."""

    @property
    def connection(self) -> int | None:
        """Return the number of the connection that stands, a new one for each; None without one."""
        ...

    def called_offline(self) -> bool:
        """Tell whether the broker says that we are offline."""
        ...

    def announce(self) -> bool:
        """Publish that the basket is online; return False when that could not be done."""
        ...


class Announcer:
    """Watches the connection; `send_contents` sends what the server may have missed."""

    def __init__(
        self, connection: Connection, send_contents: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._send_contents = send_contents
        self._clock = clock
        self._connection_seen: int | None = None
        self._announced: int | None = None
        self._repeat_at: float | None = None

    def watch(self) -> None:
        """Look at the connection, several times a second."""
        connection = self._connection.connection
        seen_before, self._connection_seen = self._connection_seen, connection
        if connection is None:
            if seen_before is not None:
                log.warning("The broker is away; the basket goes on, its contents will be sent when it is back")
            self._repeat_at = None
        elif connection != self._announced or self._connection.called_offline():
            if self._connection.announce():
                self._announced = connection
                log.info("Connected")
                self._send_contents()
                self._repeat_at = self._clock() + REPEAT_SECONDS
        elif self._repeat_at is not None and self._clock() >= self._repeat_at:
            self._repeat_at = None
            self._send_contents()
