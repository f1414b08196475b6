"""Where a client stands, and who is told when that changes or what nobody wanted comes."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class ConnectionState(StrEnum):
    """Where a client stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    GAVE_UP = "gave up"


@dataclass(slots=True)
class StateCallbacks:
    """Who is told of the connection; each is called in the network loop.

    Attributes:
        connected: the broker has accepted the client, at first or again.
        disconnected: the connection has ended, with the reason.
        reconnecting: (attempt, seconds): the next attempt comes after so long.
        gave_up: `max_reconnect_attempts` have failed; with the last reason.
        unhandled: a message came that no callback wanted, with its topic. A session that the broker kept may hold
            subscriptions of an earlier program.
        dropped: a message of QoS 0 came for which a paused client had no room, with its topic.
    """

    connected: Callable[[], None] | None = None
    disconnected: Callable[[str], None] | None = None
    reconnecting: Callable[[int, float], None] | None = None
    gave_up: Callable[[str], None] | None = None
    unhandled: Callable[[str], None] | None = None
    dropped: Callable[[str], None] | None = None
