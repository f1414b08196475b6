"""Keys of devices: no two devices have one key, and each tells whether a site reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.identity import (
    bridge_id_of,
    bridge_key,
    bridged_key,
    is_read,
    object_key,
)
from custom_components.iot_data_bridge.devices.level_names import is_id, is_level_name, is_topic_name
from custom_components.iot_data_bridge.devices.topics import SiteTopics

IDS = st.text(st.sampled_from("ab:·"), min_size=1, max_size=4)
OBJECT = tuple[str, str, str]


@given(st.tuples(IDS, IDS, st.text("ab:/", min_size=1)), st.tuples(IDS, IDS, st.text("ab:/", min_size=1)))
def test_two_objects_never_have_one_key(one: OBJECT, other: OBJECT) -> None:
    keys = [object_key(bridged_key(bridge, device), name) for bridge, device, name in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(("bridge_id", "read"), [("a", False), ("a:b", True), ("+", True), ("", False)])
def test_a_site_reads_what_is_behind_its_bridge_alone(bridge_id: str, read: bool) -> None:
    assert is_read(bridged_key("a:b", "c"), SiteTopics((), False, bridge_id)) is read


def test_the_key_of_a_bridge_tells_its_id() -> None:
    assert (bridge_id_of(bridge_key("a:b")), bridge_id_of(bridged_key("a:b", "c"))) == ("a:b", None)


@pytest.mark.parametrize("name", ["VM-A", "공장 1", "a:b", "x" * 128])
def test_a_name_that_can_be_read_is_a_level_and_an_id(name: str) -> None:
    assert (is_level_name(name), is_id(name), is_topic_name(f"basket/{name}")) == (True, True, True)


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\x00", "a\u202eb", "a\u2066b", "a\x85"])
def test_a_name_that_hides_something_is_none(name: str) -> None:
    assert (is_level_name(name), is_id(name), is_topic_name(f"basket/{name}")) == (False, False, False)


@pytest.mark.parametrize("name", ["a/b", "+", "a#"])
def test_an_id_is_a_level_that_a_topic_can_hold(name: str) -> None:
    assert not is_id(name)
