"""What the layers ask of an MQTT client: a part of communicator's MQTTProtocol, all on one event loop."""

from collections.abc import Callable, Iterable
from typing import Protocol

from communicator.protocols.mqtt.frames import FAILURE
from communicator.protocols.mqtt.mqtt_protocol import FilterMatch, PreparedPublish, RoutingTable
from communicator.protocols.mqtt.routing_table import HandlerFactory

__all__ = [
    "FAILURE",
    "Connection",
    "FilterMatch",
    "HandlerFactory",
    "MessageHandler",
    "PreparedPublish",
    "RoutingTable",
]

type MessageHandler = Callable[[str, bytes, int], None]
"""handler(topic, payload, ack_token): ack_token is 0 at QoS 0."""


class Connection(Protocol):
    """Routes, acknowledgements and prepared publishes; see MQTTProtocol for each."""

    def route(self, topic_filter: str, handler: MessageHandler, qos: int = 1) -> None:
        """Subscribe, and call `handler` for each message."""

    def route_topics(self, table: RoutingTable) -> None:
        """Subscribe to the filters of a table instead of those of the last one; nothing of it can fail."""

    def unsubscribe(self, topic: str) -> bool:
        """End a subscription with all its handlers."""

    def acknowledge(self, ack_token: int, /) -> None:
        """Tell the broker that a message is done with."""

    def transmission(self, ack_token: int, /) -> tuple[int, bool]:
        """Return the packet identifier of the message being handled, and whether the broker sent it before (DUP)."""

    def is_retained(self) -> bool:
        """Tell whether the message being handled is one that the broker has kept."""

    def acknowledge_all(self, ack_tokens: Iterable[int], /) -> None:
        """Do so for many at once; none of them is 0."""

    def before_write(self, action: Callable[[], None]) -> None:
        """Call `action` once when all that one read brought is handled, and before anything is written."""

    def prepare(
        self, topic: str, qos: int = 1, retain: bool = False, message_expiry: int | None = None
    ) -> PreparedPublish:
        """Encode what all messages to a topic have in common."""

    def publish_prepared[T](
        self,
        prepared: PreparedPublish,
        payload: bytes,
        on_acknowledged: Callable[[T, int], None] | None = None,
        token: T = ...,
    ) -> bool:
        """Send; `on_acknowledged(token, reason_code)` follows the broker's answer. False when it was not taken."""

    def refusal(self, prepared: PreparedPublish, payload: bytes) -> str | None:
        """Return why the broker can never take a message; None when it can, now or later."""

    def pause(self) -> None:
        """Take no more messages for now."""

    def resume(self) -> None:
        """Take messages again."""
