"""Says that the basket is there, its session and its contents, whenever the broker or its clients may not know."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from mqtt_controller.allowance import Allowance

# After a broker's restart its clients come back one by one, Home Assistant's within 10 s; an update has nobody to
# reach before that, and only availability and session are retained.
REPEAT_SECONDS = 15.0
# However often a server says that it came up, it is answered no more often than this.
ANSWER_SECONDS = 2.0

# The session may change so often at once, and then so often a second, until the changes in between are left out.
CHANGES_AT_ONCE = 20
CHANGES_PER_SECOND = 5.0

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

    def server_came_up(self) -> bool:
        """Tell whether a server said since the last call that it has just come up."""
        ...

    def announce(self) -> bool:
        """Publish that the basket is online; return False when that could not be done."""
        ...

    def say_session(self, payload: bytes) -> bool:
        """Publish the session; return False when that could not be done."""
        ...


class Announcer:
    """Watches the connection; `session` returns what is to be said of the session, `send_contents` sends the rest."""

    def __init__(
        self,
        connection: Connection,
        session: Callable[[], bytes],
        send_contents: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._session = session
        self._send_contents = send_contents
        self._clock = clock
        self._connection_seen: int | None = None
        self._announced: int | None = None
        self._session_said: bytes | None = None
        self._changes = Allowance(CHANGES_AT_ONCE, CHANGES_PER_SECOND, clock)
        self._asked = False
        self._answered_at = -ANSWER_SECONDS
        self._repeat_at: float | None = None

    def watch(self) -> None:
        """Look at the connection, several times a second."""
        connection = self._connection.connection
        seen_before, self._connection_seen = self._connection_seen, connection
        self._asked |= self._connection.server_came_up()
        now = self._clock()
        if connection is None:
            if seen_before is not None:
                log.warning("The broker is away; the basket goes on, its contents will be sent when it is back")
            self._repeat_at = None
        elif connection != self._announced or self._connection.called_offline():
            self._announce(connection, now)
        elif self._asked and now >= self._answered_at + ANSWER_SECONDS:
            self._say_everything(now)
        elif self._repeat_at is not None and now >= self._repeat_at:
            self._repeat_at = None
            self._send_contents()
        else:
            self.say_session()

    def say_session(self) -> None:
        """Say the session if it is another than was said last; what is not said at once `watch` says later."""
        connection = self._connection.connection
        # A new connection hears everything from `watch`.
        announced = connection is not None and connection == self._announced
        if announced and self._session() != self._session_said and self._changes.take():
            self._say_session()

    def close(self) -> None:
        """Say the last session, however often it changed before."""
        if self._connection.connection is not None and self._session() != self._session_said:
            self._say_session()

    def _say_session(self) -> bool:
        payload = self._session()
        said = self._connection.say_session(payload)
        self._session_said = payload if said else None
        return said

    def _announce(self, connection: int, now: float) -> None:
        # First the session: the one that is retained of a program that was killed must not stand beside "online".
        if self._say_session() and self._connection.announce():
            self._announced = connection
            log.info("Connected")
            self._said(now)
            self._send_contents()

    def _say_everything(self, now: float) -> None:
        self._say_session()
        self._said(now)
        self._send_contents()

    def _said(self, now: float) -> None:
        self._asked = False
        self._answered_at = now
        self._repeat_at = now + REPEAT_SECONDS
