"""The MQTT client: `MQTTProtocol`, with the settings of both generations of its API."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Unpack

from communicator.common.exception import (
    ProtocolError,
    ProtocolQueueFullError,
    ProtocolTimeoutError,
    ProtocolValidationError,
)
from communicator.interfaces.protocol import MessageCallback, PubSubProtocol
from communicator.protocols.mqtt.asyncio_loop import AsyncioLoop
from communicator.protocols.mqtt.configuration import BrokerConfig, ClientConfig, MQTTConfig, MQTTSettings, combine
from communicator.protocols.mqtt.connection_state import BrokerLimits, ConnectionState, StateCallbacks
from communicator.protocols.mqtt.frames import FAILURE, PreparedPublish, check_qos, prepare_publish
from communicator.protocols.mqtt.links import fast_link, stock_link
from communicator.protocols.mqtt.properties import MessageProperties
from communicator.protocols.mqtt.routing_table import FilterMatch, FrameHandler, RoutingTable
from communicator.protocols.mqtt.session import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED, Session
from communicator.protocols.mqtt.statistics import MQTTStatistics
from communicator.protocols.mqtt.subscriptions import MessageHandler, ReceivedMessage
from communicator.protocols.mqtt.thread_loop import ThreadLoop

__all__ = [
    "BrokerConfig",
    "BrokerLimits",
    "ClientConfig",
    "ConnectionState",
    "FilterMatch",
    "MQTTConfig",
    "MQTTProtocol",
    "MQTTStatistics",
    "MessageProperties",
    "PreparedPublish",
    "ReceivedMessage",
    "RoutingTable",
    "StateCallbacks",
]

DRAIN_SECONDS = 10.0
"""How long `disconnect` waits for messages that the broker has not acknowledged."""
END_SECONDS = 5.0
REMEMBERED_TOPICS = 4096

Payload = str | bytes | bytearray | memoryview


class MQTTProtocol(PubSubProtocol):
    """An MQTT 3.1.1 and 5.0 client, for any number of threads or one asyncio loop.

    `MQTTProtocol(BrokerConfig(…), ClientConfig())`, `MQTTProtocol(MQTTConfig(…))` and
    `MQTTProtocol(broker_address="…", port=1883)` are the same client; only the QoS used when none is given differs:
    0 with the first, 1 with the others.

    Callbacks run in the network thread (or loop): they may call every method, but what would have to wait for the
    broker does not wait there. `callbacks` tells of the connection's changes.
    """

    def __init__(
        self,
        config: MQTTConfig | BrokerConfig | str | None = None,
        client: ClientConfig | None = None,
        *,
        fast_path: bool = True,
        **settings: Unpack[MQTTSettings],
    ) -> None:
        """Make a client; nothing is connected before `connect`.

        Args:
            config: the settings, or just the broker's address.
            client: the second half of the settings of the first generation.
            fast_path: False keeps to paho's public interface: slower, for comparison.
            settings: the fields of `MQTTConfig`; with a config, those that differ from it.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        unknown = sorted(set(settings) - set(MQTTSettings.__annotations__))
        if unknown:
            raise ProtocolValidationError(
                f"MQTT has no setting {', '.join(unknown)}; there are {', '.join(sorted(MQTTSettings.__annotations__))}"
            )
        if isinstance(config, BrokerConfig):
            config = combine(config, client or ClientConfig())
        elif client is not None:
            raise ProtocolValidationError("a ClientConfig goes with a BrokerConfig")
        if isinstance(config, MQTTConfig):
            self.config = replace(config, **settings)
        else:
            if config is not None:
                settings["broker_address"] = config
            if "broker_address" not in settings:
                raise ProtocolValidationError("broker_address is missing")
            self.config = MQTTConfig(**settings)
        self._session = Session(self.config, fast_link if fast_path else stock_link)
        self._loop: ThreadLoop | AsyncioLoop | None = None
        self._attached: asyncio.AbstractEventLoop | None = None
        self._connect_lock = threading.Lock()
        self._prepared: dict[tuple[str, int, bool], PreparedPublish] = {}

    # ------------------------------------------------------------------ the connection

    @property
    def is_connected(self) -> bool:
        """Tell whether the broker has accepted this client and the connection is not known to be lost."""
        return self._session.state is ConnectionState.CONNECTED

    @property
    def state(self) -> ConnectionState:
        """Return where the client stands."""
        return self._session.state

    @property
    def client_id(self) -> str:
        """Return the client id: the configured one, or this object's random one."""
        return self._session.client_id

    @property
    def callbacks(self) -> StateCallbacks:
        """Return the state callbacks, to be set."""
        return self._session.callbacks

    @property
    def limits(self) -> BrokerLimits:
        """Return what the broker said that it supports when it last accepted the client."""
        return self._session.limits

    def set_will(
        self, topic: str, payload: Payload, qos: int = 0, retain: bool = False, *, message_expiry: int | None = None
    ) -> None:
        """Set the message that the broker publishes when this client is lost; from the next connect on.

        Raises:
            ProtocolValidationError: the topic, the QoS or the payload is impossible.
        """
        will = prepare_publish(topic, qos, retain, message_expiry=message_expiry)
        self._session.set_will(will, _payload_bytes(payload))

    def connect(self) -> bool:
        """Connect, and return True when the broker has accepted; within `timeout` seconds.

        From then on a lost connection is made again by itself. A failure here is not tried again.

        Raises:
            ProtocolAuthenticationError: bad user name or password, not authorised, or a certificate refused.
            ProtocolConnectionError: refused, unreachable, no answer (ProtocolTimeoutError), or the broker's certificate
                is not good (ProtocolCertificateError and its kinds).
            ProtocolError: the protocol version, the client id, or the server is unavailable.
        """
        if self._attached is not None:
            return self._connect_attached(self._attached)
        if self._inside and not self.is_connected:
            # Before the lock: whoever has it may be waiting for this very thread.
            raise ProtocolError("connect() waits for the network loop and cannot be called in a callback")
        with self._connect_lock:
            if self.is_connected and not self._session.stopping:
                return True
            loop = self._loop
            if not isinstance(loop, ThreadLoop) or not loop.running or self._session.stopping:
                self._await_end(loop)
                self._session.begin()
                # Only now: a loop that ends tells its failure to whoever waits.
                connecting = self._session.connecting = Future()
                loop = self._loop = ThreadLoop(self._session, daemon=self.config.mode == "non-blocking")
                loop.start()
            else:
                connecting = self._session.connecting = Future()
            self._await_connection(connecting, loop)
        return True

    async def connect_async(self) -> bool:
        """Connect on the running asyncio loop, which then does all network work; see `connect`.

        Raises:
            ProtocolError: as `connect`.
        """
        if self.is_connected and not self._session.stopping:
            return True
        if self._attached is None:
            self.attach(asyncio.get_running_loop())
        loop = self._loop
        if isinstance(loop, AsyncioLoop) and loop.running and self._session.stopping:
            await loop.wait_ended()
        # Whoever connects while another does waits for the same answer.
        connecting = self._session.connecting = self._session.connecting or Future()
        if not isinstance(loop, AsyncioLoop) or not loop.running:
            self._session.begin()
            loop = self._loop = AsyncioLoop(self._session)
            loop.start()
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(connecting)), self.config.timeout)
        except TimeoutError as error:
            self._stop(loop)
            raise self._timed_out() from error
        except asyncio.CancelledError:
            self._stop(loop)
            raise
        return True

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do the network work of the next connection on this asyncio loop instead of in a thread.

        Raises:
            ProtocolError: the client is connected already.
        """
        if self._loop is not None and self._loop.running:
            raise ProtocolError("attach() comes before connect()")
        self._attached = loop

    def disconnect(self) -> None:
        """Send what waits, tell the broker goodbye, and end; in a callback it ends when the callback returns.

        Messages that the broker does not acknowledge within ten seconds stay queued here for the next connect.
        """
        loop = self._loop
        if loop is None or not loop.running:
            return
        if loop.inside or isinstance(loop, AsyncioLoop):
            self._stop(loop)
            return
        self._wait(self._session.when_drained(), min(self.config.timeout, DRAIN_SECONDS))
        self._stop(loop)
        loop.wait_ended(END_SECONDS)

    async def disconnect_async(self) -> None:
        """Do what `disconnect` does, on the asyncio loop."""
        loop = self._loop
        if not isinstance(loop, AsyncioLoop) or not loop.running:
            return
        seconds = min(self.config.timeout, DRAIN_SECONDS)
        await asyncio.wait([asyncio.wrap_future(self._session.when_drained())], timeout=seconds)
        self._stop(loop)
        await loop.wait_ended()

    def stop_loop(self) -> None:
        """End the network loop, and with it a `loop_forever`: the same as `disconnect`."""
        self.disconnect()

    def loop_forever(self) -> None:
        """Wait until the client is disconnected, stopped or has given up.

        Raises:
            ProtocolError: it has given up; the reason of the last attempt.
        """
        loop = self._loop
        if isinstance(loop, ThreadLoop):
            loop.wait_ended(None)
        if self.state is ConnectionState.GAVE_UP and self._session.failure is not None:
            raise self._session.failure

    # ------------------------------------------------------------------ publish

    def publish(
        self,
        topic: str,
        message: Payload,
        qos: int | None = None,
        retain: bool = False,
        *,
        message_expiry: int | None = None,
        user_properties: Iterable[tuple[str, str]] = (),
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        content_type: str | None = None,
    ) -> bool:
        """Publish one message; True when it is on its way or queued, in blocking mode when the broker has it.

        QoS 1 and 2 wait for the connection in a bounded queue, in order. QoS 0 without a connection is dropped and
        counted, and False is returned. The keyword-only arguments are MQTT 5.0's; with 3.1.1 they are not sent.

        Raises:
            ProtocolValidationError: the topic, the QoS, the payload or a property is impossible.
            ProtocolQueueFullError: the queue is full; the message was not taken.
            ProtocolTimeoutError: blocking mode, and no acknowledgement in time; the message stays queued.
            ProtocolError: blocking mode, and the broker refused the message.
        """
        qos = self.config.default_qos if qos is None else qos
        if message_expiry is None and response_topic is None and correlation_data is None and content_type is None:
            user_properties = tuple(user_properties)
            prepared = None if user_properties else self._remembered(topic, qos, retain)
        else:
            prepared = None
        if prepared is None:
            prepared = prepare_publish(
                topic,
                qos,
                retain,
                message_expiry=message_expiry,
                user_properties=user_properties,
                response_topic=response_topic,
                correlation_data=correlation_data,
                content_type=content_type,
            )
        payload = _payload_bytes(message)
        if refusal := self.refusal(prepared, payload):
            raise ProtocolValidationError(refusal)
        if self.config.mode == "blocking" and qos and not self._inside:
            return self._publish_confirmed(prepared, payload)
        return self._taken(prepared, self._session.publish(prepared, payload, None, None))

    def prepare(
        self, topic: str, qos: int = 1, retain: bool = False, message_expiry: int | None = None
    ) -> PreparedPublish:
        """Check and encode everything of a message but its payload, once for many; `message_expiry` in seconds.

        Raises:
            ProtocolValidationError: the topic, the QoS or the expiry is impossible.
        """
        return prepare_publish(topic, qos, retain, message_expiry=message_expiry)

    def publish_prepared[T](
        self,
        prepared: PreparedPublish,
        payload: bytes,
        on_acknowledged: Callable[[T, int], None] | None = None,
        token: T = None,  # type: ignore[assignment]  # without a callback there is no token whose type could be wrong
    ) -> bool:
        """Publish one message, never waiting; False, and counted, when the queue is full or QoS 0 finds no connection.

        All packets that one read of the socket causes leave in one write. A message of QoS 1 or 2 stays with the
        client until the broker has acknowledged it and is sent again after a reconnect; then
        `on_acknowledged(token, reason_code)` is called in the network loop: 0 for success, 0x80 and above when the
        broker refused it.
        """
        # The token goes back to the callback that came with it, so that their type stays the same.
        return self._session.publish(prepared, payload, on_acknowledged, token)  # type: ignore[arg-type]

    def refusal(self, prepared: PreparedPublish, payload: bytes) -> str | None:
        """Return why the broker can never take a message, by what it said when it last accepted us; None if it can.

        To be asked when `publish_prepared` has returned False: with QoS 0 that may mean "not now" or "never".
        """
        reason_code = self._session.refusal_of(prepared, payload)
        return self._explanation(reason_code, prepared, payload) if reason_code else None

    # ------------------------------------------------------------------ subscribe

    def subscribe(self, topic: str, callback: MessageCallback, qos: int | None = None) -> bool:
        """Call `callback(topic, payload)` for each message that matches; as many callbacks for one filter as wanted.

        Wildcards and shared subscriptions (`$share/<group>/<filter>`) are fine. Without a connection the subscription
        is made when there is one; after a reconnect it is made again with its QoS. The message is acknowledged when all
        callbacks have returned. In blocking mode it returns when the broker has confirmed.

        Raises:
            ProtocolValidationError: the filter or the QoS is impossible, or (blocking mode) the broker refused it.
            ProtocolTimeoutError: blocking mode, and no answer in time.
        """
        qos = check_qos(self.config.default_qos if qos is None else qos)
        return self._confirmed(
            self._session.subscribe(topic, qos, lambda subscription: subscription.callbacks.append(callback))
        )

    def observe(self, topic_filter: str, handler: MessageHandler, qos: int = 1) -> bool:
        """Call `handler(message)` with everything that came with a message: QoS, retained, MQTT 5.0 properties.

        Raises:
            ProtocolValidationError: as `subscribe`.
            ProtocolTimeoutError: as `subscribe`.
        """
        return self._confirmed(
            self._session.subscribe(
                topic_filter, check_qos(qos), lambda subscription: subscription.observers.append(handler)
            )
        )

    def route(self, topic_filter: str, handler: FrameHandler, qos: int = 1) -> None:
        """Call `handler(topic, payload, delivery)` in the network loop for each message that matches.

        `delivery` is 0 for QoS 0. Else the message is not acknowledged to the broker before `acknowledge(delivery)`: a
        client that dies before then gets it again, given a persistent session. Where several routes match, each gets a
        delivery of its own, and must acknowledge it. An exception in the handler acknowledges too, and is counted and
        logged.

        Raises:
            ProtocolValidationError: the filter or the QoS is impossible.
        """
        self._session.subscribe(topic_filter, check_qos(qos), lambda subscription: subscription.routes.append(handler))

    def route_topics(self, table: RoutingTable) -> None:
        """Subscribe to all filters of a table, and give each topic's messages to the handlers that it makes.

        It takes the place of the table of an earlier call as a whole: nothing of it can fail. Deliveries are as of
        `route`.
        """
        self._session.route(table)

    @property
    def is_subscribed(self) -> bool:
        """Tell whether there is a connection, and the broker has answered every subscription."""
        return self._session.is_subscribed

    async def subscribed_async(self) -> bool:
        """Wait until the broker has answered every subscription; False when the client is stopped before that."""
        return await asyncio.wrap_future(self._session.when_subscribed())

    def acknowledge(self, delivery: int) -> None:
        """Acknowledge a delivery of `route`; from any thread and in any order.

        The broker hears of them in the order the messages came, as MQTT demands. Deliveries of an earlier connection
        are ignored: the broker sends those messages again.
        """
        if delivery:
            self._session.acknowledge((delivery,))

    def acknowledge_all(self, deliveries: Iterable[int]) -> None:
        """Acknowledge many at once, which costs less than one by one; none of them may be 0."""
        self._session.acknowledge(deliveries)

    def transmission(self, delivery: int) -> tuple[int, bool]:
        """Return a delivery's packet identifier, and whether the broker marked it as sent before (DUP).

        To be asked by a handler of `route` while it handles the message, before it acknowledges it. A message that is
        sent again, to the same session, has the packet identifier that it had (MQTT 5.0, section 4.4).
        """
        return self._session.dispatcher.transmission(delivery)

    def is_retained(self) -> bool:
        """Tell whether the message that a handler of `route` is handling is one that the broker has kept.

        The broker marks so what it sends because of a subscription, and not what is published while there is one.
        """
        return self._session.dispatcher.is_retained()

    def before_write(self, action: Callable[[], None]) -> None:
        """Call `action` once in the network loop, after all packets of this read were handled and before it writes.

        The place to do once what many messages ask for; what it publishes and acknowledges leaves in the same write.
        """
        self._session.before_write(action)

    def unsubscribe(self, topic: str, callback: Callable[..., None] | None = None) -> bool:
        """Remove one callback, handler or observer of a filter, or all; the broker hears of it when nobody is left.

        Raises:
            ProtocolTimeoutError: blocking mode, and no answer in time.
        """
        return self._confirmed(self._session.unsubscribe(topic, callback))

    # ------------------------------------------------------------------ flow and numbers

    def pause(self) -> None:
        """Hold received messages back, so that a full queue behind the handlers loses nothing.

        Acknowledgements and the heartbeat go on. Up to 8 MiB are held here; then the socket is not read, and TCP holds
        the broker back. Only while the broker owes us an answer, it is: then more of QoS 1 and 2 are held, as many as
        the broker sends without our answer, and what is QoS 0 is dropped and counted.
        """
        self._session.pause(True)

    def resume(self) -> None:
        """Let received messages go again, those held back first."""
        self._session.pause(False)

    def statistics(self) -> MQTTStatistics:
        """Return the counters as they are now."""
        return self._session.statistics()

    # ------------------------------------------------------------------ inside

    @property
    def _inside(self) -> bool:
        return self._loop is not None and self._loop.inside

    def _remembered(self, topic: str, qos: int, retain: bool) -> PreparedPublish:
        prepared = self._prepared.get((topic, qos, retain))
        if prepared is None:
            prepared = prepare_publish(topic, qos, retain)
            if len(self._prepared) >= REMEMBERED_TOPICS:
                self._prepared = {}
            self._prepared[topic, qos, retain] = prepared
        return prepared

    def _taken(self, prepared: PreparedPublish, taken: bool) -> bool:
        if not taken and (prepared.qos or self.is_connected):
            raise ProtocolQueueFullError(
                f"the queue is full: {self.config.publish_queue_maxsize} messages wait"
                if prepared.qos
                else "the network does not take what is published",
                host=self.config.broker_address,
                port=self.config.port,
            )
        return taken

    def _publish_confirmed(self, prepared: PreparedPublish, payload: bytes) -> bool:
        settled: Future[int] = Future()
        self._taken(prepared, self._session.publish(prepared, payload, lambda _, code: settled.set_result(code), None))
        try:
            code = settled.result(self.config.timeout)
        except TimeoutError as error:
            raise self._timed_out() from error
        if code >= FAILURE:
            raise ProtocolError(
                f"the broker refused a message on {prepared.topic!r}: reason code {code:#04x}",
                host=self.config.broker_address,
                port=self.config.port,
            )
        return True

    def _confirmed(self, answer: Future[None] | None) -> bool:
        if answer is not None and self.config.mode == "blocking" and not self._inside:
            try:
                answer.result(self.config.timeout)
            except TimeoutError as error:
                raise self._timed_out() from error
        return True

    def _connect_attached(self, loop: asyncio.AbstractEventLoop) -> bool:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            raise ProtocolError("on the attached asyncio loop use connect_async()")
        return asyncio.run_coroutine_threadsafe(self.connect_async(), loop).result()

    def _await_connection(self, connecting: Future[None], loop: ThreadLoop) -> None:
        try:
            connecting.result(self.config.timeout)
        except TimeoutError as error:
            self._stop(loop)
            raise self._timed_out() from error

    def _stop(self, loop: ThreadLoop | AsyncioLoop) -> None:
        self._session.stopping = True
        loop.wake()

    def _await_end(self, loop: ThreadLoop | AsyncioLoop | None) -> None:
        if isinstance(loop, ThreadLoop) and loop.running and not loop.wait_ended(self.config.timeout):
            raise self._timed_out()

    def _explanation(self, reason_code: int, prepared: PreparedPublish, payload: bytes) -> str:
        if reason_code == QOS_NOT_SUPPORTED:
            return f"the broker takes QoS {self._session.maximum_qos} at most, not {prepared.qos} on {prepared.topic!r}"
        if reason_code == RETAIN_NOT_SUPPORTED:
            return f"the broker keeps no retained messages, and {prepared.topic!r} is one"
        limit = self._session.maximum_packet
        return f"the broker takes packets of {limit} bytes; {len(payload)} bytes on {prepared.topic!r} are too many"

    def _timed_out(self) -> ProtocolTimeoutError:
        return ProtocolTimeoutError(
            f"the broker did not answer within {self.config.timeout:g} s",
            host=self.config.broker_address,
            port=self.config.port,
        )

    @staticmethod
    def _wait(future: Future[None], seconds: float) -> None:
        try:
            future.result(seconds)
        except TimeoutError:
            return


def _payload_bytes(payload: Payload) -> bytes:
    if isinstance(payload, str):
        try:
            return payload.encode()
        except UnicodeEncodeError as error:
            raise ProtocolValidationError(
                f"a payload that is a text becomes UTF-8, which has no lone surrogate; there is one at {error.start}"
            ) from None
    if isinstance(payload, (bytes, bytearray, memoryview)):
        return bytes(payload)
    raise ProtocolValidationError(f"a payload is a text or bytes, not {type(payload).__name__}")
