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


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What the broker said that it supports when it last accepted the client; before, what MQTT allows.

    Attributes:
        maximum_qos: the highest QoS of a message that it takes.
        retain_available: whether it keeps retained messages.
    """

    maximum_qos: int = 2
    retain_available: bool = True


@dataclass(slots=True)
class StateCallbacks:
    """Who is told of the connection; each is called in the network loop.

    Attributes:
        connected: the broker has accepted the client, at first or again.
        disconnected: the connection has ended, with the reason.
        reconnecting: (attempt, seconds): the next attempt comes after so long.
        attempt_failed: an attempt to connect again has failed, with the reason.
        gave_up: `max_reconnect_attempts` have failed; with the last reason.
        taken_over: the connection has ended because another client connected with this client id; after `disconnected`.
        subscribed: the broker's answer to a subscription: its topic filter, the QoS that was asked for, and the granted
            QoS or a reason code of 0x80 and above. It comes again for each that is made again after a reconnect.
        unhandled: a message came that no callback wanted, with its topic. A session that the broker kept may hold
            subscriptions of an earlier program.
        dropped: a message of QoS 0 came for which a paused client had no room, with its topic.
    """

    connected: Callable[[], None] | None = None
    disconnected: Callable[[str], None] | None = None
    reconnecting: Callable[[int, float], None] | None = None
    attempt_failed: Callable[[str], None] | None = None
    gave_up: Callable[[str], None] | None = None
    taken_over: Callable[[], None] | None = None
    subscribed: Callable[[str, int, int], None] | None = None
    unhandled: Callable[[str], None] | None = None
    dropped: Callable[[str], None] | None = None
