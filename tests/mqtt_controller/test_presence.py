"""Which tags count, when they come and when they go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_controller.presence import Presence, Sighting, product_code, tag_code
from tests.wire.files import read_wire_file

CODES = read_wire_file("product_codes")


def tag(code: str, serial: int = 1, rssi: int = -50) -> Sighting:
    return Sighting(code.encode() + serial.to_bytes(8, "big"), rssi)


def one_reader(presence: Presence, *sightings: Sighting) -> dict[str, int]:
    presence.cycle({"reader": sightings})
    return dict(presence.snapshot())


def test_a_tag_counts_after_one_sighting() -> None:
    assert one_reader(Presence(), tag("MLON")) == {"MLON": 1}


@pytest.mark.parametrize(("rssi", "counts"), [(-58, True), (-59, False), (-20, True), (-100, False)])
def test_a_sighting_counts_from_minus_58_dbm(rssi: int, counts: bool) -> None:
    assert one_reader(Presence(), tag("MLON", rssi=rssi)) == ({"MLON": 1} if counts else {})


def test_a_tag_leaves_after_two_missed_cycles() -> None:
    presence = Presence()
    one_reader(presence, tag("MLON"))
    assert one_reader(presence) == {"MLON": 1}
    assert one_reader(presence) == {}


def test_one_missed_cycle_between_two_sightings_is_forgotten() -> None:
    presence = Presence()
    for _ in range(5):
        assert one_reader(presence, tag("MLON")) == {"MLON": 1}
        assert one_reader(presence) == {"MLON": 1}


def test_a_tag_that_is_heard_too_weakly_leaves_as_if_it_were_silent() -> None:
    presence = Presence()
    one_reader(presence, tag("MLON"))
    one_reader(presence, tag("MLON", rssi=-70))
    assert one_reader(presence, tag("MLON", rssi=-70)) == {}


def test_each_tag_counts_once_however_often_it_is_seen() -> None:
    sightings = [tag("MLON", 1), tag("MLON", 1), tag("MLON", 2), tag("WTMN", 1)]
    assert one_reader(Presence(), *sightings) == {"MLON": 2, "WTMN": 1}


def test_two_readers_that_see_the_same_tag_count_it_once() -> None:
    presence = Presence()
    presence.cycle({"left": [tag("MLON")], "right": [tag("MLON"), tag("WTMN")]})
    assert presence.snapshot() == {"MLON": 1, "WTMN": 1}


def test_a_tag_stays_while_any_reader_sees_it() -> None:
    presence = Presence()
    presence.cycle({"left": [tag("MLON")], "right": []})
    for _ in range(3):
        presence.cycle({"left": [], "right": [tag("MLON")]})
    assert presence.snapshot() == {"MLON": 1}


def test_a_reader_that_does_not_answer_keeps_its_tags() -> None:
    presence = Presence()
    presence.cycle({"left": [tag("MLON")], "right": [tag("WTMN")]})
    for _ in range(3):
        presence.cycle({"right": []})
    assert presence.snapshot() == {"MLON": 1}
    presence.cycle({"left": [], "right": []})
    presence.cycle({"left": [], "right": []})
    assert presence.snapshot() == {}


def test_a_new_session_forgets_the_last_ones_tags() -> None:
    presence = Presence()
    one_reader(presence, tag("MLON"))
    presence.clear()
    assert one_reader(presence) == {}


def test_a_tag_without_a_product_code_is_not_counted_but_named() -> None:
    presence = Presence()
    foreign = bytes.fromhex("30751FEB705C5904E3D50D70")
    assert one_reader(presence, Sighting(foreign, -40)) == {}
    assert presence.foreign_tags() == {foreign}


@pytest.mark.parametrize(
    ("epc", "code"),
    [
        (bytes.fromhex("4D4C4F4E") + bytes(8), "MLON"),
        (b"AB1 " + bytes(8), "AB1"),
        (b"MLON", "MLON"),
        (b"MLO", None),
        (b"", None),
        (b"    ", None),
        (b"ML\nN", None),
        (b"\0\0\0\0", None),
        (b"ML\xffN", None),
    ],
)
def test_the_product_code_is_the_epcs_first_four_bytes_as_ascii(epc: bytes, code: str | None) -> None:
    assert product_code(epc) == code


CYCLES = st.lists(st.sets(st.integers(0, 4)), max_size=12)


@given(CYCLES)
def test_a_snapshot_holds_exactly_the_tags_of_the_last_two_cycles(cycles: list[set[int]]) -> None:
    presence = Presence()
    for cycle in cycles:
        presence.cycle({"reader": [tag(f"TAG{number}") for number in cycle]})
    expected = set().union(*cycles[-2:])
    assert presence.snapshot() == {f"TAG{number}": 1 for number in sorted(expected)}


@pytest.mark.parametrize("tag", CODES["tags"], ids=lambda tag: tag["epc"])
def test_a_tag_carries_the_code_that_the_wire_says(tag: dict[str, str | None]) -> None:
    assert product_code(bytes.fromhex(str(tag["epc"]))) == tag["code"]


def test_tags_of_one_code_are_one_product_whatever_fills_them_up() -> None:
    presence = Presence()
    presence.cycle({"reader": [Sighting(b"AB  " + bytes(8), -50), Sighting(b"AB\0\0" + bytes(8), -50)]})
    assert presence.snapshot() == {"AB": 2}


@given(st.text("ABC 01", max_size=6))
def test_what_a_tag_can_carry_is_read_from_it(code: str) -> None:
    try:
        beginning = tag_code(code)
    except ValueError:
        return
    assert product_code(beginning + bytes(8)) == code
