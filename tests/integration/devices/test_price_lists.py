"""Price lists as files and texts: what they ask for, and where they are wrong."""

import contextlib
import tracemalloc
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.price_import import reading
from custom_components.iot_data_bridge.devices.price_import.reading import (
    FractionReading,
    ReadList,
    open_list,
    read_list,
)
from custom_components.iot_data_bridge.devices.products import PriceListError, Product

WON, EURO = Currency("KRW"), Currency("EUR")


def opened_and_read(
    text: str, currency: Currency = WON, fractions: FractionReading = FractionReading.PERCENT
) -> ReadList:
    return read_list(open_list(text), currency, fractions=fractions)


def products_of(text: str, currency: Currency = WON) -> list[Product]:
    return [edit.applied_to(None) for edit in opened_and_read(text, currency).edits]


def refused(text: str, currency: Currency = WON) -> tuple[str, int, str, str]:
    with pytest.raises(PriceListError) as caught:
        opened_and_read(text, currency)
    error = caught.value
    return error.reason, error.position, error.code, error.text


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
    [product] = products_of("- {code: 0007, price: 0.10}", EURO)
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
        opened_and_read(text)
    assert (caught.value.reason, caught.value.position) == (reason, position)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(PriceListError):
        assert opened_and_read(text).edits


@given(st.text("ab1.,;\t|\n\"' ={}[]-:&*~%", max_size=60))
def test_no_text_that_resembles_a_list_breaks_the_reader(text: str) -> None:
    for start in ("code,price\n", "code;price;discount\n", "- code: ", "products: "):
        with contextlib.suppress(PriceListError):
            assert opened_and_read(start + text, EURO).edits


class TestOnlyWhatTheListHasChanges:
    melon = Product("MLON", "Melon", Decimal(12000), Decimal(10), category="fruit", brand="B")

    def changed(self, text: str) -> Product:
        [edit] = opened_and_read(text).edits
        return edit.applied_to(self.melon)

    @pytest.mark.parametrize("text", ["code,price\nMLON,9000\n", "- {code: MLON, price: 9000}", "MLON: {price: 9000}"])
    def test_a_column_that_is_not_there_changes_nothing(self, text: str) -> None:
        assert self.changed(text) == Product("MLON", "Melon", Decimal(9000), Decimal(10), category="fruit", brand="B")

    @pytest.mark.parametrize(
        "text",
        [
            "code,name,discount_rate,category\nMLON,,,\n",
            "- {code: MLON, name: , discount_rate: null, category: ~}",
            'MLON: {"name": "", "discount_rate": "", "category": ""}',
        ],
    )
    def test_an_empty_cell_clears(self, text: str) -> None:
        assert self.changed(text) == Product("MLON", "MLON", Decimal(12000), brand="B")

    def test_null_in_quotes_is_a_name(self) -> None:
        assert self.changed('- {code: MLON, name: "null"}').name == "null"

    def test_a_list_of_names_needs_no_prices(self) -> None:
        assert self.changed("code,name\nMLON,Honeydew\n").name == "Honeydew"

    def test_an_empty_price_is_refused(self) -> None:
        assert refused("code,price\nPEAR,1\nMLON,\n") == ("price_empty", 3, "MLON", "")
        assert refused("- {code: MLON, price: }") == ("price_empty", 1, "MLON", "")

    def test_lines_without_code_and_price_are_counted(self) -> None:
        read = opened_and_read("code,name,price\nMLON,Melon,1\n,only a picture,\n,,\n")
        assert (len(read.edits), read.skipped) == (1, 1)


class TestDamageOfSpreadsheets:
    @pytest.mark.parametrize("code", ["8.80123E+12", "8,80123E+12", "8801234567890.0", "8801234567890.00"])
    def test_a_damaged_code_is_refused(self, code: str) -> None:
        assert refused(f'code,price\nMLON,1\n"{code}",2\n') == ("code_damaged", 3, code, code)

    @pytest.mark.parametrize("cell", ['="0880"', '"=""0880"""', "'0880"])
    def test_a_code_may_say_that_it_is_text(self, cell: str) -> None:
        assert products_of(f"code,price\n{cell},1\n") == [Product("0880", "0880", Decimal(1))]

    def test_what_says_that_it_is_text_was_not_damaged(self) -> None:
        assert [product.code for product in products_of('code,price\n="12.0",1\n2E05,1\n')] == ["12.0", "2E05"]

    def test_an_amount_that_may_be_twelve_or_twelve_thousand_is_refused(self) -> None:
        assert refused("code,price\nMLON,12.000\n") == ("price_ambiguous", 2, "MLON", "12.000")
        assert refused("- {code: MLON, price: 12.000}") == ("price_ambiguous", 1, "MLON", "12.000")

    def test_a_fraction_of_a_won_is_refused(self) -> None:
        assert refused("code,price\nMLON,12.5\n") == ("price_not_whole", 2, "MLON", "12.5")
        assert products_of("code,price\nMLON,12000.00\n")[0].price == 12000

    def test_an_amount_of_another_currency_is_refused(self) -> None:
        assert refused("code,price\nMLON,9 EUR\n") == ("price_other_currency", 2, "MLON", "9 EUR")
        assert refused("code,price\nMLON,$9\n") == ("price_other_currency", 2, "MLON", "$9")
        assert products_of("code,price\nMLON,$9\n", Currency("CAD"))[0].price == 9

    @pytest.mark.parametrize(
        ("cell", "asked", "as_fraction"),
        [("0.1", "0.1", 10), ("0.1%", None, Decimal("0.1")), ("0", None, 0), ("1", None, 100), ("", None, 0)],
    )
    def test_a_tenth_as_a_discount_is_asked_about(self, cell: str, asked: str | None, as_fraction: object) -> None:
        text = f"code,price,discount\nMLON,1,{cell}\n"
        assert opened_and_read(text).fraction == asked
        [edit] = opened_and_read(text, fractions=FractionReading.FRACTION).edits
        assert edit.applied_to(None).discount_rate == as_fraction

    def test_ten_is_no_fraction(self) -> None:
        with pytest.raises(PriceListError, match="discount_invalid at 2"):
            opened_and_read("code,price,discount\nMLON,1,10\n", fractions=FractionReading.FRACTION)


