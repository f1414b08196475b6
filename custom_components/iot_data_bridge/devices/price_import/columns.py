"""The columns of a price list: which header names which field of a product."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from ..products import FIELDS, PriceListError

# How headers in the field name each field, as `_spelling` writes them. The first of a field is this project's own.
_KNOWN: dict[str, tuple[str, ...]] = {
    "code": (
        *("code", "productcode", "product", "id", "sku", "barcode", "ean", "ean13", "gtin", "upc"),
        *("상품코드", "제품코드", "품목코드", "상품번호", "코드", "바코드"),
        *("商品コード", "商品番号", "jan", "janコード", "商品编码", "商品编号", "条码", "商品編號", "條碼"),
        *("artikelnummer", "codebarres", "códigodebarras"),
    ),
    "name": (
        *("name", "productname"),
        *("상품명", "제품명", "품목명", "품명", "이름"),
        *("商品名", "品名", "商品名称", "名称", "商品名稱", "名稱"),
        *("bezeichnung", "désignation", "nombre"),
    ),
    "price": (
        *("price", "unitprice"),
        *("가격", "단가", "판매가", "판매가격", "판매단가", "정가", "금액"),
        *("価格", "単価", "販売価格", "价格", "单价", "售价", "價格", "單價", "售價"),
        *("preis", "einzelpreis", "verkaufspreis", "prix", "prixunitaire", "precio", "preciounitario"),
    ),
    "discount_rate": (
        *("discountrate", "discount", "discountpercent"),
        *("할인율", "할인", "割引率", "割引", "折扣", "rabatt", "remise", "descuento"),
    ),
    "category": (
        *("category", "카테고리", "분류", "상품분류", "カテゴリ", "カテゴリー", "分類", "分类", "类别", "類別"),
        *("kategorie", "catégorie", "categoría"),
    ),
    "image": ("image", "imageurl", "이미지", "이미지url", "이미지주소", "사진", "画像", "图片", "圖片"),
    "location": ("location", "위치", "진열위치", "매대", "位置"),
    "brand": ("brand", "브랜드", "제조사", "ブランド", "品牌", "marke", "marque", "marca"),
}
_FIELD_OF = {spelling: field for field, spellings in _KNOWN.items() for spelling in spellings}
# Words in headers of shop systems that hint at a field, the likelier first; not certain enough to go without asking.
_HINTS: dict[str, tuple[str, ...]] = {
    "code": ("sku", "barcode", "gtin", "ean", "upc", "code", "코드", "コード", "编码", "編號"),
    "name": ("itemname", "title", "name", "상품명", "품명", "名"),
    "price": (
        "variantprice",
        "regularprice",
        "unitprice",
        "price",
        "가격",
        "단가",
        "価格",
        "价",
        "價",
        "preis",
        "prix",
    ),
    "discount_rate": ("discount", "할인", "割引", "折扣", "rabatt"),
    "category": ("category", "categories", "type", "분류", "分類", "分类"),
    "image": ("image", "이미지", "画像", "图"),
    "location": ("location", "위치", "位置"),
    "brand": ("brand", "vendor", "브랜드", "제조사", "品牌"),
}
_MISLEADING = {"price": ("compare", "cost", "sale", "online", "원가"), "name": ("vendor", "option", "file")}
# A spelling leaves out spaces, underscores, hyphens, percent signs, and additions in brackets.
_DECORATION = re.compile(r"[\s_%-]|[(\[\uff08].*")

type Choice = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a list holds which field, by their places.

    Attributes:
        places: the columns that are certain, or suggested where `certain` is False.
    """

    places: Choice
    certain: bool


@lru_cache(maxsize=1024)
def known_column(header: str) -> str | None:
    """Return the field that a header names; None when it is not known."""
    return _FIELD_OF.get(_spelling(header))


def is_own_word(header: str) -> bool:
    """Tell whether a header is this project's own word for a field, which counts before all others."""
    spelling = _spelling(header)
    field = _FIELD_OF.get(spelling)
    return field is not None and spelling == _KNOWN[field][0]


def find_columns(headers: Sequence[str]) -> Columns:
    """Return which columns the headers name.

    They are certain when each field has at most one column, there is a code and something besides, and nothing else
    can be the name. Otherwise a person is to be asked, and the places are suggestions.

    Raises:
        PriceListError: `column_twice`, two headers that are the same word.
    """
    spellings = [_spelling(header) for header in headers]
    counted = Counter(spelling for spelling in spellings if spelling in _FIELD_OF)
    if twice := [spelling for spelling, count in counted.items() if count > 1]:
        raise PriceListError("column_twice", text=twice[0])
    named: dict[str, list[int]] = {}
    for place, spelling in enumerate(spellings):
        if (field := _FIELD_OF.get(spelling)) is not None:
            named.setdefault(field, []).append(place)
    places: dict[str, int] = {}
    certain = True
    for field, found in named.items():
        # The project's own word counts before every other.
        own = [place for place in found if is_own_word(headers[place])]
        certain &= len(found) == 1 or bool(own)
        places[field] = (own or found)[0]
    unnamed = any(spelling and spelling not in _FIELD_OF for spelling in spellings)
    certain &= "code" in places and len(places) > 1 and ("name" in places or not unnamed)
    return Columns(places if certain else _suggested(spellings, places, named), certain)


def checked_choice(choice: Choice) -> Columns:
    """Return the columns that a person chose.

    Raises:
        PriceListError: `columns_missing`, no code or nothing besides; `column_for_two`.
    """
    if "code" not in choice or len(choice) == 1:
        raise PriceListError("columns_missing")
    if len(set(choice.values())) < len(choice):
        raise PriceListError("column_for_two")
    return Columns(dict(choice), certain=True)


def _suggested(spellings: Sequence[str], places: Choice, named: Mapping[str, list[int]]) -> Choice:
    suggested: dict[str, int] = {}
    for field in FIELDS:
        # Of several known words the hints choose: an ID beside a SKU is the shop system's own number.
        if len(named.get(field, ())) == 1:
            suggested[field] = places[field]
            continue
        free = [place for place in range(len(spellings)) if place not in suggested.values()]
        if (place := _hinted(field, spellings, free)) is not None:
            suggested[field] = place
    return suggested


def _hinted(field: str, spellings: Sequence[str], places: Sequence[int]) -> int | None:
    """Return the place whose header is a hint at a field, or has one in it."""
    hints, misleading = _HINTS[field], _MISLEADING.get(field, ())
    exact = (place for hint in hints for place in places if spellings[place] == hint)
    partly = (
        place
        for hint in hints
        for place in places
        if hint in spellings[place] and not any(word in spellings[place] for word in misleading)
    )
    return next(chain(exact, partly), None)


def _spelling(header: str) -> str:
    """Return a header without what people add to it: `Discount Rate (%)` is `discountrate`."""
    return _DECORATION.sub("", header.strip().strip('"').casefold())
