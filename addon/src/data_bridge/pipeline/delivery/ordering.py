"""Whose turn it is: messages that must keep their order are sent one after the other."""

from collections import deque
from collections.abc import Callable
from functools import partial

from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage


class KeyedQueue:
    """One message of a key is under way at a time; the others of that key wait, in the order they came."""

    __slots__ = ("_queues", "_released", "_send", "_sending", "waiting")

    def __init__(self, send: Callable[[list[DeliveryAttempt]], None]) -> None:
        """Make it with what sends the deliveries of a message that had to wait, once its turn has come."""
        self.waiting = 0
        self._send = send
        self._queues: dict[str, deque[list[DeliveryAttempt]] | None] = {}
        self._released: deque[str] = deque()
        self._sending = False

    def acquire(self, key: str, message: InFlightMessage, attempts: list[DeliveryAttempt]) -> bool:
        """Give a message its turn: True when that is now, so that the caller sends it."""
        message.release_key = partial(self._release, key)
        if key not in self._queues:
            self._queues[key] = None
            return True
        queue = self._queues[key]
        if queue is None:
            queue = self._queues[key] = deque()
        queue.append(attempts)
        self.waiting += 1
        return False

    def _release(self, key: str) -> None:
        """Let the next message of a key have its turn."""
        self._released.append(key)
        if self._sending:
            # At QoS 0 a message is done while it is being sent: the call that is passing turns goes on with this one.
            return
        self._sending = True
        try:
            while self._released:
                self._send_next(self._released.popleft())
        finally:
            self._sending = False

    def _send_next(self, key: str) -> None:
        queue = self._queues[key]
        if not queue:
            del self._queues[key]
            return
        attempts = queue.popleft()
        self.waiting -= 1
        self._send(attempts)
