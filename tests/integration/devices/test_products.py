"""Price lists and exact money."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.products import PriceList, PriceListError, Product, read_price_list

WON = Currency("KRW")


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
    assert read_price_list(text) == [
        Product("MLON", "Melon", Decimal(12000), Decimal(10), category="fruit"),
        Product("WTMN", "Watermelon", Decimal(18000)),
    ]


def test_what_a_spreadsheet_adds_at_the_end_of_its_lines_is_nothing() -> None:
    assert read_price_list("code,price\nMLON,1,,\n,,,\n") == [Product("MLON", "MLON", Decimal(1))]


def test_yaml_keeps_every_digit() -> None:
    [product] = read_price_list("- {code: 0007, price: 0.10}")
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
    [product] = read_price_list(f'code,price\nMLON,"{written}"\n')
    assert product.price == Decimal(price)


@given(st.decimals(0, 10**9, places=2), st.sampled_from(["{:,}", "₩{:,}", "{:,}원", "{} KRW"]))
def test_no_price_changes_by_how_it_is_written(price: Decimal, form: str) -> None:
    [product] = read_price_list(f'code,price\nMLON,"{form.format(price)}"\n')
    assert product.price == price


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(PriceListError):
        assert read_price_list(text)


def test_a_change_says_what_comes_what_differs_and_what_goes() -> None:
    prices = PriceList(WON)
    melon, pear, apple = (Product(code, code, Decimal(1)) for code in ("MLON", "PEAR", "APPL"))
    prices.replace([melon, pear])
    dearer = Product("PEAR", "PEAR", Decimal(2))
    change = prices.change_to([dearer, apple], keep_others=False)
    assert (change.added, change.changed, change.removed) == ((apple,), ((pear, dearer),), (melon,))
    assert prices.change_to([dearer, apple], keep_others=True).removed == ()
    assert not prices.change_to([melon, pear], keep_others=False)
    prices.apply(change)
    assert {product.code for product in prices} == {"PEAR", "APPL"}
    assert (prices.unit_price("PEAR"), prices.unit_price("MLON")) == (Decimal(2), None)
    assert (prices.name("MLON"), len(prices)) == ("MLON", 2)


@given(
    st.builds(
        Product,
        st.text("ABCDEFG0123", min_size=1, max_size=8),
        st.text("abc xyz", min_size=1).map(str.strip).filter(bool),
        st.decimals(0, 10**9, places=2),
        st.decimals(0, 100, places=1),
    )
)
def test_a_stored_product_comes_back_the_same(product: Product) -> None:
    assert Product.from_values(product.as_json()) == product
