"""What outlives a connection: subscriptions, messages on their way, deliveries, counters, and who is told of what."""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from paho.mqtt.properties import Properties

from communicator.common.exception import (
    ProtocolConnectionError,
    ProtocolError,
    ProtocolTimeoutError,
    ProtocolValidationError,
    ProtocolVersionError,
)
from communicator.protocols.mqtt.backoff import Backoff
from communicator.protocols.mqtt.configuration import MAXIMUM_UINT16, MQTTConfig
from communicator.protocols.mqtt.connection_state import BrokerLimits, ConnectionState, StateCallbacks
from communicator.protocols.mqtt.dispatcher import Dispatcher
from communicator.protocols.mqtt.failures import connect_failure, refusal
from communicator.protocols.mqtt.frames import FAILURE, MAXIMUM_REMAINING_LENGTH, PreparedPublish, lower_publish
from communicator.protocols.mqtt.link import Link
from communicator.protocols.mqtt.outbox import Outbox, OutgoingMessage, Settled
from communicator.protocols.mqtt.routing_table import RoutingTable
from communicator.protocols.mqtt.statistics import Counters, MQTTStatistics
from communicator.protocols.mqtt.subscriptions import Subscription
from communicator.topics import check_filter

_logger = logging.getLogger(__name__)

FILTERS_A_PACKET = 64
CHARACTERS_A_PACKET = 65_536
SESSION_TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95
QUOTA_EXCEEDED = 0x97
RETAIN_NOT_SUPPORTED = 0x9A
QOS_NOT_SUPPORTED = 0x9B

LinkFactory = Callable[["Session", bool], Link]


@dataclass(slots=True)
class _Request:
    filters: tuple[tuple[str, int], ...]  # with the QoS that is asked for; empty for an UNSUBSCRIBE
    answer: Future[None] | None


