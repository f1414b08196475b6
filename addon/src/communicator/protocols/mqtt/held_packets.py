"""PUBLISH packets that wait while the client is paused."""

from collections import deque

from communicator.protocols.mqtt.frames import QOS_BITS, decode_length

HELD_BYTES = 8 * 1_048_576
"""Above it the socket is not read either, and TCP holds the broker back."""


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


def _names_its_topic(packet: bytes) -> bool:
    # One that has a topic alias only means nothing on another connection.
    decoded = decode_length(packet, 1, len(packet))
    return decoded is not None and any(packet[decoded[1] : decoded[1] + 2])
