"""Whose turn it is: messages that must keep their order are sent one after the other."""

from collections import deque
from collections.abc import Callable
from functools import partial

from data_bridge.pipeline.delivery.message import Pending, Token


class Turns:
    """One message of a key is under way at a time; the others of that key wait, in the order they came."""

    __slots__ = ("_free", "_passing", "_send", "_waiting", "held")

    def __init__(self, send: Callable[[list[Token]], None]) -> None:
        """Make it with what sends the deliveries of a message that had to wait, once its turn has come."""
        self.held = 0
        self._send = send
        self._waiting: dict[str, deque[list[Token]] | None] = {}
        self._free: deque[str] = deque()
        self._passing = False

    def take(self, key: str, pending: Pending, tokens: list[Token]) -> bool:
        """Give a message its turn: True when that is now, so that the caller sends it."""
        pending.end_turn = partial(self._give_back, key)
        if key not in self._waiting:
            self._waiting[key] = None
            return True
        queue = self._waiting[key]
        if queue is None:
            queue = self._waiting[key] = deque()
        queue.append(tokens)
        self.held += 1
        return False

    def _give_back(self, key: str) -> None:
        """Let the next message of a key have its turn."""
        self._free.append(key)
        if self._passing:
            # At QoS 0 a message is done while it is being sent: the call that is passing turns goes on with this one.
            return
        self._passing = True
        try:
            while self._free:
                self._pass_on(self._free.popleft())
        finally:
            self._passing = False

    def _pass_on(self, key: str) -> None:
        queue = self._waiting[key]
        if not queue:
            del self._waiting[key]
            return
        tokens = queue.popleft()
        self.held -= 1
        self._send(tokens)
