"""From what a message holds to what a catalog promises."""

import math
from collections.abc import Callable
from typing import get_args

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_bridge.catalog.casts import (
    MAXIMUM_INTEGER,
    MINIMUM_INTEGER,
    CastError,
    DigitsLostError,
    Raw,
    Value,
    ValueType,
    as_written,
    prepare_cast,
    to_boolean,
    to_float,
    to_integer,
    to_text,
)
from data_bridge.reasons import Reason

json_values: st.SearchStrategy[Raw] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(("raw", "value"), [(37.5, 37.5), (37, 37.0), ("37.5", 37.5), (" 1e3 ", 1000.0), (-0.0, 0.0)])
def test_a_float_comes_from_numbers_and_their_spellings(raw: Raw, value: float) -> None:
    assert to_float(raw) == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, "null_value"),
        (True, "cast_failed"),
        ("", "cast_failed"),
        ("warm", "cast_failed"),
        ("1_000", "cast_failed"),
        ([1.0], "cast_failed"),
        ({"a": 1}, "cast_failed"),
        ("9" * 401, "cast_failed"),
        ("nan", "not_finite"),
        ("-Infinity", "not_finite"),
        ("1e999", "not_finite"),
    ],
)
def test_what_is_no_finite_number_is_refused_with_its_reason(raw: Raw, reason: str) -> None:
    with pytest.raises(CastError) as caught:
        to_float(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("raw", "value"), [(12, 12), (12.0, 12), ("12", 12), ("12.0", 12), (" -7 ", -7), (True, None)])
def test_an_integer_comes_from_whole_numbers(raw: Raw, value: int | None) -> None:
    if value is None:
        with pytest.raises(CastError):
            to_integer(raw)
    else:
        assert to_integer(raw) == value


@pytest.mark.parametrize("raw", [12.5, "12.5", "twelve", [], None, "1_2"])
def test_an_integer_is_never_cut_out_of_something_else(raw: Raw) -> None:
    with pytest.raises(CastError):
        to_integer(raw)


@pytest.mark.parametrize("raw", [2**63, -(2**63) - 1, "9" * 30, 1e300])
def test_an_integer_beyond_64_bits_is_out_of_range(raw: Raw) -> None:
    with pytest.raises(CastError) as caught:
        to_integer(raw)
    assert caught.value.reason == "out_of_range"


def test_a_whole_number_of_any_size_is_its_text() -> None:
    assert to_text(2**64) == "18446744073709551616"
    assert to_text(-(2**70)) == "-1180591620717411303424"


def test_a_whole_number_of_any_size_may_be_in_an_enum_map() -> None:
    assert prepare_cast(ValueType.TEXT, enum={"18446744073709551616": "full"})(2**64) == "full"


@pytest.mark.parametrize("word", ["true", "TRUE", "True", "1", "yes", "Yes", "on", "ON", " on "])
def test_words_for_true_in_any_case(word: str) -> None:
    assert to_boolean(word) is True


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "No", "off", "OFF"])
def test_words_for_false_in_any_case(word: str) -> None:
    assert to_boolean(word) is False


@pytest.mark.parametrize(("raw", "value"), [(True, True), (False, False), (1, True), (0, False), (1.0, True)])
def test_truths_and_their_numbers(raw: Raw, value: bool) -> None:
    assert to_boolean(raw) is value


@pytest.mark.parametrize("raw", ["maybe", "", 2, -1, 0.5, None, [], {}])
def test_what_is_no_truth_is_refused_not_guessed(raw: Raw) -> None:
    with pytest.raises(CastError):
        to_boolean(raw)


@pytest.mark.parametrize(("raw", "text"), [("on", "on"), ("", ""), (12, "12"), (True, "true")])
def test_a_text_is_what_json_would_write(raw: Raw, text: str) -> None:
    assert to_text(raw) == text


@pytest.mark.parametrize("raw", [1.5, 0, 1e300])
def test_a_number_that_may_have_been_written_otherwise_is_wanted_as_its_digits(raw: Raw) -> None:
    with pytest.raises(DigitsLostError):
        to_text(raw)


def test_a_number_that_no_message_holds_is_written_as_json_writes_it() -> None:
    assert [as_written(raw) for raw in (1.5, 0, -7, 1e300)] == ["1.5", "0", "-7", "1e+300"]
    assert [as_written(raw) for raw in (True, "1.50", None)] == [True, "1.50", None]


@pytest.mark.parametrize("raw", [None, [], {}])
def test_a_structure_is_no_text(raw: Raw) -> None:
    with pytest.raises(CastError):
        to_text(raw)


