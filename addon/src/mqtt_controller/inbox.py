"""Everything that reaches the basket's one loop: commands, polling cycles, the end."""

import threading
from collections import deque
from dataclasses import dataclass

from mqtt_controller.commands import Command, End, Start, Total
from mqtt_controller.poller import Cycle

# No server means so many commands; a display that hangs must not let them fill the memory.
MOST_COMMANDS = 1000


@dataclass(frozen=True, slots=True)
class Stop:
    """The end, and the error that it is for."""

    error: str | None = None


type Event = Command | Cycle | Stop


class Inbox:
    """Events in the order in which they came; of too many commands the newest stay, for they say how things are."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._commands = 0
        # A signal handler may put an event while the same thread takes one.
        self._changed = threading.Condition(threading.RLock())

    def put(self, event: Cycle | Stop) -> None:
        """Add an event; from any thread, and from a signal handler."""
        with self._changed:
            self._events.append(event)
            self._changed.notify()

    def put_command(self, command: Command) -> bool:
        """Add a command, from any thread; False when another had to leave for it, a total if there is one."""
        with self._changed:
            self._events.append(command)
            self._changed.notify()
            self._commands += 1
            if self._commands <= MOST_COMMANDS:
                return True
            self._commands -= 1
            del self._events[self._oldest_command()]
            return False

    def get(self, seconds: float) -> Event | None:
        """Return the next event, None when there is none for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._events, seconds):
                return None
            event = self._events.popleft()
            self._commands -= isinstance(event, Start | End | Total)
            return event

    def _oldest_command(self) -> int:
        for kinds in ((Total,), (Start, End)):
            for place, event in enumerate(self._events):
                if isinstance(event, kinds):
                    return place
        raise LookupError("no command waits")
