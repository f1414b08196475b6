"""How long to wait before connecting again."""

import random
from collections.abc import Callable

LASTING_SECONDS = 5.0
"""What ends a connection that stood so long, and as long as the next delay, is no answer to how it began."""


class Backoff:
    """Delays that double from `initial` to `maximum` seconds, each shortened by up to half at random.

    The jitter keeps a thousand clients from coming back in the same moment after their broker's restart.
    """

    __slots__ = ("_delay", "_initial", "_maximum", "_random", "attempts")

    def __init__(self, initial: float, maximum: float, random_unit: Callable[[], float] = random.random) -> None:
        self._initial = initial
        self._maximum = maximum
        self._random = random_unit
        self._delay = initial
        self.attempts = 0

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        self.attempts += 1
        delay = self._delay
        self._delay = min(delay * 2, self._maximum)
        return delay * (1 - self._random() / 2)

    def connection_stood(self, seconds: float) -> None:
        """Count attempts anew; start again with the initial delay if the connection lasted.

        One that a broker accepts and ends at once, again and again, must not be made again and again at once.
        """
        self.attempts = 0
        if seconds >= max(LASTING_SECONDS, self._delay):
            self._delay = self._initial

    def reset(self) -> None:
        """Start again with the initial delay: somebody asked for a connection."""
        self._delay = self._initial
        self.attempts = 0
