"""MQTT topics and topic filters: the rules of the MQTT 5 standard, section 4.7."""

import re
from collections.abc import Callable

MAXIMUM_BYTES = 65535
_PLACE = re.compile(r"\{([^{}]*)\}")


def check_topic(topic: str) -> None:
    """Refuse a name that nothing can be published to.

    Raises:
        ValueError: saying why.
    """
    if not topic:
        raise ValueError("a topic must not be empty")
    if "+" in topic or "#" in topic:
        raise ValueError(f"the topic {topic!r} holds a wildcard, which nothing can be published to")
    _check_characters(topic)


def check_filter(topic_filter: str) -> None:
    """Refuse a filter that nobody can subscribe to.

    Raises:
        ValueError: saying why.
    """
    if not topic_filter:
        raise ValueError("a topic filter must not be empty")
    levels = topic_filter.split("/")
    for number, level in enumerate(levels, 1):
        if "#" in level and (level != "#" or number != len(levels)):
            raise ValueError(f"in the topic filter {topic_filter!r} # must be the whole last level")
        if "+" in level and level != "+":
            raise ValueError(f"in the topic filter {topic_filter!r} + must be a whole level")
    _check_characters(topic_filter)


def _check_characters(topic: str) -> None:
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError(f"the topic {topic!r} holds a lone surrogate") from None
    if size > MAXIMUM_BYTES:
        raise ValueError(f"the topic {topic[:40]!r}... has {size} bytes, more than {MAXIMUM_BYTES}")
    if "\0" in topic:
        raise ValueError(f"the topic {topic!r} holds a NUL character")


def capture(topic_filter: str, topic: str) -> tuple[str, ...] | None:
    """Return what each wildcard of the filter stands for in `topic`, in order, or None when it does not match.

    `#` stands for all remaining levels with their slashes ("" for none). Wildcards at the front do not match topics
    that begin with `$`.
    """
    wanted, given = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return None
    captured: list[str] = []
    for number, level in enumerate(wanted):
        if level == "#":
            return (*captured, "/".join(given[number:]))
        if number >= len(given):
            return None
        if level == "+":
            captured.append(given[number])
        elif level != given[number]:
            return None
    return tuple(captured) if len(wanted) == len(given) else None


def unshared(topic_filter: str) -> str:
    """Return the filter that a shared subscription (`$share/<group>/<filter>`) is about; any other as it is."""
    parts = topic_filter.split("/", 2)
    return parts[2] if parts[0] == "$share" and len(parts) == 3 else topic_filter  # noqa: PLR2004 -- those three


def overlaps(one: str, other: str) -> bool:
    """Tell whether there is a topic that both filters match."""
    ours, theirs = unshared(one).split("/"), unshared(other).split("/")
    for hidden, wild in ((ours, theirs), (theirs, ours)):
        if hidden[0].startswith("$") and wild[0] in ("+", "#"):
            return False
    for mine, yours in zip(ours, theirs, strict=False):
        if "#" in (mine, yours):
            return True
        if mine != yours and "+" not in (mine, yours):
            return False
    # `a/#` also matches `a`.
    rest = ours[len(theirs) :] or theirs[len(ours) :]
    return rest in ([], ["#"])


def wildcards(topic_filter: str) -> int:
    """Return how many wildcards a filter holds."""
    return sum(level in ("+", "#") for level in topic_filter.split("/"))


class _Node[T]:
    """One level of a filter."""

    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.values: list[T] = []


class FilterTree[T]:
    """Values by topic filter; finds all whose filter matches a topic without trying each."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, topic_filter: str, value: T) -> None:
        """Store a value below a filter; one filter may hold many."""
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.values.append(value)

    def match(self, topic: str) -> list[tuple[tuple[str, ...], list[T]]]:
        """Return for each filter that matches what its wildcards stand for, and its values."""
        levels = topic.split("/")
        hidden = topic.startswith("$")
        found: list[tuple[tuple[str, ...], list[T]]] = []
        # Every open end of the search: a node, how many levels led to it, what wildcards stood for.
        ends: list[tuple[_Node[T], int, tuple[str, ...]]] = [(self._root, 0, ())]
        while ends:
            node, depth, captured = ends.pop()
            wild = not hidden or depth > 0
            rest = node.children.get("#")
            if rest is not None and wild:
                found.append(((*captured, "/".join(levels[depth:])), rest.values))
            if depth == len(levels):
                if node.values:
                    found.append((captured, node.values))
                continue
            level = levels[depth]
            one = node.children.get("+")
            if one is not None and wild:
                ends.append((one, depth + 1, (*captured, level)))
            exact = node.children.get(level)
            if exact is not None and level not in ("+", "#"):
                ends.append((exact, depth + 1, captured))
        return found


def prepare_template(template: str, names: frozenset[str]) -> Callable[[dict[str, str]], str] | None:
    """Return a function that fills `{name}` places, or None when there are none to fill.

    Raises:
        ValueError: a place names something that is not known here.
    """
    used = set(_PLACE.findall(template))
    if not used:
        return None
    unknown = sorted(used - names)
    if unknown:
        raise ValueError(
            f"{template!r} names {{{unknown[0]}}}, which is not known here; known: "
            + (", ".join(f"{{{name}}}" for name in sorted(names)) or "nothing")
        )
    return lambda values: _PLACE.sub(lambda found: values[found[1]], template)
