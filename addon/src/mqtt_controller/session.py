"""Whether a session runs, and since when, though the clock may only learn the time later."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

# A clock that shows less was never set: a Raspberry Pi has no battery for it, and starts somewhere in the past.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
# The clock is set in a step of any size; what is less is the network's small corrections.
STEP_SECONDS = 2.0


def uptime() -> float:
    """Return seconds that no setting of the clock changes, sleep included where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Session:
    """The session of one basket; the program's start is the beginning of an idle time.

    `clock` gives the seconds since 1970 as far as the system knows, `uptime` seconds of which only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.time, uptime: Callable[[], float] = uptime) -> None:
        self.active = False
        self.number = 0
        self._clock = clock
        self._uptime = uptime
        self._changed_at = uptime()
        self._since: float | None = None

    def begin(self) -> None:
        """Begin the next session."""
        self.number += 1
        self._change(active=True)

    def end(self) -> None:
        """End the session."""
        self._change(active=False)

    @property
    def since(self) -> datetime | None:
        """Return when it began or ended, to the second; None while the clock does not know the time.

        The moment is kept by what passed since then, so that it becomes right when the clock does.
        """
        since = self._clock() - (self._uptime() - self._changed_at)
        if since < EARLIEST:
            return None
        if self._since is None or abs(since - self._since) >= STEP_SECONDS:
            self._since = since
        return datetime.fromtimestamp(int(self._since), UTC)

    def _change(self, *, active: bool) -> None:
        self.active = active
        self._changed_at = self._uptime()
        self._since = None
