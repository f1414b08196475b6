"""A connection whose broker is the test itself: it sees every publish and decides about every acknowledgement."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, PreparedPublish
from communicator.protocols.mqtt.subscriptions import Subscriptions
from data_bridge.damaged_files import DamagedFile
from data_bridge.pipeline.connection import MessageHandler, RoutingTable


@dataclass(slots=True)
class Sent:
    """One publish, and how the broker answers it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    answer: Callable[[int], None]


@dataclass(slots=True)
class ScriptedConnection:
    """Records, also what it `asked` the broker for.

    `refuse` lets publish_prepared say that the queue is full, `answer_at_once` is every answer. `retained`
    marks what it delivers as kept. `largest` is how many bytes of payload the broker takes; as with a real one, only
    QoS 1 is answered for more.
    """

    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    routes: dict[str, MessageHandler] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    transmissions: dict[int, tuple[int, bool]] = field(default_factory=dict)
    paused: bool = False
    refuse: bool = False
    answer_at_once: int | None = None
    largest: int | None = None
    retained: bool = False
    _subscriptions: Subscriptions = field(default_factory=Subscriptions)
    _handlers: dict[str, Sequence[MessageHandler]] = field(default_factory=dict)
    _protocol: MQTTProtocol = field(default_factory=lambda: MQTTProtocol(broker_address="nowhere"))

    def route(self, topic_filter: str, handler: MessageHandler, qos: int = 1) -> None:
        del qos
        self.routes[topic_filter] = handler
        self.asked.append(("subscribe", topic_filter))

    def route_topics(self, table: RoutingTable) -> None:
        asked, ended = self._subscriptions.route(table)
        self.asked += [("subscribe", each.topic_filter) for each in asked]
        self.asked += [("unsubscribe", each) for each in ended]
        self._handlers = {}

    def deliver(self, topic: str, payload: bytes, delivery: int = 0) -> None:
        """Give a message that came by the routing table to its handlers."""
        if topic not in self._handlers:
            found = self._subscriptions.match(topic)
            self._handlers[topic] = found.make_handlers(topic, found.routed)
        handlers = self._handlers[topic]
        assert handlers, f"nothing is subscribed that matches {topic}"
        for handler in handlers:
            handler(topic, payload, delivery)

    def unsubscribe(self, topic: str) -> bool:
        self.asked.append(("unsubscribe", topic))
        return self.routes.pop(topic, None) is not None

    def acknowledge(self, delivery: int) -> None:
        self.acknowledged.append(delivery)

    def before_write(self, action: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(action)

    def acknowledge_all(self, deliveries: Iterable[int]) -> None:
        for delivery in deliveries:
            self.acknowledge(delivery)

    def transmission(self, delivery: int) -> tuple[int, bool]:
        return self.transmissions.get(delivery, (delivery, False))

    def is_retained(self) -> bool:
        return self.retained

    def prepare(
        self, topic: str, qos: int = 1, retain: bool = False, message_expiry: int | None = None
    ) -> PreparedPublish:
        return self._protocol.prepare(topic, qos, retain, message_expiry)

    def publish_prepared[T](
        self,
        prepared: PreparedPublish,
        payload: bytes,
        on_acknowledged: Callable[[T, int], None] | None = None,
        token: T = None,  # type: ignore[assignment]  # as in MQTTProtocol
    ) -> bool:
        too_large = self.refusal(prepared, payload) is not None
        if self.refuse or (too_large and not prepared.qos):
            return False

        def answer(reason_code: int) -> None:
            if on_acknowledged is not None:
                on_acknowledged(token, reason_code)

        self.sent.append(Sent(prepared.topic, payload, prepared.qos, prepared.retain, answer))
        if too_large:
            self.sent.pop()
            answer(0x95)
        elif self.answer_at_once is not None:
            asyncio.get_running_loop().call_soon(answer, self.answer_at_once)
        return True

    def refusal(self, prepared: PreparedPublish, payload: bytes) -> str | None:
        if self.largest is None or len(payload) <= self.largest:
            return None
        return f"{len(payload)} bytes on {prepared.topic} are too many"

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def take(self) -> list[Sent]:
        """Return what was published since the last call."""
        taken, self.sent = self.sent, []
        return taken


def refused_nothing(topic: str, error: str) -> None:
    """What an announcer tells of an announcement that is refused, where none should be."""
    raise AssertionError(f"{topic}: {error}")


def not_damaged(damaged: DamagedFile) -> None:
    """What is reported of a damaged file, where none should be."""
    raise AssertionError(damaged)
