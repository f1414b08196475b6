"""Numbers as strangers write them: each is a sane number or none, and none raises."""

from decimal import Decimal
from math import isfinite

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.json_values import to_count, to_decimal, to_float, to_integer

NUMBERS = st.from_regex(r"\A\s{0,2}[+-]?[0-9_]{0,5}\.?[0-9]{0,5}([eE][+-]?[0-9]{1,18})?\s{0,2}\Z")


@pytest.mark.parametrize(
    "text", ["1e999999999", "-1e999999999", "1e-999999999", "0e999999999", "1e99999999999999999999", "sNaN", "Infinity"]
)
def test_a_number_beyond_all_bounds_is_none(text: str) -> None:
    assert (to_decimal(text), to_count(text)) == (None, None)


def test_an_integer_that_no_text_can_be_made_of_is_none() -> None:
    assert to_decimal(10**5000) is None


@pytest.mark.parametrize(
    ("value", "number"), [("1e15", Decimal(10) ** 15), ("-1e15", -(Decimal(10) ** 15)), ("1e-40", Decimal("1e-40"))]
)
def test_a_number_at_a_bound_is_taken(value: str, number: Decimal) -> None:
    assert to_decimal(value) == number


@given(NUMBERS | st.text(max_size=50) | st.integers() | st.floats())
def test_whatever_stands_there_no_number_raises(value: str | float) -> None:
    number = to_decimal(value)
    assert number is None or len(format(number, "f")) < 100
    count = to_count(value)
    assert count is None or count >= 0
    amount = to_float(value)
    assert amount is None or isfinite(amount)
    integer = to_integer(value)
    assert integer is None or orjson.loads(orjson.dumps(integer)) == integer


@given(st.integers(-(2**63), 2**64 - 1))
def test_an_integer_keeps_all_of_its_digits(number: int) -> None:
    assert to_integer(number) == to_integer(str(number)) == number


@pytest.mark.parametrize(
    ("value", "integer"),
    [(7.9, 7), ("7.9", 7), (2.0**53, 2**53), (1e20, None), ("1e20", None), (2**64, None), (-(2**63) - 1, None)]
    + [(bad, None) for bad in ("9" * 20, "9" * 41, None, True, "", "far")],
)
def test_a_number_whose_digits_are_lost_is_no_integer(value: float | str | None, integer: int | None) -> None:
    assert to_integer(value) == integer


def test_a_float_is_any_finite_one() -> None:
    assert [to_float(value) for value in (1e300, "1e300", 10**18, "1e999", 10**400, 1e999)] == [
        1e300,
        1e300,
        1e18,
        None,
        None,
        None,
    ]
