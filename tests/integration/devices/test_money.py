"""Exact money and how it is written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency


@pytest.mark.parametrize(
    ("currency", "amount", "rounded"),
    [
        ("KRW", "10.5", "11"),
        ("JPY", "10.4", "10"),
        ("EUR", "0.005", "0.01"),
        ("KWD", "0.0005", "0.001"),
        ("CLF", "1", "1"),
    ],
)
def test_money_is_rounded_to_the_smallest_coin_and_a_half_goes_up(currency: str, amount: str, rounded: str) -> None:
    assert Currency(currency).round(Decimal(amount)) == Decimal(rounded)


@pytest.mark.parametrize(
    ("currency", "amount", "number"),
    [
        ("KRW", "12345", 12345),
        ("KRW", "10.5", 11),
        ("EUR", "12.3", 12.3),
        ("EUR", "12", 12.0),
        ("KWD", "1.0005", 1.001),
    ],
)
def test_money_in_an_answer_is_a_number(currency: str, amount: str, number: float) -> None:
    plain = Currency(currency).plain(Decimal(amount))
    assert (plain, type(plain)) == (number, type(number))


@given(st.decimals(0, 10**12, places=2))
def test_the_number_of_an_answer_has_every_digit(amount: Decimal) -> None:
    assert Decimal(repr(Currency("EUR").plain(amount))) == amount


@pytest.mark.parametrize(
    ("currency", "amount", "written"),
    [
        ("KRW", "12345", "12,345 ₩"),
        ("KRW", "999.5", "1,000 ₩"),
        ("EUR", "1234.5", "1,234.50 €"),
        ("USD", "0", "0.00 $"),
        ("GBP", "5", "5.00 £"),
        ("JPY", "1000000", "1,000,000 ¥"),
        ("KWD", "1.5", "1.500 KWD"),
        ("CHF", "-3", "-3.00 CHF"),
    ],
)
def test_there_is_one_notation_of_money(currency: str, amount: str, written: str) -> None:
    assert Currency(currency).written(Decimal(amount)) == written