class Session:
    """The state of one client, and what a link and a network loop do to it."""

    def __init__(self, config: MQTTConfig, make_link: LinkFactory) -> None:
        self.config = config
        self.client_id = config.client_id or f"eq1-{secrets.token_hex(8)}"
        self.lock = threading.RLock()
        self.counters = Counters()
        self.outbox = Outbox(config.publish_queue_maxsize)
        self.dispatcher = Dispatcher(self.lock, self.counters, self._send_acknowledgement, self._tell_unhandled)
        self.received: dict[bytes, bool] = {}  # QoS 2 messages not released yet: packet identifier -> PUBREC sent
        self.callbacks = StateCallbacks()
        self.state = ConnectionState.DISCONNECTED
        self.stopping = False
        self.stood = False  # the current connection was accepted
        self.failure: ProtocolError | None = None  # why the last connection ended, or could not be made
        self.connecting: Future[None] | None = None
        self.link: Link | None = None
        self.wake: Callable[[], None] = lambda: None
        self.version5 = config.protocol_version != "3.1.1"
        self._make_link = make_link
        self._will: tuple[PreparedPublish, bytes] | None = None
        self._backoff = Backoff(config.reconnect_initial_delay, config.reconnect_max_delay)
        self._accepted_at = 0.0
        self._taken_over = False
        self._refused = False
        self._will_lowered = False  # the broker refused the last will as it was; it may take what is left of it
        self._ended_early = False
        self._version_known = False  # a broker that once took 5.0 and now just closes is in trouble, not old
        # What the broker told when it accepted; until then what MQTT itself allows.
        self.limits = BrokerLimits()
        self.maximum_packet = MAXIMUM_REMAINING_LENGTH
        self.maximum_qos = 2
        self._retain_available = True
        self._lowering: BrokerLimits | None = None  # what messages are lowered to instead of refused
        self._identifiers = False  # the broker names the subscription that a message is sent for
        self._requests: dict[int, _Request] = {}
        self._last_request = 0
        self._ended_offline: set[str] = set()
        self._drained: list[Future[None]] = []
        self._standing: list[Future[bool]] = []
        self._before_write: deque[Callable[[], None]] = deque()
        self._paused = False
        self._said_goodbye = False

    # ------------------------------------------------------------------ for the user's threads

    def set_will(self, will: PreparedPublish, payload: bytes) -> None:
        """Set the last will for the next connection."""
        self._will = (will, payload)
        if self.link is not None:
            self.link.set_will(*self._supported_will(will, payload))

    def _supported_will(self, will: PreparedPublish, payload: bytes) -> tuple[PreparedPublish, bytes]:
        if self.config.lower_to_broker:
            will = lower_publish(will, self.limits.maximum_qos, self.limits.retain_available)
        return will, payload

    def publish(  # noqa: C901 -- once for each message: a call costs more than a branch
        self, prepared: PreparedPublish, payload: bytes, settled: Settled | None, token: object
    ) -> bool:
        """Send or queue one message; False when it was neither, which is counted."""
        if self._lowering is not None:
            lowered = self._lowered(prepared)
            if lowered is not prepared:
                return self._publish_lowered(lowered, prepared, payload, settled, token)
        finished: list[tuple[OutgoingMessage, int]] = []
        with self.lock:
            link = self.link if self.state is ConnectionState.CONNECTED else None
            if prepared.qos == 0:
                if link is None:
                    self.counters.dropped_offline += 1
                    return False
                if self.refusal_of(prepared, payload):
                    self.counters.refused += 1
                    return False
                if not link.publish_at_most_once(prepared, payload):
                    self.counters.dropped_queue_full += 1
                    return False
                self.counters.sent += 1
            else:
                message = OutgoingMessage(prepared, payload, settled, token)
                if link is not None and not self.refusal_of(prepared, payload) and self.outbox.start(message):
                    self.counters.sent += 1
                    link.publish(message, False)
                elif not self.outbox.put(message):
                    self.counters.dropped_queue_full += 1
                    return False
                elif link is None:
                    return True
                else:
                    finished = self._pump(link)
        if finished:
            self._finish(finished)
        self.wake()
        return True

    def _publish_lowered(
        self,
        lowered: PreparedPublish,
        prepared: PreparedPublish,
        payload: bytes,
        settled: Settled | None,
        token: object,
    ) -> bool:
        if lowered.qos or not prepared.qos:
            return self.publish(lowered, payload, settled, token)
        # No acknowledgement follows: sent is all that can be known.
        if not self.publish(lowered, payload, None, None):
            return False
        self._settle(OutgoingMessage(lowered, payload, settled, token), 0)
        return True

    def _lowered(self, prepared: PreparedPublish) -> PreparedPublish:
        limits = self._lowering
        if limits is None:
            return prepared
        return lower_publish(prepared, limits.maximum_qos, limits.retain_available)

    def refusal_of(self, prepared: PreparedPublish, payload: bytes) -> int:
        """Return the reason code for which this broker would end the connection, or 0 when it takes the message."""
        if len(payload) + prepared.most_bytes > self.maximum_packet:
            return PACKET_TOO_LARGE
        if prepared.qos > self.maximum_qos:
            return QOS_NOT_SUPPORTED
        return RETAIN_NOT_SUPPORTED if prepared.retain and not self._retain_available else 0

    def acknowledge(self, deliveries: Iterable[int]) -> None:
        """Acknowledge deliveries; one of an earlier connection does nothing but count."""
        if self.dispatcher.acknowledge(deliveries):
            self.wake()

    def before_write(self, action: Callable[[], None]) -> None:
        """Call `action` once in the network loop, when all that one read brought is handled and before it writes."""
        self._before_write.append(action)
        self.wake()

    def subscribe(self, topic_filter: str, qos: int, join: Callable[[Subscription], None]) -> Future[None] | None:
        """Let somebody join a subscription; the future is the broker's answer, None without a connection."""
        with self.lock:
            join(self.dispatcher.subscriptions.open(topic_filter, qos))
            self._ended_offline.discard(topic_filter)
            if self.state is not ConnectionState.CONNECTED or self.link is None:
                return None
            answer: Future[None] = Future()
            subscription = self.dispatcher.subscriptions.open(topic_filter, qos)
            self._subscribe(self.link, [subscription], answer, restored=False)
        self.wake()
        return answer

    def unsubscribe(self, topic_filter: str, callback: Callable[..., None] | None) -> Future[None] | None:
        """Let somebody, or everybody, leave a subscription; the answer is as for subscribe.

        Raises:
            ProtocolValidationError: the filter is none; kept for later it would end every connection to come.
        """
        check_filter(topic_filter)
        with self.lock:
            if not self.dispatcher.subscriptions.close(topic_filter, callback):
                return None
            if self.state is not ConnectionState.CONNECTED or self.link is None:
                self._ended_offline.add(topic_filter)
                return None
            answer: Future[None] = Future()
            self.link.unsubscribe([topic_filter], self._request((), answer))
        self.wake()
        return answer

    def route(self, table: RoutingTable) -> None:
        """Use a routing table in the last one's place; what it no longer wants ends when the new is asked for.

        Only so: what is published between the broker's two steps is wanted by the filter that takes another's place.
        """
        with self.lock:
            asked, ended = self.dispatcher.subscriptions.route(table)
            self._ended_offline.difference_update(each.topic_filter for each in asked)
            if self.state is not ConnectionState.CONNECTED or self.link is None:
                self._ended_offline.update(ended)
                return
            self._subscribe_all(self.link, asked, restored=False)
            self._unsubscribe_all(self.link, ended)
        self.wake()

    @property
    def is_subscribed(self) -> bool:
        """Tell whether there is a connection without unanswered subscriptions."""
        return self.state is ConnectionState.CONNECTED and not self._requests

    def when_subscribed(self) -> Future[bool]:
        """Return a future that is True once the broker has answered every subscription, False when the loop ends.

        Without a connection that is after the next one.
        """
        stands: Future[bool] = Future()
        with self.lock:
            if self.is_subscribed:
                stands.set_result(True)
            else:
                self._standing.append(stands)
        return stands

    def pause(self, paused: bool) -> None:
        """Hold received messages back, or let them go."""
        with self.lock:
            self._paused = paused
            if self.link is not None:
                self.link.pause(paused)
        self.wake()

    def when_drained(self) -> Future[None]:
        """Return a future that is done when nothing is queued or in flight, or the connection is lost."""
        drained: Future[None] = Future()
        with self.lock:
            if self.state is ConnectionState.CONNECTED and (self.outbox.waiting or self.outbox.in_flight):
                self._drained.append(drained)
            else:
                drained.set_result(None)
        return drained

    def statistics(self) -> MQTTStatistics:
        """Return the counters as they are now."""
        with self.lock:
            counters = {name: getattr(self.counters, name) for name in Counters.__slots__}
            return MQTTStatistics(
                connected=self.state is ConnectionState.CONNECTED,
                queued=len(self.outbox.waiting),
                in_flight=len(self.outbox.in_flight),
                unacknowledged=len(self.dispatcher.deliveries),
                **counters,
            )

    # ------------------------------------------------------------------ for the network loop

    def must_stop(self) -> bool:
        """Tell whether the user has asked to end."""
        return self.stopping

    def begin(self) -> None:
        """Start anew after a stop, for the next loop."""
        self.stopping = False
        self.failure = None
        self.version5 = self.config.protocol_version != "3.1.1"
        self._version_known = False
        self.drop_link()
        self._backoff.reset()

    def open_link(self) -> Link:
        """Open the next connection; blocks.

        Raises:
            ProtocolError: there is none; `failure` is set too.
        """
        self.stood = False
        self._refused = False
        self._ended_early = False
        self._said_goodbye = False
        if self.state is not ConnectionState.RECONNECTING:
            self.state = ConnectionState.CONNECTING
        try:
            if self.link is None:
                self.link = self._make_link(self, self.version5)
            if self._will is not None:
                self.link.set_will(*self._supported_will(*self._will))
            self.link.pause(self._paused)
            self.link.open()
        except ProtocolError as error:
            self.failure = error
            self.counters.connect_failures += 1
            raise
        return self.link

    def fall_back(self) -> bool:
        """Ask for less when the broker refused what was asked for; True when that is worth a try at once.

        MQTT 3.1.1 when it does not take 5.0 and none was chosen; a last will that it supports, where that is wanted.
        Some old brokers answer 5.0 with a refusal, others just close the connection.
        """
        if self._will_lowered:
            self._will_lowered = False
            return not self.stopping
        if (
            self.stood
            or not self.version5
            or self.config.protocol_version is not None
            or not (isinstance(self.failure, ProtocolVersionError) or (self._ended_early and not self._version_known))
            or self.stopping
        ):
            return False
        _logger.info("%s:%d does not take MQTT 5.0; trying 3.1.1", self.config.broker_address, self.config.port)
        self.version5 = False
        self.drop_link()
        return True

    def drop_link(self) -> None:
        """Make a new link for the next connection, as for a client's first."""
        with self.lock:
            self.link = None

    def answer_missing(self) -> None:
        """Note that the broker has not answered CONNECT in time, and close."""
        config = self.config
        self.failure = ProtocolTimeoutError(
            f"the broker did not answer CONNECT within {config.timeout:g} s",
            host=config.broker_address,
            port=config.port,
        )
        self._refused = True
        if self.link is not None:
            self.link.close()

    def plan_reconnect(self) -> float | None:
        """Return the seconds to wait before the next attempt, or None when there is none left."""
        if self._taken_over:
            _logger.warning(
                "%s:%d: another client uses the client id %s",
                self.config.broker_address,
                self.config.port,
                self.client_id,
            )
            self._taken_over = False
            self._call(self.callbacks.taken_over)
        elif self.stood:
            self._backoff.connection_stood(time.monotonic() - self._accepted_at)
        maximum = self.config.max_reconnect_attempts
        reason = self.failure.reason if self.failure else "unknown"
        if not self.stood:
            self._call(self.callbacks.attempt_failed, reason)
        if maximum is not None and self._backoff.attempts >= maximum:
            self.state = ConnectionState.GAVE_UP
            _logger.error(
                "%s:%d: gave up after %d attempts: %s", self.config.broker_address, self.config.port, maximum, reason
            )
            self._call(self.callbacks.gave_up, reason)
            return None
        self.state = ConnectionState.RECONNECTING
        delay = self._backoff.next()
        _logger.info(
            "%s:%d: attempt %d to reconnect in %.1f s: %s",
            self.config.broker_address,
            self.config.port,
            self._backoff.attempts,
            delay,
            reason,
        )
        self._call(self.callbacks.reconnecting, self._backoff.attempts, delay)
        return delay

    def say_goodbye(self) -> None:
        """Send DISCONNECT; a session that nobody can resume is not kept by the broker."""
        if self._said_goodbye or self.link is None:
            return
        self._said_goodbye = True
        with self.lock:
            self.outbox.window = 0
        self.link.say_goodbye(self.config.clean_start)

    def loop_ended(self) -> None:
        """Tell everybody who waits that the network loop has ended."""
        self.about_to_write()
        if self.state is not ConnectionState.GAVE_UP:
            self.state = ConnectionState.DISCONNECTED
        failure = self.failure or ProtocolConnectionError(
            "the client was stopped", host=self.config.broker_address, port=self.config.port
        )
        connecting, self.connecting = self.connecting, None
        if connecting is not None and not connecting.done():
            connecting.set_exception(failure)
        self._release_waiting()

    # ------------------------------------------------------------------ what the link tells

    def accepted(self, session_present: bool, properties: Properties | None) -> None:
        """Restore subscriptions, send again what was in flight, then what waited: in this order on the wire."""
        with self.lock:
            link = self.link
            if link is None:
                return
            link.begin(
                session_present,
                min(self.config.topic_alias_maximum, getattr(properties, "TopicAliasMaximum", 0)),
                getattr(properties, "ServerKeepAlive", None),
            )
            outbox = self.outbox
            outbox.window = min(self.config.max_inflight, getattr(properties, "ReceiveMaximum", MAXIMUM_UINT16))
            again = outbox.to_send_again(session_kept=session_present)
            self.state = ConnectionState.CONNECTED
            reconnected = self.counters.connects > 0
            self.counters.connects += 1
            self.counters.reconnects += reconnected
            self.stood = self._version_known = True
            self._accepted_at = time.monotonic()
            allowed = getattr(properties, "MaximumPacketSize", MAXIMUM_REMAINING_LENGTH)
            self.maximum_packet = min(MAXIMUM_REMAINING_LENGTH, allowed)
            self._take_limits(
                BrokerLimits(getattr(properties, "MaximumQoS", 2), bool(getattr(properties, "RetainAvailable", 1)))
            )
            self._identifiers = link.version5 and bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
            self.failure = None
            self._restore(link, session_present)
            # They came as far as the broker's earlier life, which may have taken more than this one.
            finished = [finished for message in again if (finished := self._send(link, message, session_present))]
            self.counters.resent += len(again) - len(finished)
            finished += self._pump(link)
            stands = not self._requests
            connecting, self.connecting = self.connecting, None
        if connecting is not None and not connecting.done():
            connecting.set_result(None)
        self._finish(finished)
        self._call(self.callbacks.connected)
        if stands:
            self._release_standing(True)

    def _take_limits(self, limits: BrokerLimits) -> None:
        self.limits = limits
        self._lowering = limits if self.config.lower_to_broker and limits != BrokerLimits() else None
        taken = limits if self._lowering is None else BrokerLimits()
        self.maximum_qos, self._retain_available = taken.maximum_qos, taken.retain_available

    def refused(self, reason_code: int, name: str, explanation: str | None) -> None:
        """Keep the broker's refusal as the reason why there is no connection."""
        self._refused = True
        if self.config.lower_to_broker and self._will is not None:
            before = self._supported_will(*self._will)[0]
            if reason_code == RETAIN_NOT_SUPPORTED and before.retain:
                self.limits = replace(self.limits, retain_available=False)
                self._will_lowered = True
            elif reason_code == QOS_NOT_SUPPORTED and before.qos:
                self.limits = replace(self.limits, maximum_qos=before.qos - 1)
                self._will_lowered = True
        self.failure = refusal(reason_code, name, self.config.broker_address, self.config.port, explanation)

    def ended_by_broker(self, reason_code: int) -> None:
        """Note the reason code of the broker's DISCONNECT."""
        self._taken_over = reason_code == SESSION_TAKEN_OVER

    def lost(self, reason: str) -> None:
        """Put everything into the state of having no connection."""
        with self.lock:
            stood = self.stood
            self.outbox.window = 0
            self.dispatcher.deliveries.forget()
            self.state = ConnectionState.DISCONNECTED if self.stopping else ConnectionState.RECONNECTING
            self._requests, requests = {}, self._requests
        for request in requests.values():
            if request.answer is not None:
                # The subscription is remembered, and made when the connection is back.
                request.answer.set_result(None)
        self._release_drained()
        if not stood:
            self.counters.connect_failures += 1
            if not self._refused:
                self._ended_early = True
                self.failure = self._early_end(reason)
            return
        if self.stopping:
            reason = "disconnected by the client"
        else:
            self.counters.connections_lost += 1
            self.failure = ProtocolConnectionError(reason, host=self.config.broker_address, port=self.config.port)
            _logger.warning("%s:%d: connection lost: %s", self.config.broker_address, self.config.port, reason)
        self._call(self.callbacks.disconnected, reason)

    def confirmed(self, request: int, reason_codes: Sequence[int]) -> None:
        """Tell who waits for a SUBACK or UNSUBACK, and say aloud what the broker refused."""
        with self.lock:
            asked = self._requests.pop(request, None)
            stands = not self._requests
        if asked is None:
            return
        for (topic_filter, qos), code in zip(asked.filters, reason_codes, strict=False):
            self._call(self.callbacks.subscribed, topic_filter, qos, code)
        refused = [
            f"{topic_filter!r} (reason code {code:#04x})"
            for (topic_filter, _), code in zip(asked.filters, reason_codes, strict=False)
            if code >= FAILURE
        ]
        self.counters.subscriptions_refused += len(refused)
        if refused:
            _logger.warning("%s:%d refused to subscribe %s", self.config.broker_address, self.config.port, refused)
        if asked.answer is not None:
            if refused:
                asked.answer.set_exception(
                    ProtocolValidationError(
                        f"the broker refused to subscribe {', '.join(refused)}",
                        host=self.config.broker_address,
                        port=self.config.port,
                    )
                )
            else:
                asked.answer.set_result(None)
        if stands:
            self._release_standing(True)

    def dropped(self, topic: str) -> None:
        """Count a message of QoS 0 for which there was no room while the client was paused."""
        self.counters.dropped_paused += 1
        self._call(self.callbacks.dropped, topic)

    def about_to_write(self) -> None:
        """Do what was put off until now."""
        # What they put off themselves is for the next time.
        for _ in range(len(self._before_write)):
            self._call(self._before_write.popleft())

    def settled(self, identifier: int, reason_code: int) -> None:
        """Take a message out of flight, and send the next ones."""
        with self.lock:
            message = self.outbox.settle(identifier)
            if message is None:
                return
            if reason_code < FAILURE:
                self.counters.acknowledged += 1
            else:
                self.counters.refused += 1
            finished = self._pump(self.link) if self.outbox.waiting and self.link is not None else []
            drained = bool(self._drained) and not self.outbox.in_flight
        self._settle(message, reason_code)
        if finished:
            self._finish(finished)
        if drained:
            self._release_drained()

    # ------------------------------------------------------------------ inside

    def _pump(self, link: Link) -> list[tuple[OutgoingMessage, int]]:
        """Send what the window has room for; return what is done with, as `_send` does."""
        finished = []
        while (message := self.outbox.next_to_send()) is not None:
            done = self._send(link, message, False)
            if done is None:
                self.counters.sent += 1
            else:
                finished.append(done)
        return finished

    def _send(self, link: Link, message: OutgoingMessage, again: bool) -> tuple[OutgoingMessage, int] | None:
        """Send what is in flight; what the broker does not answer is returned with a reason code, out of flight.

        That is what the broker would close the connection for, again and again, and what was lowered to QoS 0.
        """
        if not message.released:
            message.prepared = self._lowered(message.prepared)
            reason_code = self.refusal_of(message.prepared, message.payload)
            if reason_code or not message.prepared.qos:
                self.outbox.settle(message.identifier)
                if not reason_code and not link.publish_at_most_once(message.prepared, message.payload):
                    reason_code = QUOTA_EXCEEDED
                return message, reason_code
        link.publish(message, again)
        return None

    def _settle(self, message: OutgoingMessage, reason_code: int) -> None:
        if message.settled is None:
            # Whoever asks for the answers says what they mean; a line for each of a flood would say nothing.
            if reason_code >= FAILURE:
                _logger.warning("a message on %r was refused: reason code %#04x", message.prepared.topic, reason_code)
        else:
            try:
                message.settled(message.token, reason_code)
            except Exception as error:  # noqa: BLE001 -- the user's code may raise anything
                self.dispatcher.failed(message.prepared.topic, error)

    def _finish(self, messages: list[tuple[OutgoingMessage, int]]) -> None:
        for message, reason_code in messages:
            if reason_code < FAILURE:
                self.counters.sent += 1
            else:
                self.counters.refused += 1
            self._settle(message, reason_code)

    def _early_end(self, reason: str) -> ProtocolError:
        error = self.link.error if self.link is not None else None
        host, port = self.config.broker_address, self.config.port
        failure = None if error is None else connect_failure(error, host, port)
        if failure is not None and type(failure) is not ProtocolConnectionError:
            return failure
        return ProtocolConnectionError(
            f"the connection ended before the broker answered: {reason}", host=host, port=port
        )

    def _send_acknowledgement(self, identifier: bytes, qos: int) -> None:
        if self.link is not None:
            self.link.acknowledge(identifier, qos)

    def _request(self, filters: tuple[tuple[str, int], ...], answer: Future[None] | None) -> int:
        self._last_request += 1
        self._requests[self._last_request] = _Request(filters, answer)
        return self._last_request

    def _subscribe(
        self, link: Link, subscriptions: Sequence[Subscription], answer: Future[None] | None, *, restored: bool
    ) -> None:
        filters = [(subscription.topic_filter, subscription.qos) for subscription in subscriptions]
        request = self._request(tuple(filters), answer)
        link.subscribe(filters, request, restored, subscriptions[0].identifier if self._identifiers else None)

    def _subscribe_all(self, link: Link, subscriptions: Iterable[Subscription], *, restored: bool) -> None:
        # A packet has one identifier for all its filters.
        batches: dict[int, list[Subscription]] = {}
        sizes: dict[int, int] = {}
        for each in subscriptions:
            key = each.identifier if self._identifiers else 0
            batch = batches.setdefault(key, [])
            size = sizes.get(key, 0) + len(each.topic_filter)
            if len(batch) >= FILTERS_A_PACKET or (batch and size > CHARACTERS_A_PACKET):
                self._subscribe(link, batch, None, restored=restored)
                batch = batches[key] = []
                size = len(each.topic_filter)
            batch.append(each)
            sizes[key] = size
        for batch in batches.values():
            self._subscribe(link, batch, None, restored=restored)

    def _unsubscribe_all(self, link: Link, filters: Sequence[str]) -> None:
        for start in range(0, len(filters), FILTERS_A_PACKET):
            link.unsubscribe(filters[start : start + FILTERS_A_PACKET], self._request((), None))

    def _restore(self, link: Link, session_present: bool) -> None:
        self._subscribe_all(link, self.dispatcher.subscriptions, restored=self.counters.connects > 1)
        ended, self._ended_offline = sorted(self._ended_offline), set()
        if session_present:
            self._unsubscribe_all(link, ended)

    def _tell_unhandled(self, topic: str) -> None:
        self._call(self.callbacks.unhandled, topic)

    def _call[*Arguments](self, callback: Callable[[*Arguments], None] | None, *arguments: *Arguments) -> None:
        if callback is None:
            return
        try:
            callback(*arguments)
        except Exception:
            self.counters.handler_errors += 1
            _logger.exception("a state callback failed")

    def _release_drained(self) -> None:
        with self.lock:
            waiting, self._drained = self._drained, []
        for drained in waiting:
            drained.set_result(None)

    def _release_standing(self, answered: bool) -> None:
        with self.lock:
            standing, self._standing = self._standing, []
        for stands in standing:
            stands.set_result(answered)

    def _release_waiting(self) -> None:
        self._release_drained()
        self._release_standing(False)
        with self.lock:
            requests, self._requests = self._requests, {}
        for request in requests.values():
            if request.answer is not None:
                request.answer.set_result(None)
