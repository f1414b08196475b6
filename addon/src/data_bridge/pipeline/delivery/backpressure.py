"""Deliveries without room in the connection, and the pause of input until there is room."""

from collections import deque
from collections.abc import Callable

from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.delivery.delayed_calls import DelayedCalls
from data_bridge.pipeline.delivery.message import DeliveryAttempt

_PAUSE_SECONDS = 0.002
_MOST_WAITING = 10_000


class Backpressure:
    """A queue of deliveries in the order they were to be sent; pauses the connection while it is not empty.

    The connection also pauses while too many messages wait for an ordering key.
    """

    def __init__(
        self, connection: Connection, delayed_calls: DelayedCalls, submit: Callable[[DeliveryAttempt], bool]
    ) -> None:
        """`submit` sends one delivery; it returns False when the connection has no room."""
        self._connection = connection
        self._delayed_calls = delayed_calls
        self._submit = submit
        self._queue: deque[DeliveryAttempt] = deque()
        self._waiting = 0
        self._paused = False

    def __len__(self) -> int:
        """Return how many deliveries wait for room in the connection's queue."""
        return len(self._queue)

    def add(self, attempt: DeliveryAttempt) -> None:
        """Queue a delivery that the connection has no room for."""
        self._queue.append(attempt)
        if len(self._queue) == 1:
            self._pause()
            self._delayed_calls.later(_PAUSE_SECONDS, self._drain)

    def set_waiting(self, waiting: int) -> None:
        """Set the number of messages that wait for an ordering key."""
        self._waiting = waiting
        if waiting > _MOST_WAITING:
            self._pause()
        else:
            self._resume()

    def _drain(self) -> None:
        while self._queue:
            if not self._submit(self._queue[0]):
                self._delayed_calls.later(_PAUSE_SECONDS, self._drain)
                return
            self._queue.popleft()
        self._resume()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._connection.pause()

    def _resume(self) -> None:
        if self._paused and not self._queue and self._waiting <= _MOST_WAITING:
            self._paused = False
            self._connection.resume()
