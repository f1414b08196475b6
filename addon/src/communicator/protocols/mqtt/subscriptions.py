"""Who wants which messages: subscriptions by topic filter, and the handlers of a topic, found once and remembered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from communicator.interfaces.protocol import MessageCallback
from communicator.protocols.mqtt.properties import MessageProperties
from communicator.protocols.mqtt.topic_trie import TopicTrie, check_filter

FrameHandler = Callable[[str, bytes, int], None]
"""Called with (topic, payload, delivery); unless delivery is 0, `acknowledge(delivery)` must follow."""

MAXIMUM_REMEMBERED_TOPICS = 65_536


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message with everything that came with it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    properties: MessageProperties


MessageHandler = Callable[[ReceivedMessage], None]


@dataclass(slots=True)
class Subscription:
    """One topic filter with everybody who wants its messages."""

    topic_filter: str
    qos: int
    identifier: int  # MQTT 5.0: the broker names it with each message that the subscription is the reason for
    callbacks: list[MessageCallback] = field(default_factory=list)
    routes: list[FrameHandler] = field(default_factory=list)
    observers: list[MessageHandler] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Tell whether anybody is left."""
        return bool(self.callbacks or self.routes or self.observers)


class Recipients:
    """Everybody who wants the messages of one topic."""

    __slots__ = ("callbacks", "observers", "only_routes", "routes", "topic")

    def __init__(
        self,
        topic: str,
        callbacks: tuple[MessageCallback, ...],
        routes: tuple[FrameHandler, ...],
        observers: tuple[MessageHandler, ...],
    ) -> None:
        self.topic = topic
        self.callbacks = callbacks
        self.routes = routes
        self.observers = observers
        self.only_routes = bool(routes) and not callbacks and not observers


class Subscriptions:
    """All subscriptions of a client. Not thread-safe: the client's lock guards all but `remembered.get`."""

    __slots__ = ("_by_filter", "_last_identifier", "_trie", "remembered")

    def __init__(self) -> None:
        self._by_filter: dict[str, Subscription] = {}
        self._trie: TopicTrie[Subscription] = TopicTrie()
        self._last_identifier = 0
        self.remembered: dict[bytes, Recipients] = {}

    def __iter__(self) -> Iterator[Subscription]:
        """Yield all subscriptions in the order they were made."""
        return iter(list(self._by_filter.values()))

    def __contains__(self, topic_filter: str) -> bool:
        """Tell whether there is a subscription with exactly this filter."""
        return topic_filter in self._by_filter

    def open(self, topic_filter: str, qos: int) -> Subscription:
        """Return the subscription of a filter, made if needed, with at least this QoS.

        Raises:
            ProtocolValidationError: the filter is impossible.
        """
        matched = check_filter(topic_filter)
        subscription = self._by_filter.get(topic_filter)
        if subscription is None:
            self._last_identifier += 1
            subscription = self._by_filter[topic_filter] = Subscription(topic_filter, qos, self._last_identifier)
            self._trie.add(matched, subscription)
        subscription.qos = max(subscription.qos, qos)
        self.remembered = {}
        return subscription

    def close(self, topic_filter: str, callback: Callable[..., None] | None = None) -> bool:
        """Remove one callback, handler or observer of a filter, or all; True when nobody is left who wants it."""
        subscription = self._by_filter.get(topic_filter)
        if subscription is None:
            return True
        for wanted in (subscription.callbacks, subscription.routes, subscription.observers):
            if callback is None:
                wanted.clear()
            elif callback in wanted:
                wanted.remove(callback)
        self.remembered = {}
        if subscription.wanted:
            return False
        del self._by_filter[topic_filter]
        self._trie.remove(check_filter(topic_filter), subscription)
        return True

    def find(self, topic_bytes: bytes, identifiers: Sequence[int], key: bytes) -> Recipients:
        """Return who wants a topic's messages, and remember it under `key`.

        Where subscriptions overlap, a broker of MQTT 5.0 may send a message once for each of them and name it: then
        only that one's callbacks are meant. An identifier of an earlier program's subscription means nothing.

        Raises:
            UnicodeDecodeError: the topic is not UTF-8.
        """
        topic = topic_bytes.decode()
        matching = self._trie.match(topic)
        named = [subscription for subscription in matching if subscription.identifier in identifiers]
        matching = named or matching
        recipients = Recipients(
            topic,
            tuple(callback for subscription in matching for callback in subscription.callbacks),
            tuple(route for subscription in matching for route in subscription.routes),
            tuple(observer for subscription in matching for observer in subscription.observers),
        )
        if len(self.remembered) >= MAXIMUM_REMEMBERED_TOPICS:
            self.remembered = {}
        self.remembered[key] = recipients
        return recipients
