"""What happens on one connection because of the time: heartbeat, the wait for CONNACK, the wait for a goodbye."""

import time

from communicator.protocols.mqtt.link import Link
from communicator.protocols.mqtt.session import Session

GOODBYE_SECONDS = 1.0
"""How long DISCONNECT may take to leave before the socket is closed without it."""


class Timers:
    """The deadlines of one connection, for a network loop that asks how long it may sleep and acts when it wakes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        now = time.monotonic()
        config = session.config
        self._interval = min(1.0, config.keepalive * config.heartbeat_check_ratio or 1.0)
        self._next_tick = now + self._interval
        self._answer_until = now + config.timeout
        self._goodbye_until: float | None = None

    def seconds_left(self) -> float:
        """Return how long nothing has to be done."""
        due = self._next_tick
        if not self._session.stood:
            due = min(due, self._answer_until)
        if self._goodbye_until is not None:
            due = min(due, self._goodbye_until)
        return max(0.0, due - time.monotonic())

    def say_goodbye_if_due(self) -> None:
        """Send DISCONNECT, once, when the user has asked to end."""
        if self._goodbye_until is None and self._session.stopping:
            self._goodbye_until = time.monotonic() + GOODBYE_SECONDS
            self._session.say_goodbye()

    def act(self, link: Link) -> None:
        """Do what has become due."""
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + self._interval
            link.tick()
        if self._goodbye_until is not None and now >= self._goodbye_until:
            link.close()
        elif not self._session.stood and now >= self._answer_until:
            self._session.answer_missing()
