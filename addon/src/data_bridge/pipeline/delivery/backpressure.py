"""What the connection cannot take is kept, and no more input is taken until it can."""

from collections import deque
from collections.abc import Callable

from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.delivery.message import Token
from data_bridge.pipeline.delivery.timers import Timers

_PAUSE_SECONDS = 0.002
_MOST_HELD = 10_000


class Backpressure:
    """A queue of deliveries in the order they were to be sent; pauses the connection while it is not empty.

    The connection also pauses while too many messages wait for their turn.
    """

    def __init__(self, connection: Connection, timers: Timers, submit: Callable[[Token], bool]) -> None:
        """Make it with what sends one delivery: False when the connection does not take it now."""
        self._connection = connection
        self._timers = timers
        self._submit = submit
        self._queue: deque[Token] = deque()
        self._held = 0
        self._paused = False

    def __len__(self) -> int:
        """Return how many deliveries wait for room in the connection's queue."""
        return len(self._queue)

    def add(self, token: Token) -> None:
        """Keep what the connection cannot take now."""
        self._queue.append(token)
        if len(self._queue) == 1:
            self._pause()
            self._timers.later(_PAUSE_SECONDS, self._drain)

    def hold(self, held: int) -> None:
        """Note how many messages wait for their turn."""
        self._held = held
        if held > _MOST_HELD:
            self._pause()
        else:
            self._resume()

    def _drain(self) -> None:
        while self._queue:
            if not self._submit(self._queue[0]):
                self._timers.later(_PAUSE_SECONDS, self._drain)
                return
            self._queue.popleft()
        self._resume()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._connection.pause()

    def _resume(self) -> None:
        if self._paused and not self._queue and self._held <= _MOST_HELD:
            self._paused = False
            self._connection.resume()
