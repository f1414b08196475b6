"""Price lists and exact money."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices import products as products_module
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.products import PriceList, PriceListError, Product, ProductEdit

WON = Currency("KRW")


@pytest.mark.parametrize(
    ("price", "discount", "unit"), [("12000", "10", 10800), ("999", "33.3", 666), ("1", "50", 1), ("5", "100", 0)]
)
def test_the_price_of_a_piece_is_rounded_after_the_discount(price: str, discount: str, unit: int) -> None:
    assert Product("A", "A", Decimal(price), Decimal(discount)).unit_price(WON) == unit


class TestEdits:
    melon = Product("MLON", "Melon", Decimal(12000), Decimal(10), category="fruit")

    def test_an_edit_changes_the_fields_that_it_names(self) -> None:
        edit = ProductEdit.from_values({"code": "MLON", "price": 9000})
        assert edit.applied_to(self.melon) == Product("MLON", "Melon", Decimal(9000), Decimal(10), category="fruit")

    def test_nothing_clears_a_field(self) -> None:
        edit = ProductEdit.from_values({"code": "MLON", "name": "", "discount_rate": " ", "category": None})
        assert edit.applied_to(self.melon) == Product("MLON", "MLON", Decimal(12000))

    def test_a_new_product_needs_a_price(self) -> None:
        edit = ProductEdit.from_values({"code": "PEAR", "name": "Pear"}, 7)
        with pytest.raises(PriceListError) as caught:
            edit.applied_to(None)
        assert (caught.value.reason, caught.value.position, caught.value.code) == ("price_missing", 7, "PEAR")

    @pytest.mark.parametrize(
        ("values", "reason", "text"),
        [
            ({}, "code_missing", ""),
            ({"code": "x" * 65}, "code_missing", "x" * 65),
            ({"code": "A", "price": ""}, "price_empty", ""),
            ({"code": "A", "price": None}, "price_empty", ""),
            ({"code": "A", "price": -1}, "price_invalid", "-1"),
            ({"code": "A", "price": "1e999999999"}, "price_invalid", "1e999999999"),
            ({"code": "A", "price": float("nan")}, "price_invalid", "nan"),
            ({"code": "A", "price": [1]}, "price_invalid", "[1]"),
            ({"code": "A", "discount_rate": "1e999999999"}, "discount_invalid", "1e999999999"),
            ({"code": "A", "discount_rate": 100.5}, "discount_invalid", "100.5"),
            ({"code": "A", "prcie": 1}, "field_unknown", "prcie"),
        ],
    )
    def test_an_edit_that_cannot_be_says_why(self, values: dict[str, Any], reason: str, text: str) -> None:
        with pytest.raises(PriceListError) as caught:
            ProductEdit.from_values(values, 3)
        assert (caught.value.reason, caught.value.position, caught.value.text) == (reason, 3, text)

    @given(
        st.dictionaries(
            st.sampled_from(["code", "name", "price", "discount_rate", "category", "other"]),
            st.none() | st.text() | st.floats() | st.integers() | st.booleans() | st.lists(st.integers()),
        )
    )
    def test_no_values_break_an_edit(self, values: dict[str, Any]) -> None:
        with contextlib.suppress(PriceListError):
            product = ProductEdit.from_values(values).applied_to(None)
            assert WON.round(product.price) >= product.unit_price(WON) >= 0


class TestChanges:
    @pytest.fixture
    def prices(self) -> PriceList:
        prices = PriceList(WON)
        prices.replace(Product(code, code, Decimal(1)) for code in ("MLON", "PEAR"))
        return prices

    def test_a_change_says_what_comes_what_differs_and_what_goes(self, prices: PriceList) -> None:
        edits = [ProductEdit("PEAR", {"price": Decimal(2)}), ProductEdit("APPL", {"price": Decimal(1)})]
        change = prices.change_by(edits, remove_others=True)
        pear, dearer = Product("PEAR", "PEAR", Decimal(1)), Product("PEAR", "PEAR", Decimal(2))
        apple, melon = Product("APPL", "APPL", Decimal(1)), Product("MLON", "MLON", Decimal(1))
        assert (change.added, change.changed, change.removed) == ((apple,), ((pear, dearer),), (melon,))
        assert change.codes() == {"APPL", "PEAR", "MLON"}
        assert prices.change_by(edits).removed == ()
        prices.apply(change)
        assert {product.code for product in prices} == {"PEAR", "APPL"}
        assert (prices.unit_price("PEAR"), prices.unit_price("MLON")) == (Decimal(2), None)
        assert (prices.name("MLON"), len(prices)) == ("MLON", 2)

    def test_what_is_equal_is_no_change(self, prices: PriceList) -> None:
        assert not prices.change_by([ProductEdit("PEAR", {"price": Decimal("1.0"), "name": "PEAR"})])
        assert not prices.change_by([], remove=["NONE"])

    def test_products_are_taken_out_by_their_codes(self, prices: PriceList) -> None:
        prices.apply(prices.change_by([], remove=["PEAR", "NONE"]))
        assert [product.code for product in prices] == ["MLON"]

    def test_two_edits_of_one_product_are_refused(self, prices: PriceList) -> None:
        edits = [ProductEdit("PEAR", {"price": Decimal(2)}, 4), ProductEdit("PEAR", {"price": Decimal(3)}, 5)]
        with pytest.raises(PriceListError) as caught:
            prices.change_by(edits)
        assert (caught.value.reason, caught.value.position, caught.value.code) == ("code_twice", 5, "PEAR")

    def test_a_list_has_a_bound_that_removed_products_make_room_in(
        self, prices: PriceList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(products_module, "MOST_PRODUCTS", 2)
        edits = [ProductEdit("APPL", {"price": Decimal(1)})]
        with pytest.raises(PriceListError, match="too_many_products"):
            prices.change_by(edits)
        assert len(prices.change_by(edits, remove=["MLON"]).added) == 1

    def test_one_change_of_a_long_list_prices_one_product(
        self, prices: PriceList, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prices.replace(Product(f"P{number}", "", Decimal(number)) for number in range(1000))
        priced: list[str] = []
        unit_price = Product.unit_price

        def noted(product: Product, currency: Currency) -> Decimal:
            priced.append(product.code)
            return unit_price(product, currency)

        monkeypatch.setattr(Product, "unit_price", noted)
        assert prices.unit_price("P7") == 7
        prices.apply(prices.change_by([ProductEdit("P7", {"price": Decimal(8)})]))
        assert [prices.unit_price(code) for code in ("P7", "P7", "P9")] == [8, 8, 9]
        assert priced == ["P7", "P7", "P9"]


def test_a_product_in_an_answer_has_numbers() -> None:
    product = Product("MLON", "Melon", Decimal("9.99"), Decimal("12.5"), brand="B")
    assert product.as_answer(Currency("EUR")) == {
        "code": "MLON",
        "name": "Melon",
        "price": 9.99,
        "discount_rate": 12.5,
        "category": None,
        "image": None,
        "location": None,
        "brand": "B",
        "unit_price": 8.74,
    }
    assert Product("A", "A", Decimal("12000.00")).as_answer(WON)["price"] == 12000
