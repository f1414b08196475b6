"""MQTT topics and topic filters (MQTT 5.0, sections 1.5.4, 4.7 and 4.8.2): checks, matching, captures and overlaps."""

import re
from collections.abc import Iterable
from typing import Self

from communicator.common.exception import ProtocolValidationError

MAXIMUM_BYTES = 65_535
MAXIMUM_SEPARATORS = 200
"""Slashes of a topic. MQTT has no limit; Mosquitto ends the connection for more, again after each reconnect."""
SHARE = "$share"
"""First level of a shared subscription's filter, `$share/<group>/<filter>`."""

_SHOWN_CHARACTERS = 80
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f]")
# The last two characters of each of Unicode's 17 planes are none, and 32 in the first.
_NO_CHARACTERS = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)) + "]"
)


def check_text(kind: str, text: str) -> bytes:
    """Return a string of a packet as UTF-8; `kind` names it in errors.

    Raises:
        ProtocolValidationError: it is too long, is no Unicode, or has a character for which brokers end the connection,
            which a client that sends it again after each reconnect would never leave behind.
    """
    if "\0" in text:
        raise ProtocolValidationError(f"a {kind} must not contain the null character: {_shown(text)}")
    if _CONTROL.search(text) or _NO_CHARACTERS.search(text):
        raise ProtocolValidationError(f"a {kind} must not contain control characters or non-characters: {_shown(text)}")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise ProtocolValidationError(
            f"a {kind} must be valid Unicode, without lone surrogates: {_shown(text)}"
        ) from error
    if len(encoded) > MAXIMUM_BYTES:
        raise ProtocolValidationError(f"a {kind} may have {MAXIMUM_BYTES} bytes, not {len(encoded)}: {_shown(text)}")
    return encoded


def check_topic(topic: str) -> bytes:
    """Return a topic to publish on as UTF-8.

    Raises:
        ProtocolValidationError: it is empty, too long, too deep, or has a wildcard or a forbidden character.
    """
    encoded = _check_levels("topic", topic)
    if "+" in topic or "#" in topic:
        raise ProtocolValidationError(f"a message cannot be published on a topic with a wildcard: {_shown(topic)}")
    return encoded


def check_filter(topic_filter: str) -> str:
    """Return the part of a topic filter that topics are matched against: all of it but `$share/<group>/`.

    Raises:
        ProtocolValidationError: it is empty, too long or too deep, has a forbidden character or a wildcard in the wrong
            place, or is no shared subscription though it begins like one.
    """
    _check_levels("topic filter", topic_filter)
    matched = topic_filter
    first, *rest = topic_filter.split("/", 2)
    if first == SHARE:
        if len(rest) < 2 or not all(rest) or "+" in rest[0] or "#" in rest[0]:  # noqa: PLR2004 -- group and filter
            raise ProtocolValidationError(
                f"a shared subscription is {SHARE}/<group>/<filter>, without wildcards in <group>, "
                f"not {_shown(topic_filter)}"
            )
        matched = rest[1]
    levels = matched.split("/")
    for position, level in enumerate(levels):
        if "+" in level and level != "+":
            raise ProtocolValidationError(f"+ must be a whole level of a topic filter: {_shown(topic_filter)}")
        if "#" in level and (level != "#" or position != len(levels) - 1):
            raise ProtocolValidationError(f"# must be the whole last level of a topic filter: {_shown(topic_filter)}")
    return matched


def _check_levels(kind: str, text: str) -> bytes:
    if not text:
        raise ProtocolValidationError(f"a {kind} must be a text of at least one character, not {text!r}")
    encoded = check_text(kind, text)
    if text.count("/") > MAXIMUM_SEPARATORS:
        raise ProtocolValidationError(
            f"a {kind} may have {MAXIMUM_SEPARATORS} slashes, not {text.count('/')}: {_shown(text)}"
        )
    return encoded


def _shown(text: str) -> str:
    return ascii(text) if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]!a}..."


def is_shared(topic_filter: str) -> bool:
    """Tell whether a valid filter is that of a shared subscription: each message goes to one member of its group."""
    return topic_filter.startswith("$share/")


def unshared(topic_filter: str) -> str:
    """Return the part of a valid filter that topics are matched against."""
    return topic_filter.split("/", 2)[2] if is_shared(topic_filter) else topic_filter


def wildcards(topic_filter: str) -> int:
    """Return how many wildcards a valid filter holds."""
    return sum(level in ("+", "#") for level in unshared(topic_filter).split("/"))


def shape(topic_filter: str) -> str:
    """Return a text that two valid filters share only if they match no topic in common, or are the same filter.

    It is the filter with `a` for each level that is no wildcard, and with the group of a shared subscription.
    """
    head = topic_filter[: len(topic_filter) - len(unshared(topic_filter))]
    return head + "/".join(level if level in ("+", "#") else "a" for level in unshared(topic_filter).split("/"))


def overlaps(one: str, other: str) -> bool:
    """Tell whether there is a topic that both filters match."""
    ours, theirs = unshared(one).split("/"), unshared(other).split("/")
    if _skips(ours, theirs) or _skips(theirs, ours):
        return False
    for mine, yours in zip(ours, theirs, strict=False):
        if "#" in (mine, yours):
            return True
        if mine != yours and "+" not in (mine, yours):
            return False
    # `a/#` also matches `a`.
    rest = ours[len(theirs) :] or theirs[len(ours) :]
    return rest in ([], ["#"])


