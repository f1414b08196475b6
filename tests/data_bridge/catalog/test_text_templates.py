"""Texts with places."""

import pytest

from data_bridge.catalog.text_templates import prepare_template


def test_a_template_is_filled() -> None:
    fill = prepare_template("devices/{device}/{object}", frozenset({"device", "object"}))
    assert fill is not None
    assert fill({"device": "vm-a", "object": "{device}"}) == "devices/vm-a/{device}"


def test_a_text_without_places_is_no_template() -> None:
    assert prepare_template("devices/a", frozenset({"device"})) is None


def test_a_template_with_an_unknown_place_names_it() -> None:
    with pytest.raises(ValueError, match=r"\{3\}.*known: \{1\}, \{2\}"):
        prepare_template("{3}.Temperature", frozenset({"1", "2"}))
