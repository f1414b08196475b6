"""Rate limit of stored dead letters: a flood must not fill the disk."""

import time
from collections import Counter
from collections.abc import Callable

from data_bridge.dead_letters.letter import DeadLetter, DeadLetterSink
from data_bridge.reasons import Reason

_MOST_BYTES_WAITING = 32 * 1024 * 1024


class RateLimiter:
    """Admits a number of letters per second and reason, and a number of bytes per second; counts the others.

    Limits are per reason, so that a flood of one reason hides no other; inputs and deliveries have a limiter each.
    """

    def __init__(
        self,
        dead_letter: DeadLetterSink,
        per_second: int,
        bytes_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.not_kept = 0
        self._dead_letter = dead_letter
        self._per_second = per_second
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._second = 0.0
        self._in_second: Counter[Reason] = Counter()
        self._bytes_in_second = 0
        self._bytes_waiting = 0

    def admits(self, reason: Reason, size: int, ack_token: int) -> bool:
        """Return whether a letter of `size` bytes is admitted, and count it; `ack_token` is 0 at QoS 0."""
        if self._has_room(reason, size, ack_token):
            self._in_second[reason] += 1
            self._bytes_in_second += size
            return True
        self.not_kept += 1
        return False

    def store(self, letter: DeadLetter, on_stored: Callable[[], None]) -> None:
        """Store a letter that was admitted."""
        size = len(letter.payload)
        self._bytes_waiting += size

        def stored() -> None:
            self._bytes_waiting -= size
            on_stored()

        self._dead_letter(letter, stored)

    def _has_room(self, reason: Reason, size: int, ack_token: int) -> bool:
        # At QoS 1 the broker stops sending without acknowledgements; at QoS 0 nothing limits it while the disk fails.
        if not ack_token and self._bytes_waiting + size > _MOST_BYTES_WAITING:
            return False
        now = self._clock()
        if now - self._second >= 1:
            self._second = now
            self._in_second.clear()
            self._bytes_in_second = 0
        if self._in_second[reason] >= self._per_second:
            return False
        # The first letter of a second may have any size.
        return not self._bytes_in_second or self._bytes_in_second + size <= self._bytes_per_second
