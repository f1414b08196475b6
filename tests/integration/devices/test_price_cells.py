"""The cells of price lists."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.price_import.cells import (
    DecimalMark,
    NumberFormat,
    plain_text,
    proved_mark,
    read_code,
    read_discount,
    read_price,
)
from custom_components.iot_data_bridge.devices.products import PriceListError


@pytest.mark.parametrize(
    ("written", "currency", "price"),
    [
        ("12000", "KRW", "12000"),
        ("12,000", "KRW", "12000"),
        ("1,234,567.89", "EUR", "1234567.89"),
        ("1 234.5", "EUR", "1234.5"),
        ("1\u00a0234", "EUR", "1234"),
        ("1\u202f234", "EUR", "1234"),
        ("1'234", "CHF", "1234"),
        ("₩12,000", "KRW", "12000"),
        ("12,000 원", "KRW", "12000"),
        ("KRW 12000", "KRW", "12000"),
        ("9.99 EUR", "EUR", "9.99"),
        ("1,980円", "JPY", "1980"),
        ("¥1,980", "JPY", "1980"),
        ("¥19.80", "CNY", "19.80"),
        ("1e3", "KRW", "1e3"),
        ("1.255", "EUR", "1.255"),
        ("1.250", "KWD", "1.250"),
    ],
)
def test_a_price_is_read_as_people_write_it(written: str, currency: str, price: str) -> None:
    assert read_price(written, NumberFormat(Currency(currency))) == Decimal(price)


@pytest.mark.parametrize(
    ("written", "price"), [("12,50", "12.50"), ("1.234,50 €", "1234.50"), ("€ 1 234,5", "1234.5"), ("1.234", "1234")]
)
def test_a_price_is_read_with_a_decimal_comma(written: str, price: str) -> None:
    assert read_price(written, NumberFormat(Currency("EUR"), DecimalMark.COMMA)) == Decimal(price)


@given(st.decimals(0, 10**9, places=2), st.sampled_from(["{:,}", "€{:,}", "{:,} €", "{} EUR"]))
def test_no_price_changes_by_how_it_is_written(price: Decimal, form: str) -> None:
    assert read_price(form.format(price), NumberFormat(Currency("EUR"))) == price


@given(st.integers(0, 10**9), st.sampled_from(["{:,}", "₩{:,}", "{:,}원", "{} KRW"]))
def test_no_price_without_decimals_changes_by_how_it_is_written(price: int, form: str) -> None:
    assert read_price(form.format(price), NumberFormat(Currency("KRW"))) == price


@given(st.decimals(0, 10**9, places=2))
def test_the_marks_of_europe_read_the_same(price: Decimal) -> None:
    written = f"{price:,}".translate(str.maketrans(",.", ".,"))
    assert read_price(written, NumberFormat(Currency("EUR"), DecimalMark.COMMA)) == price
    assert proved_mark(written) is DecimalMark.COMMA


@pytest.mark.parametrize(
    ("number", "mark"),
    [
        ("12,5", DecimalMark.COMMA),
        ("1.234.567", DecimalMark.COMMA),
        ("1.234,567", DecimalMark.COMMA),
        ("0,125", DecimalMark.COMMA),
        ("12,5 %", DecimalMark.COMMA),
        ("12.50", DecimalMark.POINT),
        ("1,234,567", DecimalMark.POINT),
        ("0.125", DecimalMark.POINT),
        ("12.000", None),
        ("12,000", None),
        ("12", None),
        ("", None),
        ("free", None),
    ],
)
def test_a_number_may_prove_the_decimal_mark(number: str, mark: DecimalMark | None) -> None:
    assert proved_mark(number) is mark


@given(st.text(), st.sampled_from([None, *DecimalMark]))
def test_no_cell_breaks_a_reader(cell: str, mark: DecimalMark | None) -> None:
    proved_mark(cell)
    plain_text(cell)
    for read in (
        lambda: read_code(cell),
        lambda: read_price(cell, NumberFormat(Currency("KRW"), mark)),
        lambda: read_discount(cell, mark),
    ):
        with contextlib.suppress(PriceListError):
            read()


@given(st.from_regex(r"[-0-9.,' ]{1,12}", fullmatch=True), st.sampled_from([None, *DecimalMark]))
def test_what_looks_like_a_number_is_one_or_refused(cell: str, mark: DecimalMark | None) -> None:
    with contextlib.suppress(PriceListError):
        price = read_price(cell, NumberFormat(Currency("EUR"), mark))
        assert price is None or price.is_finite()
