"""How often something may be done: at once for a while, then at a steady pace."""

import time
from collections.abc import Callable


class Allowance:
    """A token bucket: `burst` times at once, and `per_second` times from then on."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def take(self) -> bool:
        """Do it once; False when it is too early."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def used_up(self) -> bool:
        """Tell whether it was just done for the last time in a while."""
        return self._left < 1
