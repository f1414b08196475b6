"""Numbers as strangers write them: each is a sane number or none, and none raises."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.json_values import to_count, to_decimal, to_float

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
    assert amount is None or abs(amount) <= 10**15
