"""One connection to a broker as the session sees it, and what every way to make one on paho has in common."""

import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from communicator.common.exception import ProtocolError
from communicator.protocols.mqtt.configuration import MQTTConfig
from communicator.protocols.mqtt.failures import connect_failure
from communicator.protocols.mqtt.frames import PreparedPublish
from communicator.protocols.mqtt.outbox import OutgoingMessage
from communicator.protocols.mqtt.properties import new_properties
from communicator.protocols.mqtt.tls import client_context

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike  # paho itself has the name for type checkers only

_QUICK_ACKNOWLEDGE: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only

NETWORK_FRAMES_A_TURN = 500
"""How many packets one turn handles, so that an event loop's other tasks live."""


class LinkEvents(Protocol):
    """What a link tells its session, always in the network loop and never while a lock is held."""

    wake: Callable[[], None]

    def accepted(self, session_present: bool, properties: Properties | None) -> None:
        """CONNACK with success."""

    def refused(self, reason_code: int, name: str, explanation: str | None) -> None:
        """CONNACK with a failure; the connection ends next."""

    def lost(self, reason: str) -> None:
        """The connection has ended, for whatever reason; called once for each connection that was opened."""

    def confirmed(self, request: int, reason_codes: Sequence[int]) -> None:
        """SUBACK or UNSUBACK."""