def covers(wider: str, narrower: str) -> bool:
    """Tell whether every topic that `narrower` matches is one that `wider` matches."""
    ours, theirs = unshared(wider).split("/"), unshared(narrower).split("/")
    if _skips(ours, theirs):
        return False
    for position, level in enumerate(ours):
        if level == "#":
            return True
        if position >= len(theirs) or theirs[position] == "#" or level not in ("+", theirs[position]):
            return False
    return len(ours) == len(theirs)


def _skips(wild: list[str], levels: list[str]) -> bool:
    """Tell whether a filter begins with a wildcard, which matches no first level that begins with `$`, as here."""
    return wild[0] in ("+", "#") and levels[0].startswith("$")


def covering(filters: Iterable[str]) -> dict[str, str]:
    """Return for each filter one that covers it and that none covers: the first of the widest, or itself.

    A broker may deliver a message once for each subscription that matches it. A shared subscription has its messages
    for itself, so it neither covers another nor is covered.
    """
    places = {each: place for place, each in enumerate(dict.fromkeys(filters))}
    wide: TopicTrie[str] = TopicTrie()
    for each in places:
        if wildcards(each) and not is_shared(each):
            wide.add(each, each)
    result: dict[str, str] = {}
    for each in places:
        found = [wider for _, wider in wide.match(each) if covers(wider, each)] if not is_shared(each) else []
        widest = [one for one in found if not any(other != one and covers(other, one) for other in found)]
        result[each] = min(widest, key=places.__getitem__, default=each)
    return result


class _Node[T]:
    __slots__ = ("any_level", "children", "rest", "values")

    def __init__(self) -> None:
        # Most nodes are leaves, of which there may be many thousand: nothing is made before it is needed.
        self.children: dict[str, Self] | None = None
        self.any_level: Self | None = None  # behind `+`
        self.rest: list[T] | None = None  # of `#`
        self.values: list[T] | None = None

    def child(self, level: str) -> Self:
        """Return the node behind a level other than `#`, made if needed."""
        if level == "+":
            if self.any_level is None:
                self.any_level = type(self)()
            return self.any_level
        if self.children is None:
            self.children = {}
        known = self.children.get(level)
        if known is None:
            known = self.children[level] = type(self)()
        return known

    @property
    def empty(self) -> bool:
        """Tell whether it leads nowhere."""
        return not (self.children or self.any_level or self.rest or self.values)


class TopicTrie[T]:
    """Values by topic filter. Finding those of a topic costs its number of levels, not the number of filters."""

    __slots__ = ("_exact", "_root")

    def __init__(self) -> None:
        self._exact: dict[str, list[T]] = {}
        self._root: _Node[T] = _Node()

    def add(self, topic_filter: str, value: T) -> None:
        """Add a value under a valid filter, a shared one's by the filter in it; the same twice is there twice."""
        matched = unshared(topic_filter)
        if not wildcards(matched):
            self._exact.setdefault(matched, []).append(value)
            return
        node = self._root
        for level in matched.split("/"):
            if level == "#":
                node.rest = node.rest or []
                node.rest.append(value)
                return
            node = node.child(level)
        node.values = node.values or []
        node.values.append(value)

    def remove(self, topic_filter: str, value: T) -> None:
        """Remove a value that was added under this filter, and every level that then leads nowhere."""
        matched = unshared(topic_filter)
        if wildcards(matched):
            self._remove(self._root, matched.split("/"), 0, value)
            return
        values = self._exact[matched]
        values.remove(value)
        if not values:
            del self._exact[matched]

    def _remove(self, node: _Node[T], levels: list[str], depth: int, value: T) -> None:
        if depth == len(levels):
            _remove_value(node.values, value)
            return
        level = levels[depth]
        if level == "#":
            _remove_value(node.rest, value)
        elif level == "+":
            if node.any_level is None:
                raise KeyError(level)
            self._remove(node.any_level, levels, depth + 1, value)
            if node.any_level.empty:
                node.any_level = None
        else:
            if node.children is None:
                raise KeyError(level)
            child = node.children[level]
            self._remove(child, levels, depth + 1, value)
            if child.empty:
                del node.children[level]

    def match(self, topic: str) -> list[tuple[tuple[str, ...], T]]:
        """Return what each wildcard stands for, in order, and the value, of each filter that matches.

        `#` stands for all remaining levels with their slashes ("" for none). Filters without wildcards come first, and
        each filter's values in the order added. A filter that starts with a wildcard does not match a topic that starts
        with `$`.
        """
        found: list[tuple[tuple[str, ...], T]] = [((), value) for value in self._exact.get(topic, ())]
        levels = topic.split("/")
        root = self._root
        if not topic.startswith("$"):
            _collect(root, levels, 0, (), found)
        elif root.children and (child := root.children.get(levels[0])):
            _collect(child, levels, 1, (), found)
        return found


def _collect[T](
    node: _Node[T], levels: list[str], depth: int, captured: tuple[str, ...], found: list[tuple[tuple[str, ...], T]]
) -> None:
    if depth == len(levels):
        if node.values:
            found.extend([(captured, value) for value in node.values])
    else:
        level = levels[depth]
        if node.children and (child := node.children.get(level)):
            _collect(child, levels, depth + 1, captured, found)
        if node.any_level:
            _collect(node.any_level, levels, depth + 1, (*captured, level), found)
    if node.rest:
        everything = (*captured, "/".join(levels[depth:]))
        found.extend([(everything, value) for value in node.rest])


def _remove_value[T](values: list[T] | None, value: T) -> None:
    if values is None:
        raise ValueError(value)
    values.remove(value)