class TestEurope:
    def test_a_comma_is_the_decimal_mark_beside_semicolons(self) -> None:
        text = "code;price;discount\nMLON;12,50;2,5\nPEAR;1.234,5;\nAPPL;7;10 %\nKIWI;12.000;\n"
        assert [(product.price, product.discount_rate) for product in products_of(text, EURO)] == [
            (Decimal("12.50"), Decimal("2.5")),
            (Decimal("1234.5"), Decimal(0)),
            (Decimal(7), Decimal(10)),
            # The other numbers say what the point is.
            (Decimal(12000), Decimal(0)),
        ]

    def test_a_point_may_be_the_decimal_mark_there_too(self) -> None:
        text = "code;price\nMLON;12.50\nPEAR;1,234\n"
        assert [product.price for product in products_of(text, EURO)] == [Decimal("12.50"), Decimal(1234)]

    @pytest.mark.parametrize("price", ["12,000", "12.000"])
    def test_where_no_number_tells_it_is_not_guessed(self, price: str) -> None:
        assert refused(f"code;price\nMLON;{price}\n", EURO) == ("price_ambiguous", 2, "MLON", price)

    def test_two_decimal_marks_in_one_list_are_refused(self) -> None:
        assert refused("code;price\nMLON;12,50\nPEAR;12.50\n", EURO) == ("marks_mixed", 3, "PEAR", "12.50")

    def test_in_a_currency_without_decimals_a_comma_separates_thousands(self) -> None:
        assert products_of("code;price\nMLON;12,000\n")[0].price == 12000

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_every_kind_of_line_end_is_one(self, end: str) -> None:
        text = end.join(["", "code,name,price", "MLON,Melon,1", 'PEAR,"two', 'lines",2', "KIWI,Kiwi,free"])
        assert refused(text) == ("price_invalid", 6, "KIWI", "free")

    @pytest.mark.parametrize("code", ["barcode", "EAN", "sku", "Barcode (EAN-13)"])
    def test_headers_of_the_trade_are_known(self, code: str) -> None:
        assert products_of(f"{code},Unit Price\n4006381333931,9.99\n", EURO) == [
            Product("4006381333931", "4006381333931", Decimal("9.99"))
        ]


class TestBounds:
    def test_five_megabytes_of_blank_lines_take_no_memory(self) -> None:
        text = "\n" * reading.LARGEST_LIST
        tracemalloc.start()
        assert refused(text)[0] == "too_many_lines"
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 10 * reading.LARGEST_LIST

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("code,price\n" + " \n" * 190_000, id="blank lines"),
            pytest.param("code,price\n" + "," * 4_900_000, id="one wide row"),
            pytest.param("," * 4_900_000, id="one wide header"),
            pytest.param("[" + "a," * 2_400_000 + "]", id="a long YAML list"),
            pytest.param("- {" + "a: 1, b: 2, " * 400_000 + "}", id="a wide YAML map"),
            pytest.param("a: &a [x]\n" + "".join(f"b{n}: *a\n" for n in range(100_000)), id="aliases"),
        ],
    )
    def test_no_list_takes_much_more_memory_than_its_size(self, text: str) -> None:
        tracemalloc.start()
        with pytest.raises(PriceListError):
            opened_and_read(text)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 100_000_000

    def test_a_list_is_bounded_in_size_and_products(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "LARGEST_LIST", 30)
        assert refused("code,price\n" + "MLON,1\n" * 3)[0] == "file_too_large"
        monkeypatch.setattr(reading, "MOST_PRODUCTS", 2)
        assert len(products_of("code,price\nA,1\nB,1\n")) == 2
        assert refused("code,price\nA,1\nB,1\nC,1\n")[0] == "too_many_products"

    @pytest.mark.parametrize("number", ["1e999999999", "-1e999999999", "9" * 5000, "nan", "Infinity"])
    def test_no_number_breaks_the_reader(self, number: str) -> None:
        assert refused(f"code,price\nMLON,{number}\n")[0] == "price_invalid"
        assert refused(f"code,price,discount\nMLON,1,{number}\n")[0] == "discount_invalid"
        assert refused(f"- {{code: MLON, price: {number}}}")[0] == "price_invalid"
