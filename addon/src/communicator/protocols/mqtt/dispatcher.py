"""From a received message to everybody who wants it, and back to the broker with the acknowledgement."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from paho.mqtt.properties import Properties

from communicator.protocols.mqtt.deliveries import Deliveries
from communicator.protocols.mqtt.frames import DUPLICATE, QOS_BITS, RETAIN, decode_length
from communicator.protocols.mqtt.properties import read_properties
from communicator.protocols.mqtt.statistics import Counters
from communicator.protocols.mqtt.subscriptions import Matching, ReceivedMessage, Recipients, Subscriptions

_logger = logging.getLogger(__name__)


class Dispatcher:
    """Calls callbacks, routes and observers in the network loop, never with the lock held."""

    def __init__(
        self,
        lock: threading.RLock,
        counters: Counters,
        acknowledge: Callable[[bytes, int], None],
        unhandled: Callable[[str], None],
    ) -> None:
        """Make it with what tells the broker, called with the lock: (packet identifier in two bytes, QoS).

        `unhandled(topic)` is told, without it, of each message that nobody wanted.
        """
        self.subscriptions = Subscriptions()
        self.deliveries = Deliveries(acknowledge)
        self._lock = lock
        self._counters = counters
        self._tell_broker = acknowledge
        self._unhandled = unhandled
        self._command = 0  # of the message that is being handled
        self._identifier = b""  # its packet identifier
        self._first, self._last = 0, -1  # its deliveries

    def recipients(self, topic_bytes: bytes, identifiers: Sequence[int] | bytes = ()) -> Recipients:
        """Return who wants a topic's messages: one look-up for a topic that came before.

        `identifiers` are those of the subscriptions that the broker names, if it does: numbers, or the bytes of one.

        Raises:
            UnicodeDecodeError: the topic is not UTF-8.
        """
        # A topic has no null character, so that nothing else makes the same key.
        if not identifiers:
            key = topic_bytes
        elif isinstance(identifiers, bytes):
            key = topic_bytes + b"\0" + identifiers
        else:
            key = b"\0\0".join((topic_bytes, *(b"%d" % identifier for identifier in identifiers)))
        remembered = self.subscriptions.remembered.get(key)
        if remembered is not None:
            return remembered
        if isinstance(identifiers, bytes):
            decoded = decode_length(identifiers, 0, len(identifiers))
            identifiers = (decoded[0],) if decoded is not None else ()
        topic = topic_bytes.decode()
        with self._lock:
            matching = self.subscriptions.match(topic, identifiers)
        recipients = self._recipients(matching)
        matching.remember(key, recipients)
        return recipients

    def _recipients(self, matching: Matching) -> Recipients:
        subscriptions = matching.subscriptions
        routes = [route for subscription in subscriptions for route in subscription.routes]
        if matching.routed:
            try:
                routes.extend(matching.make_handlers(matching.topic, matching.routed))
            except Exception as error:  # noqa: BLE001 -- the user's code may raise anything
                self.failed(matching.topic, error)
        return Recipients(
            matching.topic,
            tuple(callback for subscription in subscriptions for callback in subscription.callbacks),
            tuple(routes),
            tuple(observer for subscription in subscriptions for observer in subscription.observers),
        )

    def deliver(  # noqa: C901, PLR0912 -- once for each message: a call costs more than a branch
        self, recipients: Recipients, payload: bytes, command: int, identifier: bytes, properties: Properties | None
    ) -> None:
        """Call everybody who wants a message, and see to its acknowledgement; `command` is its PUBLISH's first byte."""
        self._counters.received += 1
        self._command = command
        topic = recipients.topic
        routes = recipients.routes
        qos = (command & QOS_BITS) >> 1
        delivery = shares = 0
        if qos and routes:
            shares = len(routes)
            with self._lock:
                delivery = self.deliveries.open(identifier, qos, shares)
            self._identifier = identifier
            self._first, self._last = delivery, delivery + shares - 1
        for route in routes:
            try:
                route(topic, payload, delivery)
            except Exception as error:  # noqa: BLE001 -- the user's code may raise anything
                self.failed(topic, error)
                if delivery:
                    # Unless it has, nobody will, and without it the broker would stop sending.
                    with self._lock:
                        self.deliveries.acknowledge(delivery)
            if shares > 1:
                delivery += 1
        if recipients.only_routes:
            return
        for callback in recipients.callbacks:
            try:
                callback(topic, payload)
            except Exception as error:  # noqa: BLE001 -- the same
                self.failed(topic, error)
        if recipients.observers:
            self._observe(recipients, payload, command, properties)
        elif not routes and not recipients.callbacks:
            self._counters.unhandled += 1
            self._unhandled(topic)
        if qos and not routes:
            with self._lock:
                if self.deliveries:
                    self.deliveries.acknowledge(self.deliveries.open(identifier, qos))
                else:
                    self._tell_broker(identifier, qos)

    def acknowledge(self, deliveries: Iterable[int]) -> bool:
        """Acknowledge deliveries; False when all are stale or were acknowledged before. Each such one is counted."""
        known = False
        with self._lock:
            for delivery in deliveries:
                if self.deliveries.acknowledge(delivery):
                    known = True
                else:
                    self._counters.stale_acknowledgements += 1
        return known

    def transmission(self, delivery: int) -> tuple[int, bool]:
        """Return a delivery's packet identifier and DUP flag; 0 and False when it is not the one being handled."""
        if not self._first <= delivery <= self._last:
            return 0, False
        identifier = self._identifier
        return identifier[0] << 8 | identifier[1], bool(self._command & DUPLICATE)

    def is_retained(self) -> bool:
        """Tell whether the message that is being handled is one that the broker has kept."""
        return bool(self._command & RETAIN)

    def failed(self, topic: str, error: Exception) -> None:
        """Count and log what a handler raised."""
        self._counters.handler_errors += 1
        _logger.error("a handler of %r failed", topic, exc_info=error)

    def _observe(self, recipients: Recipients, payload: bytes, command: int, properties: Properties | None) -> None:
        message = ReceivedMessage(
            topic=recipients.topic,
            payload=payload,
            qos=(command & QOS_BITS) >> 1,
            retain=bool(command & RETAIN),
            duplicate=bool(command & DUPLICATE),
            properties=read_properties(properties),
        )
        for observer in recipients.observers:
            try:
                observer(message)
            except Exception as error:  # noqa: BLE001 -- the user's code may raise anything
                self.failed(recipients.topic, error)
