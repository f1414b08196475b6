"""Messages of bridges that have not said hello: retained messages of several topics arrive in no order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from .instant import Instant

# A hello is retained beside the others and arrives with them; what waits longer has no bridge.
WAITING = timedelta(seconds=60)
MOST_BRIDGES = 100
# Of one bridge: its availability, its catalog and the states of this many devices.
MOST_MESSAGES = 1_002
MOST_BYTES = 16_000_000


@dataclass(slots=True)
class _Waiting[MessageT]:
    since: Instant
    messages: dict[str, tuple[int, MessageT]] = field(default_factory=dict)


class Introductions[MessageT]:
    """Keeps the last message of each topic for bridges without a hello, within bounds."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting[MessageT]] = {}
        self._bytes = 0

    def keep(self, bridge_id: str, topic: str, size: int, message: MessageT, now: Instant) -> bool:
        """Keep a message of `size` bytes until its bridge says hello; False when there is no room."""
        waiting = self._waiting.get(bridge_id)
        before = 0 if waiting is None else waiting.messages.get(topic, (0, None))[0]
        if self._bytes - before + size > MOST_BYTES:
            return False
        if waiting is None:
            if len(self._waiting) >= MOST_BRIDGES:
                return False
            waiting = self._waiting[bridge_id] = _Waiting(now)
        elif topic not in waiting.messages and len(waiting.messages) >= MOST_MESSAGES:
            return False
        waiting.messages[topic] = size, message
        self._bytes += size - before
        return True

    def take(self, bridge_id: str) -> list[MessageT]:
        """Return what waited for the hello of this bridge, in the order of arrival."""
        waiting = self._waiting.pop(bridge_id, None)
        return [] if waiting is None else self._release(waiting)

    def expire(self, now: Instant) -> Iterable[MessageT]:
        """Return the messages whose bridges did not say hello in time."""
        late = [bridge_id for bridge_id, waiting in self._waiting.items() if now - waiting.since >= WAITING]
        return [message for bridge_id in late for message in self.take(bridge_id)]

    def _release(self, waiting: _Waiting[MessageT]) -> list[MessageT]:
        self._bytes -= sum(size for size, _ in waiting.messages.values())
        return [message for _, message in waiting.messages.values()]
