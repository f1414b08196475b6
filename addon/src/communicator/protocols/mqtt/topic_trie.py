"""Topic filters and a trie that finds all filters matching a topic (MQTT 5.0, section 4.7)."""

import re
from collections.abc import Iterator

from communicator.common.exception import ProtocolValidationError

MAXIMUM_TOPIC_BYTES = 65535

_REFUSED = re.compile("[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def check_topic(topic: str) -> bytes:
    """Return a topic to publish on as UTF-8.

    Raises:
        ProtocolValidationError: it is empty, too long, or has a wildcard or a null character.
    """
    encoded = _encode("topic", topic)
    if "+" in topic or "#" in topic:
        raise ProtocolValidationError(f"a message cannot be published on a topic with a wildcard: {topic!r}")
    return encoded


def check_filter(topic_filter: str) -> str:
    """Return the part of a topic filter that topics are matched against: all of it but `$share/<group>/`.

    Raises:
        ProtocolValidationError: it is empty or too long, or a wildcard is in the wrong place.
    """
    _encode("topic filter", topic_filter)
    matched = topic_filter
    if topic_filter.startswith("$share/"):
        group, separator, matched = topic_filter.removeprefix("$share/").partition("/")
        if not group or not separator or not matched or "+" in group or "#" in group:
            raise ProtocolValidationError(f"a shared subscription is $share/<group>/<filter>, not {topic_filter!r}")
    levels = matched.split("/")
    for position, level in enumerate(levels):
        if "+" in level and level != "+":
            raise ProtocolValidationError(f"+ must be a whole level of a topic filter: {topic_filter!r}")
        if "#" in level and (level != "#" or position != len(levels) - 1):
            raise ProtocolValidationError(f"# must be the last whole level of a topic filter: {topic_filter!r}")
    return matched


def check_text(kind: str, text: str) -> bytes:
    """Return a string of a packet as UTF-8 (MQTT 5.0, section 1.5.4).

    Raises:
        ProtocolValidationError: it is too long, is no Unicode, or has a character for which brokers end the connection,
            which a client that sends it again after each reconnect would never leave behind.
    """
    if "\0" in text:
        raise ProtocolValidationError(f"a {kind} must not contain the null character: {text!r}")
    if _REFUSED.search(text):
        raise ProtocolValidationError(f"a {kind} must not contain control characters or non-characters: {text!r}")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise ProtocolValidationError(f"a {kind} must be valid Unicode: {text!r}") from error
    if len(encoded) > MAXIMUM_TOPIC_BYTES:
        raise ProtocolValidationError(f"a {kind} may have {MAXIMUM_TOPIC_BYTES} bytes, not {len(encoded)}")
    return encoded


def _encode(kind: str, text: str) -> bytes:
    if not text:
        raise ProtocolValidationError(f"a {kind} must be a text of at least one character, not {text!r}")
    return check_text(kind, text)


class _Node[T]:
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: list[T] = []


class TopicTrie[T]:
    """Values by topic filter. Finding those of a topic costs its number of levels, not the number of filters."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, topic_filter: str, value: T) -> None:
        """Add a value under a valid filter; the same twice is there twice."""
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.values.append(value)

    def remove(self, topic_filter: str, value: T) -> None:
        """Remove a value that was added under this filter, and every level that then leads nowhere."""
        path = [self._root]
        levels = topic_filter.split("/")
        path.extend(path[-1].children[level] for level in levels)
        path[-1].values.remove(value)
        for parent, level in zip(reversed(path[:-1]), reversed(levels), strict=True):
            child = parent.children[level]
            if child.values or child.children:
                return
            del parent.children[level]

    def match(self, topic: str) -> list[T]:
        """Return the values of all filters that match, the exact ones first, each filter's in the order added.

        A filter that starts with a wildcard does not match a topic that starts with `$`.
        """
        return list(self._match(self._root, topic.split("/"), 0))

    def _match(self, node: _Node[T], levels: list[str], depth: int) -> Iterator[T]:
        wildcards = depth > 0 or not levels[0].startswith("$")
        if depth == len(levels):
            yield from node.values
        else:
            if exact := node.children.get(levels[depth]):
                yield from self._match(exact, levels, depth + 1)
            if wildcards and (any_level := node.children.get("+")):
                yield from self._match(any_level, levels, depth + 1)
        if wildcards and (rest := node.children.get("#")):
            yield from rest.values
