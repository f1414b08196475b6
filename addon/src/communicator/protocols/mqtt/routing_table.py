"""Topic filters that a program wants together, with a handler that is made once for each topic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from communicator.protocols.mqtt.frames import check_qos
from communicator.topics import TopicTrie, check_filter, covering

FrameHandler = Callable[[str, bytes, int], None]
"""Called with (topic, payload, delivery); unless delivery is 0, `acknowledge(delivery)` must follow."""


@dataclass(frozen=True, slots=True)
class FilterMatch:
    """A topic filter that matches a topic, and what each of its wildcards stands for, in order."""

    topic_filter: str
    captured: tuple[str, ...]


HandlerFactory = Callable[[str, Sequence[FilterMatch]], Sequence[FrameHandler]]
"""Called with (topic, matches), once for many messages of a topic; each message is given to all that it returns.

Where filters overlap and the broker sends a message once for each and names it (MQTT 5.0), each copy has handlers of
its own, made with the filters that it came by.
"""


class RoutingTable:
    """Filters with their QoS, checked and ready to be matched; never changed, so that any thread may make it."""

    __slots__ = ("_trie", "make_handlers", "subscribed")

    def __init__(self, filters: Mapping[str, int], make_handlers: HandlerFactory) -> None:
        """Make it; `make_handlers` must not raise.

        Raises:
            ProtocolValidationError: a filter or a QoS is impossible.
        """
        for topic_filter, qos in filters.items():
            check_filter(topic_filter)
            check_qos(qos)
        self.make_handlers = make_handlers
        self.subscribed: dict[str, int] = {}
        """What the broker is asked for: filters that no other covers, with the highest QoS that one of them wants."""
        self._trie: TopicTrie[tuple[str, str]] = TopicTrie()
        for topic_filter, widest in covering(filters).items():
            self.subscribed[widest] = max(self.subscribed.get(widest, 0), filters[topic_filter])
            self._trie.add(topic_filter, (topic_filter, widest))

    def match(self, topic: str) -> list[tuple[FilterMatch, str]]:
        """Return the filters that match a topic, each with the subscription that its messages come by."""
        return [
            (FilterMatch(topic_filter, captured), widest)
            for captured, (topic_filter, widest) in self._trie.match(topic)
        ]