def test_scale_and_offset() -> None:
    assert prepare_cast(ValueType.FLOAT, scale=0.1, offset=-40)(615) == pytest.approx(21.5)
    assert prepare_cast(ValueType.FLOAT, offset=1)("2") == 3.0


def test_a_scaled_integer_is_rounded() -> None:
    cast = prepare_cast(ValueType.INTEGER, scale=0.1)
    assert [cast(14), cast(15), cast(-15), cast("26")] == [1, 2, -1, 3]


def test_a_value_scaled_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(CastError) as caught:
        prepare_cast(ValueType.FLOAT, scale=1e308)(1e10)
    assert caught.value.reason == "not_finite"


def test_an_enum_map_reads_numbers_texts_and_truths() -> None:
    cast = prepare_cast(ValueType.TEXT, enum={"0": "off", "1": "on", "true": "yes"})
    assert [cast(0), cast("0"), cast(1.0), cast(True)] == ["off", "off", "on", "yes"]


def test_an_enum_map_may_lead_to_numbers() -> None:
    assert prepare_cast(ValueType.INTEGER, enum={"low": "10", "high": "20"})("high") == 20


def test_a_value_outside_the_enum_map_is_refused() -> None:
    with pytest.raises(CastError) as caught:
        prepare_cast(ValueType.TEXT, enum={"0": "off"})(7)
    assert caught.value.reason == "unknown_option"


@pytest.mark.parametrize("value_type", [ValueType.TEXT, ValueType.BOOLEAN])
def test_only_numbers_have_a_scale(value_type: ValueType) -> None:
    with pytest.raises(ValueError, match="integer or float"):
        prepare_cast(value_type, scale=2)


def beyond_what_our_encoder_writes[**P, R](test: Callable[P, R]) -> Callable[P, R]:
    """Try each type, among all else, with numbers that no JSON reader of ours gives but a caller may."""
    numbers = (2**64, -(2**63) - 1, 10**400, 10**5000)
    for value_type in ValueType:
        for raw in (*numbers, *([number] for number in numbers), {"a": 2**64}, deep()):
            test = example(value_type, raw)(test)
    return test


def deep() -> Raw:
    """Return a list nested deeper than it can be written."""
    nested: Raw = []
    for _ in range(300):
        nested = [nested]
    return nested


@beyond_what_our_encoder_writes
@given(st.sampled_from(list(ValueType)), json_values)
def test_any_json_value_becomes_the_promised_type_or_is_refused_with_a_known_reason(
    value_type: ValueType, raw: Raw
) -> None:
    kinds: dict[ValueType, type[Value]] = {
        ValueType.INTEGER: int,
        ValueType.FLOAT: float,
        ValueType.TEXT: str,
        ValueType.BOOLEAN: bool,
    }
    if isinstance(raw, float) and not math.isfinite(raw):
        return  # JSON has no such numbers, and the parser refuses them
    try:
        value = prepare_cast(value_type)(raw)
    except CastError as error:
        Reason(error.reason)  # which fails for an unknown word
        return
    assert type(value) is kinds[value_type]
    if isinstance(value, str) and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        return  # JSON text cannot hold it
    assert orjson.loads(orjson.dumps(value)) == value


@beyond_what_our_encoder_writes
@given(st.sampled_from(list(ValueType)), json_values)
def test_any_json_value_is_in_an_enum_map_or_refused_with_a_known_reason(value_type: ValueType, raw: Raw) -> None:
    cast = prepare_cast(value_type, enum={"0": "1"})
    try:
        value = cast(raw)
    except CastError as error:
        Reason(error.reason)
    else:
        assert str(raw) in {"0", "0.0", "-0.0"}
        assert value in {1, "1"}


@example(1.0, 0.0, 10**400)
@given(st.floats(), st.floats(), json_values)
def test_a_scaled_value_is_finite_or_refused(scale: float, offset: float, raw: Raw) -> None:
    try:
        cast = prepare_cast(ValueType.INTEGER, scale=scale, offset=offset)
    except ValueError:
        assert not (math.isfinite(scale) and math.isfinite(offset))
        return
    if isinstance(raw, float) and not math.isfinite(raw):
        return
    try:
        value = cast(raw)
    except CastError:
        return
    assert MINIMUM_INTEGER <= value <= MAXIMUM_INTEGER  # type: ignore[operator]  # an integer, as asked


def test_every_value_type_has_json_types_to_come_from() -> None:
    assert len(get_args(Raw.__value__)) == 7
