"""Received messages that wait for their acknowledgement, which leaves in the order the messages came."""

from collections import deque
from collections.abc import Callable


class Deliveries:
    """Gives each received message of QoS 1 or 2 a token, and acknowledges them in order (MQTT 5.0, section 4.6).

    Tokens grow over all connections and are never used twice, so that one of an earlier connection is known as stale.
    Not thread-safe: the client's lock guards it.
    """

    __slots__ = ("_acknowledged", "_first", "_send", "_shares", "_waiting")

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """Make it with the function that acknowledges one message: (packet identifier in two bytes, QoS)."""
        self._send = send
        self._first = 1  # the token of the oldest waiting message
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._acknowledged: set[int] = set()
        self._shares: dict[int, int] = {}

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    def open(self, identifier: bytes, qos: int, shares: int = 1) -> int:
        """Return the token of a message that must be acknowledged `shares` times before the broker hears of it."""
        token = self._first + len(self._waiting)
        self._waiting.append((identifier, qos))
        if shares > 1:
            self._shares[token] = shares
        return token

    def identifier_of_last(self, token: int) -> bytes:
        """Return the packet identifier of the message that came last; nothing when that is not this token's."""
        return self._waiting[-1][0] if self._waiting and token == self._first + len(self._waiting) - 1 else b""

    def acknowledge(self, token: int) -> bool:
        """Acknowledge one message; False when the token is stale or was used before."""
        acknowledged = self._acknowledged
        if token < self._first or token >= self._first + len(self._waiting) or token in acknowledged:
            return False
        if self._shares:
            if left := self._shares.get(token, 1) - 1:
                self._shares[token] = left
                return True
            self._shares.pop(token, None)
        if token != self._first:
            acknowledged.add(token)
            return True
        while True:
            self._first += 1
            self._send(*self._waiting.popleft())
            if self._first not in acknowledged:
                return True
            acknowledged.remove(self._first)

    def forget(self) -> list[tuple[bytes, int]]:
        """Make all tokens stale and return what had not been acknowledged: a lost connection's messages come again."""
        lost = list(self._waiting)
        self._first += len(self._waiting)
        self._waiting.clear()
        self._acknowledged.clear()
        self._shares.clear()
        return lost
