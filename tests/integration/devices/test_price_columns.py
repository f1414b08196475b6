"""Which column of a list is which."""

import pytest

from custom_components.iot_data_bridge.devices.price_import.columns import checked_choice, find_columns
from custom_components.iot_data_bridge.devices.products import PriceListError


@pytest.mark.parametrize(
    ("headers", "places"),
    [
        ("code,name,price", {"code": 0, "name": 1, "price": 2}),
        ("code,price", {"code": 0, "price": 1}),
        ("상품코드,상품명,판매가(원)", {"code": 0, "name": 1, "price": 2}),
        ("商品コード,商品名,価格", {"code": 0, "name": 1, "price": 2}),
        ("商品编码,商品名称,价格", {"code": 0, "name": 1, "price": 2}),
        ("Artikelnummer,Bezeichnung,Preis", {"code": 0, "name": 1, "price": 2}),
        ("SKU,Product Name,Unit Price,Stock", {"code": 0, "name": 1, "price": 2}),
        # The project's own word is meant, whatever else there is.
        ("id,code,barcode,name,price,unit price", {"code": 1, "name": 3, "price": 4}),
        ("code,price,,", {"code": 0, "price": 1}),
    ],
)
def test_known_headers_need_no_question(headers: str, places: dict[str, int]) -> None:
    columns = find_columns(headers.split(","))
    assert (columns.certain, columns.places) == (True, places)


@pytest.mark.parametrize(
    ("headers", "suggested"),
    [
        # Which of two codes, which of two prices?
        ("SKU,Barcode,Name,Price", {"code": 0, "name": 2, "price": 3}),
        ("바코드,상품명,정가,판매가", {"code": 0, "name": 1}),
        # One of them may be the name.
        ("code,price,Ware", {"code": 0, "price": 1}),
        ("Ref,Ware,Betrag", {}),
        ("code,Ware", {"code": 0}),
    ],
)
def test_what_is_not_certain_is_asked(headers: str, suggested: dict[str, int]) -> None:
    columns = find_columns(headers.split(","))
    assert not columns.certain
    assert columns.places.items() >= suggested.items()


def test_a_choice_needs_a_code_and_something_besides() -> None:
    for choice in ({}, {"code": 1}, {"price": 1, "name": 2}):
        with pytest.raises(PriceListError, match="columns_missing"):
            checked_choice(choice)
    with pytest.raises(PriceListError, match="column_for_two"):
        checked_choice({"code": 1, "price": 1})
    assert checked_choice({"code": 1, "price": 2}).certain
