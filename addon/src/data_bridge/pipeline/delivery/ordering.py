"""Order per key: messages with the same key are sent one after the other."""

from collections import deque
from collections.abc import Callable

from data_bridge.pipeline.delivery.message import DeliveryAttempt


class KeyedQueue:
    """One message of a key is in flight at a time; the others of that key wait, first in, first out."""

    __slots__ = ("_released", "_send", "_sending", "queues", "waiting")

    def __init__(self, send: Callable[[list[DeliveryAttempt]], None]) -> None:
        """`send` is called with the attempts of a message that waited, once its key is released."""
        self.waiting = 0
        # Keys with a message in flight, and the queues of waiting ones (None: empty so far). Public for the hot path,
        # which acquires a free key, and releases one without a queue, without a call.
        self.queues: dict[str, deque[list[DeliveryAttempt]] | None] = {}
        self._send = send
        self._released: deque[str] = deque()
        self._sending = False

    def acquire(self, key: str, attempts: list[DeliveryAttempt]) -> bool:
        """Return True when the key was free and the caller sends the message now; False when it waits.

        `release` must follow when the message is done.
        """
        if key not in self.queues:
            self.queues[key] = None
            return True
        queue = self.queues[key]
        if queue is None:
            queue = self.queues[key] = deque()
        queue.append(attempts)
        self.waiting += 1
        return False

    def release(self, key: str) -> None:
        """Send the next message of a key, or free the key."""
        self._released.append(key)
        if self._sending:
            # At QoS 0 a message is done inside its own send: the loop below continues with this key.
            return
        self._sending = True
        try:
            while self._released:
                self._send_next(self._released.popleft())
        finally:
            self._sending = False

    def _send_next(self, key: str) -> None:
        queue = self.queues[key]
        if not queue:
            del self.queues[key]
            return
        attempts = queue.popleft()
        self.waiting -= 1
        self._send(attempts)