class Link(ABC):
    """One connection after the other to one broker, with one protocol version."""

    def __init__(self, config: MQTTConfig, events: LinkEvents, client: Client) -> None:
        self.version5 = client.protocol == MQTTProtocolVersion.MQTTv5
        self.error: Exception | None = None  # what the socket said last
        self.before_close: Callable[[], None] = lambda: None  # for a loop that watches the socket
        self._config = config
        self._events = events
        self._client = client
        self._buffers = False  # the socket may have read more than it gave: TLS does, and paho's WebSockets
        self._happened: deque[Callable[[], None]] = deque()
        self._requests: dict[int, int] = {}
        client.connect_timeout = config.timeout
        if config.transport == "websockets":
            client.ws_set_options(config.websocket_path)
        client.max_inflight_messages = 0  # the session's own window bounds it
        if config.username is not None:
            client.username_pw_set(config.username, config.password)
        if config.uses_tls:
            client.tls_set_context(client_context(config))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_confirmed
        client.on_unsubscribe = self._on_confirmed
        client.on_socket_close = lambda _client, _data, _socket: self.before_close()
        # Set, it keeps paho from writing to the socket in the thread that publishes: only the network loop does.
        client.on_socket_register_write = lambda _client, _data, _socket: None
        if self.version5:
            client.connect_async(
                config.broker_address,
                config.port,
                config.keepalive,
                clean_start=MQTT_CLEAN_START_FIRST_ONLY if config.clean_start else False,
                properties=_connect_properties(config),
            )
        else:
            client.connect_async(config.broker_address, config.port, config.keepalive)

    def set_will(self, will: PreparedPublish, payload: bytes) -> None:
        """Set the last will, before open."""
        properties = None
        if self.version5 and will.properties is not None:
            properties = new_properties(PacketTypes.WILLMESSAGE)
            for name in ("MessageExpiryInterval", "ResponseTopic", "CorrelationData", "ContentType", "UserProperty"):
                if hasattr(will.properties, name):
                    setattr(properties, name, getattr(will.properties, name))
        self._client.will_set(will.topic, payload, will.qos, will.retain, properties)

    def open(self) -> None:
        """Make the connection and send CONNECT; blocks for at most the configured timeout for each address.

        Raises:
            ProtocolError: there is no connection.
        """
        self.error = None
        try:
            self._client.reconnect()
        except ProtocolError:
            raise
        except (OSError, ValueError) as error:
            raise connect_failure(error, self._config.broker_address, self._config.port) from error
        opened = self._client.socket()
        if isinstance(opened, socket.socket):
            # Without it a small packet waits for the acknowledgement of the one before: 40 ms, again and again.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffers = hasattr(opened, "pending")

    @property
    def connection(self) -> "SocketLike | None":
        """Return the open socket, or None."""
        return self._client.socket()

    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self._client.socket() is not None

    @property
    def pending(self) -> bool:
        """Tell whether there is something to read that the operating system does not know of."""
        if not self._buffers:
            return False
        opened = self._client.socket()
        return opened is not None and hasattr(opened, "pending") and opened.pending() > 0

    @property
    @abstractmethod
    def wants_read(self) -> bool:
        """Tell whether to wait for something to read."""

    @property
    @abstractmethod
    def wants_write(self) -> bool:
        """Tell whether the socket did not take all there is to write."""

    @abstractmethod
    def receive(self, limit: int) -> bool:
        """Read once and handle up to `limit` packets; True when more of them are here already."""

    @abstractmethod
    def flush(self) -> None:
        """Write what there is, as far as the socket takes it."""

    @abstractmethod
    def publish(self, message: OutgoingMessage, again: bool) -> None:
        """Send a message of QoS 1 or 2; `again` after a reconnect that kept the broker's session."""

    @abstractmethod
    def publish_at_most_once(self, prepared: PreparedPublish, payload: bytes) -> bool:
        """Send a message of QoS 0; False when too much waits for the socket already."""

    @abstractmethod
    def acknowledge(self, identifier: bytes, qos: int) -> None:
        """Send PUBACK, or what takes its place at QoS 2."""

    @abstractmethod
    def subscribe(
        self, filters: Sequence[tuple[str, int]], request: int, restored: bool, identifier: int | None = None
    ) -> None:
        """Send SUBSCRIBE; its answer comes as `confirmed(request, …)`. MQTT 5.0 has one identifier for all its filters.

        `restored` asks a broker that still has the subscription not to send its retained messages again.
        """

    @abstractmethod
    def unsubscribe(self, filters: Sequence[str], request: int) -> None:
        """Send UNSUBSCRIBE; its answer comes as `confirmed(request, …)`."""

    @abstractmethod
    def pause(self, paused: bool) -> None:
        """Hold received messages back, or let them go."""

    @abstractmethod
    def begin(self, session_present: bool, alias_limit: int, keepalive: int | None) -> None:
        """Take over what the broker said in CONNACK, before anything is sent or delivered; keepalive in seconds."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what belongs to the connection that has ended."""

    def tick(self) -> None:
        """Keep the connection alive, and notice when it is not; to be called about every second."""
        self._client.loop_misc()
        self._tell()

    def say_goodbye(self, end_session: bool) -> None:
        """Send DISCONNECT after everything that waits; `end_session` tells the broker not to keep the session."""
        properties = None
        if self.version5 and end_session:
            properties = new_properties(PacketTypes.DISCONNECT)
            properties.SessionExpiryInterval = 0
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT) if properties else None, properties)

    @abstractmethod
    def close(self) -> None:
        """Close the socket at once, if there is one."""

    def _on_connect(
        self, _client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            explanation = getattr(properties, "ReasonString", None)
            self._happened.append(lambda: self._events.refused(reason.value, str(reason), explanation))
        else:
            self._happened.append(lambda: self._events.accepted(flags.session_present, properties))

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        text = self._reason_of_end(reason)
        self._happened.append(lambda: self._ended(text))

    def _reason_of_end(self, reason: ReasonCode) -> str:
        if self.error is not None:
            failure = connect_failure(self.error, self._config.broker_address, self._config.port)
            return failure.reason
        return str(reason)

    def _ended(self, reason: str) -> None:
        self._requests.clear()
        self.forget()
        self._events.lost(reason)

    def _on_confirmed(
        self, _client: Client, _data: object, identifier: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        request = self._requests.pop(identifier, None)
        if request is not None:
            codes = [reason.value for reason in reasons]
            self._happened.append(lambda: self._events.confirmed(request, codes))

    def _stir(self) -> None:
        # Looked up each time: the next network loop sets its own.
        self._events.wake()

    @staticmethod
    def _acknowledge_quickly(opened: object) -> None:
        # The kernel forgets it after each read. With it the broker need not wait for a delayed ACK.
        if _QUICK_ACKNOWLEDGE is not None and isinstance(opened, socket.socket):
            opened.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGE, 1)

    def _tell(self) -> None:
        # Collected while paho held its locks; told when it does not, so that callbacks may call anything.
        while self._happened:
            self._happened.popleft()()

    def _ask_to_subscribe(
        self, filters: Sequence[tuple[str, int]], request: int, restored: bool, number: int | None
    ) -> None:
        if self.version5:
            handling = (
                SubscribeOptions.RETAIN_SEND_IF_NEW_SUB if restored else SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            )
            properties = None
            if number is not None:
                properties = new_properties(PacketTypes.SUBSCRIBE)
                properties.SubscriptionIdentifier = number
            _, identifier = self._client.subscribe(
                [(name, SubscribeOptions(qos=qos, retainHandling=handling)) for name, qos in filters],
                properties=properties,
            )
        else:
            _, identifier = self._client.subscribe(list(filters))
        if identifier is not None:
            self._requests[identifier] = request

    def _ask_to_unsubscribe(self, filters: Sequence[str], request: int) -> None:
        _, identifier = self._client.unsubscribe(list(filters))
        if identifier is not None:
            self._requests[identifier] = request


def new_client[C: Client](kind: type[C], config: MQTTConfig, client_id: str, version5: bool) -> C:
    """Return a paho client of this kind for these settings."""
    return kind(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if version5 else config.clean_start,
        protocol=MQTTProtocolVersion.MQTTv5 if version5 else MQTTProtocolVersion.MQTTv311,
        # Whether and when to connect again is decided by the session, as is which version to try.
        reconnect_on_failure=False,
        transport=config.transport,
        manual_ack=True,
    )


def _connect_properties(config: MQTTConfig) -> Properties:
    properties = new_properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = config.session_expiry_interval
    properties.ReceiveMaximum = config.receive_maximum
    if config.topic_alias_maximum:
        properties.TopicAliasMaximum = config.topic_alias_maximum
    return properties
