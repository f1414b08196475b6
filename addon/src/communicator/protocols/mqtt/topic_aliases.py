"""The topic aliases of one connection, in both directions (MQTT 5.0, section 3.3.2.3.4)."""

from paho.mqtt.properties import Properties

from communicator.common.exception import ProtocolDecodeError
from communicator.protocols.mqtt.frames import PreparedPublish, with_topic_alias


class TopicAliases:
    """Gives the first topics sent an alias each, and remembers those that the broker gives."""

    __slots__ = ("_receive_limit", "_received", "_sent", "send_limit")

    def __init__(self, receive_limit: int) -> None:
        """Make it with the highest alias that the broker may use."""
        self._receive_limit = receive_limit
        self._received: dict[int, bytes] = {}
        self._sent: dict[str, int] = {}
        self.send_limit = 0  # what the broker takes, known from its CONNACK

    def clear(self) -> None:
        """Forget all: aliases mean nothing on another connection."""
        self._received.clear()
        self._sent.clear()
        self.send_limit = 0

    def shorten(self, prepared: PreparedPublish) -> PreparedPublish:
        """Return a message with an alias instead of, or at first beside, its topic; as it is when none is left."""
        alias = self._sent.get(prepared.topic)
        if alias is not None:
            return with_topic_alias(prepared, alias, named=False)
        if len(self._sent) >= self.send_limit:
            return prepared
        alias = self._sent[prepared.topic] = len(self._sent) + 1
        return with_topic_alias(prepared, alias, named=True)

    def resolve(self, topic_bytes: bytes, properties: Properties) -> bytes:
        """Return a received message's topic; empty when its alias was never given one.

        Raises:
            ProtocolDecodeError: the alias is higher than allowed.
        """
        alias: int | None = getattr(properties, "TopicAlias", None)
        if alias is None:
            return topic_bytes
        if not 0 < alias <= self._receive_limit:
            raise ProtocolDecodeError(f"topic alias {alias} was not allowed")
        if topic_bytes:
            self._received[alias] = topic_bytes
            return topic_bytes
        return self._received.get(alias, b"")
