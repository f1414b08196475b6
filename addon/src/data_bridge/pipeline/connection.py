"""The interface of the MQTT client for the layers: a part of communicator's MQTTProtocol, on one event loop."""

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
        """Replace the subscriptions by the filters of a table; this cannot fail."""

    def unsubscribe(self, topic: str) -> bool:
        """End a subscription with all its handlers."""

    def acknowledge(self, ack_token: int, /) -> None:
        """Acknowledge a message."""

    def transmission(self, ack_token: int, /) -> tuple[int, bool]:
        """Return the packet identifier of the message being handled, and whether it is marked as a redelivery (DUP)."""

    def is_retained(self) -> bool:
        """Return whether the message being handled is a retained one."""

    def acknowledge_all(self, ack_tokens: Iterable[int], /) -> None:
        """Acknowledge many messages; no token is 0."""

    def before_write(self, action: Callable[[], None]) -> None:
        """Call `action` once after all packets of one read are handled, and before anything is written."""

    def prepare(
        self, topic: str, qos: int = 1, retain: bool = False, message_expiry: int | None = None
    ) -> PreparedPublish:
        """Encode the common part of all messages to a topic."""

    def publish_prepared[T](
        self,
        prepared: PreparedPublish,
        payload: bytes,
        on_acknowledged: Callable[[T, int], None] | None = None,
        token: T = ...,
    ) -> bool:
        """Send; `on_acknowledged(token, reason_code)` follows the broker's answer. False when there is no room."""

    def refusal(self, prepared: PreparedPublish, payload: bytes) -> str | None:
        """Return why the broker can never accept a message; None when it can, now or later."""

    def pause(self) -> None:
        """Stop reading messages."""

    def resume(self) -> None:
        """Continue to read messages."""
