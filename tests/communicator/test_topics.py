"""Topics and topic filters: MQTT 5.0, sections 1.5.4, 4.7 and 4.8.2."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from communicator.common.exception import ProtocolValidationError
from communicator.topics import (
    MAXIMUM_SEPARATORS,
    TopicTrie,
    check_filter,
    check_topic,
    covering,
    covers,
    is_shared,
    overlaps,
    shape,
    unshared,
    wildcards,
)


def expected(topic_filter: str, topic: str) -> tuple[str, ...] | None:
    """Return what the wildcards stand for, level by level as section 4.7 says it; None without a match."""
    wanted, given_levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return None
    captured: list[str] = []
    for number, level in enumerate(wanted):
        if level == "#":
            return (*captured, "/".join(given_levels[number:]))
        if number >= len(given_levels) or level not in ("+", given_levels[number]):
            return None
        if level == "+":
            captured.append(given_levels[number])
    return tuple(captured) if len(wanted) == len(given_levels) else None


def matched(topic_filter: str, topic: str) -> list[tuple[str, ...]]:
    trie: TopicTrie[int] = TopicTrie()
    trie.add(topic_filter, 1)
    return [captured for captured, _ in trie.match(topic)]


@pytest.mark.parametrize(
    ("topic_filter", "topic", "captured"),
    [
        ("a/b", "a/b", ()),
        ("a/+", "a/b", ("b",)),
        ("a/+/c", "a/b/c", ("b",)),
        ("a/#", "a/b/c", ("b/c",)),
        ("a/#", "a", ("",)),
        ("+/+", "a/b", ("a", "b")),
        ("#", "a/b", ("a/b",)),
        ("+", "", ("",)),
        ("a/+", "a/", ("",)),
        ("a/b", "a/B", None),
        ("a/+", "a/b/c", None),
        ("a/+", "a", None),
        ("#", "$SYS/x", None),
        ("+/x", "$SYS/x", None),
        ("$SYS/#", "$SYS/x", ("x",)),
        ("$share/g/a/+", "a/b", ("b",)),
        ("$share/g/#", "$SYS/x", None),
    ],
)
def test_what_wildcards_stand_for(topic_filter: str, topic: str, captured: tuple[str, ...] | None) -> None:
    assert matched(topic_filter, topic) == ([] if captured is None else [captured])


levels = st.sampled_from(["a", "b", "", "$x", "c"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join)
filters = st.lists(levels | st.just("+"), min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from(["/".join(parts), "/".join([*parts, "#"])])
)
maybe_shared = filters | filters.map("$share/g/{}".format)


@given(st.lists(filters, max_size=8), topics)
def test_the_trie_finds_what_trying_each_filter_finds(given_filters: list[str], topic: str) -> None:
    trie: TopicTrie[str] = TopicTrie()
    for each in given_filters:
        trie.add(each, each)
    found = sorted((each, captured) for captured, each in trie.match(topic))
    tried = [(each, captured) for each in given_filters if (captured := expected(each, topic)) is not None]
    assert found == sorted(tried)


@given(st.lists(maybe_shared, max_size=8), st.data(), topics)
def test_what_was_removed_is_found_no_longer(given_filters: list[str], data: st.DataObject, topic: str) -> None:
    trie: TopicTrie[int] = TopicTrie()
    for number, each in enumerate(given_filters):
        trie.add(each, number)
    removed = data.draw(st.sets(st.sampled_from(range(len(given_filters))))) if given_filters else set()
    for number in removed:
        trie.remove(given_filters[number], number)
    left = {
        number
        for number, each in enumerate(given_filters)
        if number not in removed and expected(unshared(each), topic) is not None
    }
    assert {number for _, number in trie.match(topic)} == left
    for number in set(range(len(given_filters))) - removed:
        trie.remove(given_filters[number], number)
    assert trie.match(topic) == []


def test_what_was_never_added_cannot_be_removed() -> None:
    trie: TopicTrie[int] = TopicTrie()
    for each in ("a", "a/+", "a/#", "+/b"):
        with pytest.raises((KeyError, ValueError)):
            trie.remove(each, 1)


@given(st.lists(maybe_shared, max_size=8, unique=True))
def test_the_widest_filter_covers_and_nothing_covers_it(given_filters: list[str]) -> None:
    found = covering(given_filters)
    assert list(found) == given_filters
    for each, widest in found.items():
        assert covers(widest, each)
        assert is_shared(each) == is_shared(widest)
        assert found[widest] == widest
        if not is_shared(widest):
            assert not any(covers(other, widest) for other in found if other != widest and not is_shared(other))


@pytest.mark.parametrize(
    ("wanted", "widest"),
    [
        (["a/b", "a/+", "a/#", "d"], ["a/#", "a/#", "a/#", "d"]),
        (["#", "$SYS/a"], ["#", "$SYS/a"]),
        (["#", "$share/g/a"], ["#", "$share/g/a"]),
        (["$share/g/#", "a"], ["$share/g/#", "a"]),
        (["a/+", "+/b", "c"], ["a/+", "+/b", "c"]),
    ],
)
def test_the_widest_filter_that_covers_another(wanted: list[str], widest: list[str]) -> None:
    assert list(covering(wanted).values()) == widest


FORBIDDEN = ["a\0b", "a\nb", "a\x7fb", "a\x9fb", "\ufdd0", "a\uffff", "\U0001fffe", "\U0010ffff", "\ud800"]


@pytest.mark.parametrize(
    "topic", ["", "a/+", "#", "x" * 65536, "é" * 32768, "/" * (MAXIMUM_SEPARATORS + 1), *FORBIDDEN]
)
def test_what_nothing_can_be_published_to(topic: str) -> None:
    with pytest.raises(ProtocolValidationError, match="topic") as caught:
        check_topic(topic)
    assert len(str(caught.value)) < 800
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "topic_filter",
    [
        "",
        "a#",
        "#/a",
        "a/b+",
        "a/#/b",
        "$share",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
        "$share/g/a#",
        *FORBIDDEN,
    ],
)
def test_what_nobody_can_subscribe_to(topic_filter: str) -> None:
    with pytest.raises(ProtocolValidationError, match=r"topic filter|shared subscription"):
        check_filter(topic_filter)


@pytest.mark.parametrize("topic", ["a", "/", "a//b", " ", "$SYS/a", "\ud7ff", "\U0001f600", "x" * 65535, "a\u2028b"])
def test_what_may_be_published_to_and_subscribed(topic: str) -> None:
    assert check_topic(topic) == topic.encode()
    assert check_filter(topic) == topic


def test_the_filter_of_a_shared_subscription() -> None:
    assert check_filter("$share/g/a/+") == unshared("$share/g/a/+") == "a/+"
    assert check_filter("$share/g//a") == unshared("$share/g//a") == "/a"
    assert wildcards("$share/g/a/+/#") == 2
    assert check_filter("$shared/g") == unshared("$shared/g") == "$shared/g"


_LEVELS = ("a", "b", "$a")
_ALL_TOPICS = ["/".join(each) for length in range(1, 5) for each in itertools.product(_LEVELS, repeat=length)]
_small_filters = st.builds(
    lambda front, last: "/".join([*front, last]),
    st.lists(st.sampled_from([*_LEVELS, "+"]), max_size=2),
    st.sampled_from([*_LEVELS, "+", "#"]),
)


@given(_small_filters, _small_filters)
def test_filters_overlap_where_a_topic_matches_both(one: str, other: str) -> None:
    common = any(expected(one, topic) is not None and expected(other, topic) is not None for topic in _ALL_TOPICS)
    assert overlaps(one, other) == common
    assert overlaps(f"$share/group/{one}", other) == common


@given(_small_filters, _small_filters)
def test_a_filter_covers_another_only_where_it_matches_all_of_its_topics(wider: str, narrower: str) -> None:
    if covers(wider, narrower):
        assert all(expected(wider, topic) is not None for topic in _ALL_TOPICS if expected(narrower, topic) is not None)
    assert covers(wider, wider)


@pytest.mark.parametrize("wider", ["#", "a/#", "a/+/c", "a/b/#"])
def test_a_filter_covers_what_it_is_wider_than(wider: str) -> None:
    assert covers(wider, "a/b/c")


@given(_small_filters, _small_filters)
def test_filters_of_one_shape_match_no_topic_in_common(one: str, other: str) -> None:
    if shape(one) == shape(other) and one != other:
        assert not overlaps(one, other)
    assert shape(one) != shape(f"$share/g/{one}")


def test_shapes() -> None:
    assert [shape(each) for each in ("x", "x/+/y", "x/#", "$share/g/x/#", "$share/h/z/#")] == [
        "a",
        "a/+/a",
        "a/#",
        "$share/g/a/#",
        "$share/h/a/#",
    ]
