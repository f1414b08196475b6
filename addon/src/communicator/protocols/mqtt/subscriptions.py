"""Who wants which messages: subscriptions by topic filter, and the handlers of a topic, found once and remembered."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from zlib import crc32

from communicator.interfaces.protocol import MessageCallback
from communicator.protocols.mqtt.properties import MessageProperties
from communicator.protocols.mqtt.routing_table import FilterMatch, FrameHandler, HandlerFactory, RoutingTable
from communicator.topics import TopicTrie, check_filter, shape

MAXIMUM_REMEMBERED_TOPICS = 65_536
SMALLEST_IDENTIFIER = 1 << 21
"""Of a subscription, so that all have four bytes (MQTT 5.0, section 1.5.5), which the fast path reads in one way."""
LARGEST_IDENTIFIER = 268_435_455


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
    identifier: int  # MQTT 5.0: the broker names it with each message that the subscription is the reason for
    joined_qos: int | None = None  # the highest that callbacks, routes and observers asked for; None: there are none
    routed_qos: int | None = None  # what the routing table asks for; None: nothing
    callbacks: list[MessageCallback] = field(default_factory=list)
    routes: list[FrameHandler] = field(default_factory=list)
    observers: list[MessageHandler] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Tell whether anybody is left."""
        return bool(self.callbacks or self.routes or self.observers)

    @property
    def qos(self) -> int:
        """Return what the broker is asked for."""
        return max(self.joined_qos or 0, self.routed_qos or 0)


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


@dataclass(frozen=True, slots=True)
class Matching:
    """What a topic's messages match, before handlers are made for it."""

    topic: str
    subscriptions: list[Subscription]
    routed: list[FilterMatch]
    make_handlers: HandlerFactory
    remembered: OrderedDict[bytes, Recipients]  # where the recipients belong, as long as nothing changes

    def remember(self, key: bytes, recipients: Recipients) -> None:
        """Keep the recipients for the next message."""
        if len(self.remembered) >= MAXIMUM_REMEMBERED_TOPICS:
            self.remembered.popitem(last=False)
        self.remembered[key] = recipients


class Subscriptions:
    """All subscriptions of a client. Not thread-safe: the client's lock guards all but `remembered.get`."""

    __slots__ = ("_by_filter", "_by_identifier", "_table", "_trie", "remembered")

    def __init__(self) -> None:
        self._by_filter: dict[str, Subscription] = {}
        self._by_identifier: dict[int, str] = {}
        self._table = RoutingTable({}, lambda _topic, _matches: ())
        self._trie: TopicTrie[Subscription] = TopicTrie()
        # Ordered, so that each new topic may take the oldest one's place at once.
        self.remembered: OrderedDict[bytes, Recipients] = OrderedDict()

    def __iter__(self) -> Iterator[Subscription]:
        """Yield all subscriptions in the order they were made."""
        return iter(list(self._by_filter.values()))

    def open(self, topic_filter: str, qos: int) -> Subscription:
        """Return the subscription of a filter, made if needed, with at least this QoS.

        Raises:
            ProtocolValidationError: the filter is impossible.
        """
        check_filter(topic_filter)
        subscription = self._subscription(topic_filter)
        if subscription.joined_qos is None:
            self._trie.add(topic_filter, subscription)
        subscription.joined_qos = max(subscription.joined_qos or 0, qos)
        self._forget_recipients()
        return subscription

    def close(self, topic_filter: str, callback: Callable[..., None] | None = None) -> bool:
        """Remove one callback, handler or observer of a filter, or all; True when no subscriber is left.

        What the routing table wants stays.
        """
        subscription = self._by_filter.get(topic_filter)
        if subscription is None:
            return True
        for wanted in (subscription.callbacks, subscription.routes, subscription.observers):
            if callback is None:
                wanted.clear()
            elif callback in wanted:
                wanted.remove(callback)
        self._forget_recipients()
        if subscription.wanted:
            return False
        if subscription.joined_qos is not None:
            subscription.joined_qos = None
            self._trie.remove(topic_filter, subscription)
        return self._forget_unwanted(subscription)

    def route(self, table: RoutingTable) -> tuple[list[Subscription], list[str]]:
        """Use a routing table in the last one's place.

        Returns:
            The subscriptions that the broker has to be asked for, new or with another QoS, and the filters to end.
        """
        before, self._table = self._table, table
        self._forget_recipients()
        asked: list[Subscription] = []
        for topic_filter, qos in table.subscribed.items():
            known = topic_filter in self._by_filter
            subscription = self._subscription(topic_filter)
            asked_for = subscription.qos
            subscription.routed_qos = qos
            if not known or subscription.qos != asked_for:
                asked.append(subscription)
        ended: list[str] = []
        for topic_filter in before.subscribed:
            if topic_filter not in table.subscribed:
                subscription = self._by_filter[topic_filter]
                subscription.routed_qos = None
                if self._forget_unwanted(subscription):
                    ended.append(topic_filter)
        return asked, ended

    def match(self, topic: str, identifiers: Collection[int] = ()) -> Matching:
        """Return who wants a topic's messages.

        Where subscriptions overlap, a broker of MQTT 5.0 may send a message once for each of them and name it: then
        only that one's callbacks are meant. An identifier of an earlier program's subscription means nothing, unless
        it is one of these too.
        """
        joined = [subscription for _, subscription in self._trie.match(topic)]
        routed = [(match, self._by_filter[widest].identifier) for match, widest in self._table.match(topic)]
        named = {each.identifier for each in joined}.union(identifier for _, identifier in routed)
        named.intersection_update(identifiers)
        if named:
            joined = [each for each in joined if each.identifier in named]
            routed = [(match, identifier) for match, identifier in routed if identifier in named]
        return Matching(topic, joined, [match for match, _ in routed], self._table.make_handlers, self.remembered)

    def _subscription(self, topic_filter: str) -> Subscription:
        subscription = self._by_filter.get(topic_filter)
        if subscription is None:
            identifier = self._identifier(shape(topic_filter))
            subscription = self._by_filter[topic_filter] = Subscription(topic_filter, identifier)
        return subscription

    def _identifier(self, filter_shape: str) -> int:
        """Return the identifier of all filters of a shape, of which one at most matches a topic.

        It depends on nothing else, so that it means the same to the next program that takes over the broker's session
        with the messages in it.
        """
        span = LARGEST_IDENTIFIER - SMALLEST_IDENTIFIER + 1
        identifier = SMALLEST_IDENTIFIER + crc32(filter_shape.encode()) % span
        while self._by_identifier.setdefault(identifier, filter_shape) != filter_shape:
            identifier = SMALLEST_IDENTIFIER + (identifier + 1 - SMALLEST_IDENTIFIER) % span
        return identifier

    def _forget_unwanted(self, subscription: Subscription) -> bool:
        if subscription.joined_qos is not None or subscription.routed_qos is not None:
            return False
        del self._by_filter[subscription.topic_filter]
        return True

    def _forget_recipients(self) -> None:
        # Anew each time: what is being found meanwhile is put into the old one.
        self.remembered = OrderedDict()
