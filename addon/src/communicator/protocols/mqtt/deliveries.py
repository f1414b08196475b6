"""Received messages that wait for their acknowledgement, which leaves in the order the messages came."""

from collections import deque
from collections.abc import Callable


class Deliveries:
    """Gives each received message of QoS 1 or 2 a token, and acknowledges them in order (MQTT 5.0, section 4.6).

    Tokens grow over all connections and are never used twice, so that one of an earlier connection is known as stale.
    Not thread-safe: the client's lock guards it.
    """

    __slots__ = ("_acknowledged", "_first", "_send", "_waiting")

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """Make it with the function that acknowledges one message: (packet identifier in two bytes, QoS)."""
        self._send = send
        self._first = 1  # the oldest waiting token
        # A message has a token for each of its shares. As they go in order, its last one, which alone has a QoS here,
        # goes when all are acknowledged.
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._acknowledged: set[int] = set()

    def __len__(self) -> int:
        """Return how many messages wait."""
        return sum(1 for _, qos in self._waiting if qos)

    def __bool__(self) -> bool:
        """Tell whether any does."""
        return bool(self._waiting)

    def open(self, identifier: bytes, qos: int, shares: int = 1) -> int:
        """Return the first of a message's `shares` tokens, which follow each other; the broker waits for all."""
        token = self._first + len(self._waiting)
        if shares > 1:
            self._waiting.extend([(identifier, 0)] * (shares - 1))
        self._waiting.append((identifier, qos))
        return token

    def acknowledge(self, token: int) -> bool:
        """Acknowledge one share of a message; False when the token is stale or was used before."""
        acknowledged = self._acknowledged
        if token < self._first or token >= self._first + len(self._waiting) or token in acknowledged:
            return False
        if token != self._first:
            acknowledged.add(token)
            return True
        while True:
            self._first += 1
            identifier, qos = self._waiting.popleft()
            if qos:
                self._send(identifier, qos)
            if self._first not in acknowledged:
                return True
            acknowledged.remove(self._first)

    def forget(self) -> None:
        """Make all tokens stale: a lost connection's messages come again."""
        self._first += len(self._waiting)
        self._waiting.clear()
        self._acknowledged.clear()
