"""Paths into JSON, dotted keys among them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.casts import Raw
from data_bridge.catalog.json_path import PathMissingError, parse_path, prepare_path

MESSAGE: Raw = {
    "payload": {"Equip.Tag": "GPS001", "VALUE": 37.5, "a": {"b.c": {"d": 1}}},
    "rows": [{"v": 10}, {"v": 20}],
    "Equip.Tag": "outer",
    "it's": "quote",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("payload.VALUE", 37.5),
        ("$.payload.VALUE", 37.5),
        ("payload['Equip.Tag']", "GPS001"),
        ('payload["Equip.Tag"]', "GPS001"),
        ('payload."Equip.Tag"', "GPS001"),
        (r"payload.Equip\.Tag", "GPS001"),
        ("payload.Equip.Tag", "GPS001"),
        ("Equip.Tag", "outer"),
        ("payload.a.b.c.d", 1),
        ("rows[1].v", 20),
        ("rows[-1].v", 20),
        ("$['rows'][0]['v']", 10),
        (r"['it\'s']", "quote"),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: Raw) -> None:
    assert prepare_path(path)(MESSAGE) == value


def test_an_empty_path_is_the_whole_value() -> None:
    assert prepare_path("$")(MESSAGE) is MESSAGE


@pytest.mark.parametrize(
    "path", ["nothing", "payload.nothing", "rows[2]", "rows.v", "payload[0]", "payload.VALUE.x", "payload['Equip']"]
)
def test_a_path_that_leads_nowhere_says_so(path: str) -> None:
    with pytest.raises(PathMissingError):
        prepare_path(path)(MESSAGE)


@pytest.mark.parametrize("path", [".a", "a.", "a..b", "a[", "a[x]", "a['b", "a]b", "a b['", '"a"b'])
def test_a_path_that_makes_no_sense_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        prepare_path(path)


def test_a_path_of_endless_length_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 32"):
        prepare_path(".".join("a" * 40))


keys = st.text(min_size=1, max_size=8).filter(lambda key: "\\" not in key)


@given(st.lists(keys | st.integers(0, 3), min_size=1, max_size=6), st.integers())
def test_any_keys_can_be_reached_in_brackets(steps: list[str | int], value: int) -> None:
    document: Raw = value
    path = "$"
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [*([None] * step), document]
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else "['" + step.replace("'", r"\'") + "']"
    assert parse_path(path)[0] == tuple(steps)
    assert prepare_path(path)(document) == value


@given(st.text())
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        get = prepare_path(text)
    except ValueError:
        return
    with contextlib.suppress(PathMissingError):
        get(MESSAGE)


def test_many_missing_dotted_steps_cost_no_exponential_time() -> None:
    document: Raw = {}
    for _ in range(31):
        document = {"a": document}
    with pytest.raises(PathMissingError):
        prepare_path(".".join(["a"] * 31 + ["x"]))(document)
