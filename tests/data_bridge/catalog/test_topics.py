"""Topics, filters and templates: MQTT 5, section 4.7."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.topics import FilterTree, capture, check_filter, check_topic, overlaps, prepare_template
from data_bridge.pipeline.resolver import uncovered


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
    ],
)
def test_what_wildcards_stand_for(topic_filter: str, topic: str, captured: tuple[str, ...] | None) -> None:
    assert capture(topic_filter, topic) == captured
    tree: FilterTree[int] = FilterTree()
    tree.add(topic_filter, 1)
    assert tree.match(topic) == ([] if captured is None else [(captured, [1])])


levels = st.sampled_from(["a", "b", "", "$x", "c"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join)
filters = st.lists(levels | st.just("+"), min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from(["/".join(parts), "/".join([*parts, "#"])])
)


@given(st.lists(filters, max_size=8), topics)
def test_the_tree_finds_what_trying_each_filter_finds(given_filters: list[str], topic: str) -> None:
    tree: FilterTree[str] = FilterTree()
    for each in given_filters:
        tree.add(each, each)
    found = sorted(value for _, values in tree.match(topic) for value in values)
    assert found == sorted(each for each in given_filters if capture(each, topic) is not None)


@given(st.dictionaries(filters, st.integers(0, 1), max_size=8), topics)
def test_leaving_out_covered_filters_loses_no_topic(wanted: dict[str, int], topic: str) -> None:
    left = uncovered(wanted)
    matching = [qos for each, qos in wanted.items() if capture(each, topic) is not None]
    kept = [qos for each, qos in left.items() if capture(each, topic) is not None]
    assert bool(matching) == bool(kept)
    if matching:
        assert max(kept) >= max(matching)


def test_a_filter_that_another_covers_is_left_out() -> None:
    assert uncovered({"a/#": 0, "a/b": 1, "a/+/c": 0, "d": 1}) == {"a/#": 1, "d": 1}


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b", "x" * 65536, "\ud800"])
def test_what_nothing_can_be_published_to(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        check_topic(topic)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/b+", "a/#/b", "a\0"])
def test_what_nobody_can_subscribe_to(topic_filter: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        check_filter(topic_filter)


def test_a_template_is_filled() -> None:
    fill = prepare_template("devices/{device}/{object}", frozenset({"device", "object"}))
    assert fill is not None
    assert fill({"device": "vm-a", "object": "{device}"}) == "devices/vm-a/{device}"


def test_a_text_without_places_is_no_template() -> None:
    assert prepare_template("devices/a", frozenset({"device"})) is None


def test_a_template_with_an_unknown_place_names_it() -> None:
    with pytest.raises(ValueError, match=r"\{3\}.*known: \{1\}, \{2\}"):
        prepare_template("{3}.Temperature", frozenset({"1", "2"}))


_LEVELS = ("a", "b", "$a")
_ALL_TOPICS = ["/".join(each) for length in range(1, 5) for each in itertools.product(_LEVELS, repeat=length)]
_small_filters = st.builds(
    lambda front, last: "/".join([*front, last]),
    st.lists(st.sampled_from([*_LEVELS, "+"]), max_size=2),
    st.sampled_from([*_LEVELS, "+", "#"]),
)


@given(_small_filters, _small_filters)
def test_filters_overlap_where_a_topic_matches_both(one: str, other: str) -> None:
    common = any(capture(one, topic) is not None and capture(other, topic) is not None for topic in _ALL_TOPICS)
    assert overlaps(one, other) == common
    assert overlaps(f"$share/group/{one}", other) == common
