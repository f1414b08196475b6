"""The same connection on paho's public interface only: slower, and there for a paho that the fast path does not fit.

All of paho is called in the network loop: its callbacks run under locks of its own, which must never meet ours.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import override

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from communicator.protocols.mqtt.configuration import MQTTConfig
from communicator.protocols.mqtt.frames import DUPLICATE, PUBLISH, RETAIN, PreparedPublish
from communicator.protocols.mqtt.link import Link
from communicator.protocols.mqtt.outbox import OutgoingMessage
from communicator.protocols.mqtt.session import Session

HELD_MESSAGES = 10_000
UNSENT_MESSAGES = 10_000


class StockLink(Link):
    """See the module. It sends no topic aliases, and heeds the broker's keep-alive only where that is no shorter."""

    def __init__(self, config: MQTTConfig, session: Session, client: Client) -> None:
        super().__init__(config, session, client)
        self._session = session
        self._commands: deque[Callable[[], None]] = deque()
        self._arrived: deque[MQTTMessage] = deque()
        self._settled: deque[tuple[int, int]] = deque()
        self._identifiers: dict[int, int] = {}  # paho's packet identifier -> the session's
        self._handed_over: set[int] = set()  # the same, from the moment paho is to have them
        self._aliases: dict[int, str] = {}
        self._paused = False
        self._accepting = False
        client.on_message = lambda _client, _data, message: self._take(self._named(message))
        client.on_publish = self._on_publish

    @property
    @override
    def wants_read(self) -> bool:
        # While an answer is to come the socket is read however much is held: who paused us may be waiting for it.
        return not self._paused or len(self._arrived) < HELD_MESSAGES or self._awaits_answer

    @property
    def _awaits_answer(self) -> bool:
        return bool(self._session.outbox.in_flight or self._requests)

    @property
    @override
    def wants_write(self) -> bool:
        return self._client.want_write()

    @property
    @override
    def pending(self) -> bool:
        return super().pending and self.wants_read if self._paused else bool(self._arrived) or super().pending

    @override
    def begin(self, session_present: bool, alias_limit: int, keepalive: int | None) -> None:
        del session_present, alias_limit, keepalive  # paho keeps the first; the others have no public way in

    @override
    def forget(self) -> None:
        with self._session.lock:
            self._commands.clear()
            self._handed_over = set(self._identifiers.values())
        while self._arrived and not self._paused:
            # It is here, and a broker that was killed may not have it any more: rather twice than never.
            self._deliver(self._arrived.popleft())
        # Held back while paused: what is not acknowledged comes again, QoS 0 does not.
        self._arrived = deque(message for message in self._arrived if message.qos == 0)
        self._commands.clear()
        self._aliases.clear()

    @override
    def open(self) -> None:
        self.forget()
        super().open()

    @override
    def close(self) -> None:
        opened = self._client.socket()
        if opened is not None:
            opened.close()
        self._client.loop_read()
        self._tell()

    @override
    def receive(self, limit: int) -> bool:
        if self.wants_read:
            self._session.counters.socket_reads += 1
            code = self._client.loop_read()
            if code == MQTTErrorCode.MQTT_ERR_PROTOCOL and not self._session.stood and not self.version5:
                # Paho keeps CONNACK's "unacceptable protocol version" to itself.
                self._session.refused(0x84, "Unsupported protocol version", None)
            self._acknowledge_quickly(self._client.socket())
        self._tell()
        self._settle()
        handled = 0
        while self._arrived and not self._paused and handled < limit:
            if self._session.stopping:
                return False
            handled += 1
            self._deliver(self._arrived.popleft())
        return bool(self._arrived) and not self._paused

    @override
    def flush(self) -> None:
        while self._commands:
            self._commands.popleft()()
        if self._client.want_write():
            self._session.counters.socket_writes += 1
            self._client.loop_write()
        self._tell()
        self._settle()

    @override
    def pause(self, paused: bool) -> None:
        self._paused = paused
        if not paused:
            self._stir()

    @override
    def publish(self, message: OutgoingMessage, again: bool) -> None:
        del again  # paho sends again what it has, before anything new
        identifier = message.identifier
        if identifier in self._handed_over:
            return
        self._handed_over.add(identifier)
        prepared = message.prepared

        def send() -> None:
            while True:
                info = self._client.publish(
                    prepared.topic, message.payload, prepared.qos, prepared.retain, self._properties(prepared)
                )
                if info.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # the identifier is in use; paho takes the next
                    self._identifiers[info.mid] = identifier
                    return

        self._commands.append(send)

    @override
    def publish_at_most_once(self, prepared: PreparedPublish, payload: bytes) -> bool:
        if len(self._commands) > UNSENT_MESSAGES:
            return False
        self._commands.append(
            lambda: self._ignore(
                self._client.publish(prepared.topic, payload, 0, prepared.retain, self._properties(prepared))
            )
        )
        return True

    @override
    def acknowledge(self, identifier: bytes, qos: int) -> None:
        self._commands.append(lambda: self._ignore(self._client.ack(int.from_bytes(identifier), qos)))

    @override
    def subscribe(
        self, filters: Sequence[tuple[str, int]], request: int, restored: bool, identifier: int | None = None
    ) -> None:
        if self._accepting:
            self._ask_to_subscribe(filters, request, restored, identifier)
        else:
            self._commands.append(lambda: self._ask_to_subscribe(filters, request, restored, identifier))

    @override
    def unsubscribe(self, filters: Sequence[str], request: int) -> None:
        self._commands.append(lambda: self._ask_to_unsubscribe(filters, request))

    @staticmethod
    def _ignore(_result: object) -> None:
        """Take what paho returns; that the connection is gone is told by its callback."""

    @override
    def _on_connect(
        self, client: Client, data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        super()._on_connect(client, data, flags, reason, properties)
        # Now, not after paho's lock: paho sends its messages again when this returns, and the subscriptions come first.
        self._accepting = True
        try:
            self._tell()
        finally:
            self._accepting = False

    def _properties(self, prepared: PreparedPublish) -> Properties | None:
        return prepared.properties if self.version5 else None

    def _on_publish(
        self, _client: Client, _data: object, identifier: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        self._settled.append((identifier, reason.value))

    def _settle(self) -> None:
        while self._settled:
            identifier, code = self._settled.popleft()
            own = self._identifiers.pop(identifier, None)
            if own is not None:
                self._handed_over.discard(own)
                self._session.settled(own, code)

    def _take(self, message: MQTTMessage) -> None:
        if self._paused and message.qos == 0 and len(self._arrived) >= HELD_MESSAGES:
            topic = message.topic
            self._happened.append(lambda: self._session.dropped(topic))
        else:
            self._arrived.append(message)

    def _named(self, message: MQTTMessage) -> MQTTMessage:
        alias = getattr(message.properties, "TopicAlias", None)
        if alias is not None:
            if message.topic:
                self._aliases[alias] = message.topic
            else:
                message.topic = self._aliases.get(alias, "").encode()
        return message

    def _deliver(self, message: MQTTMessage) -> None:
        topic_bytes = message.topic.encode()
        dispatcher = self._session.dispatcher
        recipients = dispatcher.recipients(topic_bytes, getattr(message.properties, "SubscriptionIdentifier", ()))
        command = PUBLISH | (DUPLICATE if message.dup else 0) | message.qos << 1 | (RETAIN if message.retain else 0)
        identifier = message.mid.to_bytes(2)
        dispatcher.deliver(recipients, bytes(message.payload), command, identifier, message.properties)
