"""Price lists and exact money."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices import products as products_module
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.price_lists import read_price_list
from custom_components.iot_data_bridge.devices.products import PriceList, PriceListError, Product, ProductEdit

WON = Currency("KRW")


def products_of(text: str) -> list[Product]:
    return [edit.applied_to(None) for edit in read_price_list(text)]


@pytest.mark.parametrize(
    ("price", "discount", "unit"), [("12000", "10", 10800), ("999", "33.3", 666), ("1", "50", 1), ("5", "100", 0)]
)
def test_the_price_of_a_piece_is_rounded_after_the_discount(price: str, discount: str, unit: int) -> None:
    assert Product("A", "A", Decimal(price), Decimal(discount)).unit_price(WON) == unit


@pytest.mark.parametrize(
    "text",
    [
        "code,name,price,discount_rate,category\nMLON,Melon,12000,10,fruit\nWTMN,Watermelon,18000,,\n",
        "\ufeffCode;Name;Price;Discount;Category\r\nMLON;Melon;12000;10;fruit\r\n\r\nWTMN;Watermelon;18000;;\r\n",
        "product_code\tproductName\tprice\tdiscountRate\tcategory\nMLON\tMelon\t12000\t10\tfruit\nWTMN\tWatermelon\t18000\n",
        "sep=;\r\nCode;Name;Price;Discount;Category\r\nMLON;Melon;12,000;10%;fruit\r\nWTMN;Watermelon;18,000;;\r\n",
        '"sep=|"\ncode|name|price|discount %|category\nMLON|Melon|₩12,000|10 %|fruit\nWTMN|Watermelon|18 000 KRW||\n',
        ('상품코드,상품명,판매가(원),할인율(%),카테고리\nMLON,Melon,"12,000원",10,fruit\nWTMN,Watermelon,"18,000",,\n'),
        (
            "\n \n  - {코드: MLON, 품명: Melon, 단가: 12000, 할인율: 10%, 분류: fruit}\n"
            "  - {코드: WTMN, 품명: Watermelon, 단가: 18000}\n"
        ),
        (
            "- {code: MLON, name: Melon, price: 12000, discount_rate: 10, category: fruit}\n"
            "- {code: WTMN, name: Watermelon, price: 18000}"
        ),
        (
            "products:\n  MLON: {name: Melon, price: 12000, discount: 10, category: fruit}\n"
            "  WTMN: {name: Watermelon, price: '18000'}"
        ),
        (
            '{"products": [{"code": "MLON", "name": "Melon", "price": 12000, "discount_rate": 10, "category": "fruit"},'
            ' {"code": "WTMN", "name": "Watermelon", "price": 18000}]}'
        ),
    ],
)
def test_a_price_list_is_read_from_csv_and_yaml(text: str) -> None:
    assert products_of(text) == [
        Product("MLON", "Melon", Decimal(12000), Decimal(10), category="fruit"),
        Product("WTMN", "Watermelon", Decimal(18000)),
    ]


def test_what_a_spreadsheet_adds_at_the_end_of_its_lines_is_nothing() -> None:
    assert products_of("code,price\nMLON,1,,\n,,,\n") == [Product("MLON", "MLON", Decimal(1))]


def test_yaml_keeps_every_digit() -> None:
    [product] = products_of("- {code: 0007, price: 0.10}")
    assert (product.code, str(product.price), product.name) == ("0007", "0.10", "0007")


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "empty", 0),
        ("code,price\n", "empty", 0),
        ("[]", "empty", 0),
        ("just words", "not_a_list", 0),
        ("a: [", "not_yaml", 1),
        ("- 5", "not_a_product", 1),
        ("code,price\nMLON,1\n,2\n", "code_missing", 3),
        ("code,price\nMLON,free\n", "price_invalid", 2),
        ("code,price\nMLON,-1\n", "price_invalid", 2),
        ("code,price\nMLON,1e13\n", "price_invalid", 2),
        ("code,price,discount\nMLON,1,101\n", "discount_invalid", 2),
        ("code,price\nMLON,1\nMLON,2\n", "code_twice", 3),
        ("- {code: MLON, price: 1}\n- {code: MLON, price: 2}\n", "code_twice", 2),
        ("products:\n  MLON: {price: 1}\n  MLON: {price: 2}\n", "key_twice", 3),
        ("- code: MLON\n  price: 1\n  price: 2\n", "key_twice", 3),
        ('{"products": [],\n"products": []}', "key_twice", 2),
        ("code,name,price\nMLON,Melon,12,000\n", "too_many_columns", 2),
        ("code,price,PRICE\nMLON,1,2\n", "column_twice", 1),
        ("- {code: MLON, price: 1, Price (KRW): 2}\n", "field_twice", 1),
        ("sep=;\ncode;price\nMLON;free\n", "price_invalid", 3),
        ("\n\ncode,price\nMLON,free\n", "price_invalid", 4),
        ("sep=;\nname\nMelon\n", "not_a_list", 0),
        ('code,price\nMLON,"12,00"\n', "price_invalid", 2),
        ('code,price\nMLON,"1,2000"\n', "price_invalid", 2),
        ("code,price\nMLON,10%\n", "price_invalid", 2),
        ("code,price,discount\nMLON,1,101%\n", "discount_invalid", 2),
        pytest.param("[" * 100_000, "not_yaml", 1, id="too deep"),
        ('code,price\n"MLON"x,1\n', "not_csv", 2),
    ],
)
def test_a_price_list_that_cannot_be_used_is_refused_with_its_place(text: str, reason: str, position: int) -> None:
    with pytest.raises(PriceListError) as caught:
        read_price_list(text)
    assert (caught.value.reason, caught.value.position) == (reason, position)


@pytest.mark.parametrize(
    ("written", "price"),
    [
        ("12000", "12000"),
        ("12,000", "12000"),
        ("1,234,567.89", "1234567.89"),
        ("1 234.5", "1234.5"),
        ("1\u00a0234", "1234"),
        ("1'234", "1234"),
        ("₩12,000", "12000"),
        ("12,000 원", "12000"),
        ("KRW 12000", "12000"),
        ("9.99 EUR", "9.99"),
        ("1e3", "1e3"),
    ],
)
def test_a_price_is_read_as_people_write_it(written: str, price: str) -> None:
    [product] = products_of(f'code,price\nMLON,"{written}"\n')
    assert product.price == Decimal(price)


@given(st.decimals(0, 10**9, places=2), st.sampled_from(["{:,}", "₩{:,}", "{:,}원", "{} KRW"]))
def test_no_price_changes_by_how_it_is_written(price: Decimal, form: str) -> None:
    [product] = products_of(f'code,price\nMLON,"{form.format(price)}"\n')
    assert product.price == price


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(PriceListError):
        assert read_price_list(text)


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
