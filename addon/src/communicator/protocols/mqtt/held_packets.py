"""PUBLISH packets that wait while the client is paused."""

from collections import deque

from paho.mqtt.packettypes import PacketTypes

from communicator.protocols.mqtt.frames import QOS_BITS, decode_length
from communicator.protocols.mqtt.properties import decode_properties

HELD_BYTES = 8 * 1_048_576
"""Above it the socket is read for answers only, and without any to come TCP holds the broker back."""


class HeldPackets:
    """Whole packets in the order they came."""

    __slots__ = ("_size", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self._size = 0

    @property
    def full(self) -> bool:
        """Tell whether no more should be read."""
        return self._size >= HELD_BYTES

    def add(self, packet: bytes) -> None:
        """Hold one more."""
        self.waiting.append(packet)
        self._size += len(packet)

    def take(self) -> bytes:
        """Return the oldest."""
        packet = self.waiting.popleft()
        self._size -= len(packet)
        return packet

    def keep_unrepeatable(self) -> None:
        """Drop what a lost connection's broker sends again; QoS 0 comes only once, so it stays."""
        self.waiting = deque(packet for packet in self.waiting if not packet[0] & QOS_BITS and _names_its_topic(packet))
        self._size = sum(map(len, self.waiting))


def must_be_held(packet: bytes, *, aliases: bool) -> bool:
    """Tell whether there is room for a packet whatever waits: the broker bounds those that wait for our answer.

    With `aliases` one may give others their topic.

    Raises:
        MQTTException, ValueError, IndexError, KeyError or struct.error: its properties are not MQTT.
    """
    return bool(packet[0] & QOS_BITS) or (aliases and _gives_alias(packet))


def topic_of(packet: bytes) -> bytes:
    """Return the topic of a whole PUBLISH; nothing when it has an alias only."""
    return packet[_topic_in(packet)]


def _topic_in(packet: bytes) -> slice:
    decoded = decode_length(packet, 1, len(packet))
    if decoded is None:
        return slice(0)
    start = decoded[1] + 2
    return slice(start, start + int.from_bytes(packet[start - 2 : start]))


def _names_its_topic(packet: bytes) -> bool:
    # One that has a topic alias only means nothing on another connection.
    return bool(topic_of(packet))


def _gives_alias(packet: bytes) -> bool:
    """Tell whether a packet of QoS 0 names a topic and an alias for it."""
    topic = _topic_in(packet)
    if topic.start == topic.stop:
        return False
    return hasattr(decode_properties(PacketTypes.PUBLISH, packet[topic.stop :]), "TopicAlias")
