"""The one spelling of a product's code, in baskets and in the price list."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.product_codes import LONGEST_CODE, product_code
from custom_components.iot_data_bridge.devices.products import PriceList, ProductEdit
from tests.wire.files import name_of, read_wire_file

SPELLINGS = read_wire_file("product_codes")["spellings"]
NAMED = [spelling for spelling in SPELLINGS if not spelling["code"].startswith("\ufffd")]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=name_of)
def test_a_code_has_one_spelling(spelling: dict[str, str]) -> None:
    assert product_code(spelling["text"]) == spelling["code"]


@pytest.mark.parametrize("spelling", NAMED, ids=name_of)
def test_a_price_is_found_under_every_spelling_of_its_code(spelling: dict[str, str]) -> None:
    prices = PriceList(Currency("KRW"))
    prices.replace([ProductEdit.from_values({"code": spelling["text"], "price": "700"}).applied_to(None)])
    found = prices.get(spelling["text"])
    assert found is not None
    assert (found.code, prices.unit_price(spelling["code"])) == (spelling["code"], Decimal(700))


@pytest.mark.parametrize("text", ["", "x" * (LONGEST_CODE + 1)])
def test_nothing_and_long_texts_are_no_code(text: str) -> None:
    assert product_code(text) is None


@given(st.text())
def test_a_code_is_its_own_spelling(text: str) -> None:
    code = product_code(text)
    assert code is None or product_code(code) == code
