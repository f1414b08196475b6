"""How much of a flood of dead letters is stored: enough to see what comes, and no more than a disk takes lightly."""

import time
from collections import Counter
from collections.abc import Callable

from data_bridge.dead_letters.letter import DeadLetter, DeadLetterSink
from data_bridge.reasons import Reason

_MOST_BYTES_WAITING = 32 * 1024 * 1024


class RateLimiter:
    """Of each reason so many letters a second, of all together so many bytes a second; the others are counted.

    So that a flood of one reason hides no other, and a flood of inputs no delivery, each of those has its own.
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
        """Tell whether there is room for a letter of `size` bytes, and take it; `delivery` is 0 at QoS 0."""
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
        # A broker that waits for our answer stops by itself; at QoS 0 nobody does while the disk refuses.
        if not ack_token and self._bytes_waiting + size > _MOST_BYTES_WAITING:
            return False
        now = self._clock()
        if now - self._second >= 1:
            self._second = now
            self._in_second.clear()
            self._bytes_in_second = 0
        if self._in_second[reason] >= self._per_second:
            return False
        # The first of a second may be as large as it is.
        return not self._bytes_in_second or self._bytes_in_second + size <= self._bytes_per_second
