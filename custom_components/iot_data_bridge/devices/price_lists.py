"""Reading a price list from a file or a text."""

import csv
import io
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, override

import yaml

from .json_values import JsonValue, to_decimal
from .products import PriceListError, ProductEdit

try:
    # Six times faster; a PyYAML that was built without libyaml lacks it.
    from yaml import CBaseLoader as BaseLoader
except ImportError:
    from yaml import BaseLoader  # type: ignore[assignment] # the same face

# How the columns of lists in the field are named, as `_spelling` writes them; the first that is there counts.
_COLUMNS = {
    "code": ("code", "productcode", "product", "id", "상품코드", "제품코드", "품목코드", "상품번호", "코드", "바코드"),
    "name": ("name", "productname", "상품명", "제품명", "품목명", "품명", "이름"),
    "price": ("price", "가격", "단가", "판매가", "판매가격", "판매단가", "정가", "금액"),
    "discount_rate": ("discountrate", "discount", "discountpercent", "할인율", "할인"),
    "category": ("category", "카테고리", "분류", "상품분류"),
    "image": ("image", "imageurl", "이미지", "이미지url", "이미지주소", "사진"),
    "location": ("location", "위치", "진열위치", "매대"),
    "brand": ("brand", "브랜드", "제조사"),
}
_SPELLINGS = {spelling for spellings in _COLUMNS.values() for spelling in spellings}
# What a spelling leaves out: spaces, underscores, hyphens and percent signs, and what is added in brackets.
_DECORATION = re.compile(r"[\s_%-]|[(\[].*")
# A number as people write it: thousands in groups of three, a currency before or after it. A comma is never the decimal
# point, for 1,500 would then be two prices.
_WRITTEN_NUMBER = re.compile(
    r"(?:[₩$€¥£]|[A-Z]{3})?\s*"
    r"(?P<number>-?(?:\d{1,3}(?P<group>[, '\u2019\u00a0\u202f])\d{3}(?:(?P=group)\d{3})*|\d+)(?:\.\d+)?)"
    r"\s*(?:[₩$€¥£원]|[A-Z]{3})?"
)
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[^ \r\n"])"?\s*', re.IGNORECASE)
# Under what the fields of a row beyond its header are kept; no column is named so.
_EXTRA = "\n"
_BLANK_LINES = re.compile(r"(?:[ \t]*\r?\n)*")


def read_price_list(text: str) -> list[ProductEdit]:
    """Read products from CSV (with a header; comma, semicolon or tab) or YAML (a list, `products: […]`, `code: {…}`).

    Raises:
        PriceListError: saying what is wrong and where.
    """
    stripped = text.lstrip("\ufeff").rstrip()
    if not stripped:
        raise PriceListError("empty")
    products: dict[str, ProductEdit] = {}
    for position, product in _read_csv(stripped) or _read_yaml(stripped):
        if product.code in products:
            raise PriceListError("code_twice", position)
        products[product.code] = product
    if not products:
        raise PriceListError("empty")
    return list(products.values())


@lru_cache(maxsize=256)
def _spelling(name: str) -> str:
    """Return the name of a column without what people add to it: `Discount Rate (%)` is `discountrate`."""
    return _DECORATION.sub("", name.strip().strip('"').casefold())


def _read_number(value: JsonValue) -> Decimal | None:
    number = to_decimal(value)
    if number is not None or not isinstance(value, str):
        return number
    written = _WRITTEN_NUMBER.fullmatch(value.strip())
    if written is None:
        return None
    digits = written["number"]
    return to_decimal(digits if written["group"] is None else digits.replace(written["group"], ""))


def _read_percentage(value: JsonValue) -> Decimal | None:
    return to_decimal(value.strip().removesuffix("%") if isinstance(value, str) else value)


def _delimiter(header: str, delimiters: Iterable[str]) -> str | None:
    """Return what separates the columns of a CSV header that names code and price."""
    for delimiter in delimiters:
        columns = {_spelling(column) for column in header.split(delimiter)}
        if columns & set(_COLUMNS["code"]) and columns & set(_COLUMNS["price"]):
            return delimiter
    return None


def _read_csv(text: str) -> Iterator[tuple[int, ProductEdit]] | None:
    """Return the products of a CSV text with their lines, None when it is not CSV.

    A line `sep=;` before the header is how Excel writes and understands the separator.
    """
    skipped = _first_line(text)
    first, _, rest = text[skipped:].partition("\n")
    separator = _SEPARATOR_LINE.fullmatch(first)
    if separator is not None:
        skipped += len(first) + 1
        first = rest.partition("\n")[0]
    delimiter = _delimiter(first, (",", ";", "\t") if separator is None else separator["delimiter"])
    if delimiter is not None:
        return _read_rows(text[skipped:], delimiter, text.count("\n", 0, skipped))
    if separator is not None:
        raise PriceListError("not_a_list")
    return None


def _first_line(text: str) -> int:
    """Return where the first line begins that is not blank."""
    blank = _BLANK_LINES.match(text)
    return 0 if blank is None else blank.end()


def _read_rows(text: str, delimiter: str, lines_before: int) -> Iterator[tuple[int, ProductEdit]]:
    reader = csv.DictReader(
        io.StringIO(text, newline=""), restkey=_EXTRA, delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        named = [spelling for name in reader.fieldnames or () if (spelling := _spelling(name)) in _SPELLINGS]
        if len(named) > len(set(named)):
            raise PriceListError("column_twice", lines_before + 1)
        for row in reader:
            line = lines_before + reader.line_num
            # Of 12,000 without quotes the price would be 12.
            if any(value.strip() for value in row.pop(_EXTRA, ())):
                raise PriceListError("too_many_columns", line)
            values: dict[str, JsonValue] = {**row}
            if any(isinstance(value, str) and value.strip() for value in values.values()):
                yield line, _edit(values, line)
    except csv.Error as error:
        raise PriceListError("not_csv", lines_before + reader.line_num + 1) from error


class _PriceListLoader(BaseLoader):
    """Leaves numbers as their text: no price becomes a binary float, no code 007 becomes 7. Refuses repeated keys."""

    @override
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise PriceListError("key_twice", key.start_mark.line + 1)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(text: str) -> Iterator[tuple[int, ProductEdit]]:
    try:
        loaded = yaml.load(text, Loader=_PriceListLoader)  # noqa: S506 -- it builds only text, lists and maps
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        # libyaml puts an end that comes too early on the line after the last.
        line = 1 if mark is None else min(mark.line, text.count("\n")) + 1
        raise PriceListError("not_yaml", line) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("products"), list | dict):
        loaded = loaded["products"]
    if isinstance(loaded, dict):
        loaded = [{"code": code, **item} if isinstance(item, dict) else item for code, item in loaded.items()]
    if not isinstance(loaded, list):
        raise PriceListError("not_a_list")
    for position, item in enumerate(loaded, start=1):
        if not isinstance(item, dict):
            raise PriceListError("not_a_product", position)
        yield position, _edit(item, position)


def _edit(values: Mapping[str, JsonValue], position: int) -> ProductEdit:
    folded: dict[str, JsonValue] = {}
    for key, value in values.items():
        if (spelling := _spelling(str(key))) in folded and spelling in _SPELLINGS:
            raise PriceListError("field_twice", position)
        folded[spelling] = value
    found: dict[str, JsonValue | Decimal] = {}
    for column, spellings in _COLUMNS.items():
        for spelling in spellings:
            if spelling in folded and found.get(column) is None:
                value = folded[spelling]
                number = read(value) if (read := _NUMBERS.get(column)) is not None else None
                found[column] = value if number is None else number
    return ProductEdit.from_values(found, position)


_NUMBERS = {"price": _read_number, "discount_rate": _read_percentage}
