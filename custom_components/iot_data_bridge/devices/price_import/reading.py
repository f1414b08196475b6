"""A text becomes edits of the price list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from ..money import Currency
from ..products import HUNDRED, MOST_PRODUCTS, FieldValue, PriceListError, ProductEdit
from .cells import DecimalMark, Discount, NumberFormat, plain_text, proved_mark, read_code, read_discount, read_price
from .columns import Columns, find_columns
from .csv_table import CsvTable, open_csv
from .records import Record
from .yaml_list import YamlList

LARGEST_LIST = 5_000_000
MOST_LINES = 200_000


class FractionReading(StrEnum):
    """What a discount below 1 without a percent sign means: 0.1 is a tenth of a percent, or ten percent."""

    PERCENT = "percent"
    FRACTION = "fraction"


@dataclass(frozen=True, slots=True)
class OpenedList:
    """A list that was recognised; `table` is None for YAML, whose keys name the fields."""

    text: str
    table: CsvTable | None
    columns: Columns | None


@dataclass(frozen=True, slots=True)
class ReadList:
    """What a list asks for.

    Attributes:
        edits: one for each product.
        skipped: how many lines have neither a code nor a price.
        fraction: a discount of which is to be asked whether it is a fraction of one; the edits hold it as percent.
    """

    edits: tuple[ProductEdit, ...]
    skipped: int
    fraction: str | None


def open_list(text: str) -> OpenedList:
    """Recognise CSV with a header (comma, semicolon, tab or bar) or YAML.

    Raises:
        PriceListError: with the reason and the line.
    """
    if len(text) > LARGEST_LIST:
        raise PriceListError("file_too_large")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") >= MOST_LINES:
        raise PriceListError("too_many_lines")
    text = text.rstrip()
    if not text:
        raise PriceListError("empty")
    # Where the first line begins that is not blank.
    start = text.rfind("\n", 0, len(text) - len(text.lstrip())) + 1
    table = open_csv(text, start)
    if table is None:
        return OpenedList(text, None, None)
    try:
        return OpenedList(text, table, find_columns(table.headers))
    except PriceListError as error:
        raise PriceListError(error.reason, text.count("\n", 0, start) + 1, text=error.text) from None


def read_list(
    opened: OpenedList,
    currency: Currency,
    columns: Columns | None = None,
    fractions: FractionReading = FractionReading.PERCENT,
) -> ReadList:
    """Read every product of a list.

    Args:
        opened: the list.
        currency: of the prices.
        columns: those that a person chose; None for those that were found.
        fractions: how discounts below 1 are meant.

    Raises:
        PriceListError: with the reason and the line.
    """
    chosen = columns or opened.columns
    if chosen is not None and not chosen.certain:
        raise PriceListError("columns_missing")
    numbers = NumberFormat(currency)
    if opened.table is not None and opened.table.mark is None:
        numbers = NumberFormat(currency, _find_mark(_records(opened, chosen)))
    edits: dict[str, ProductEdit] = {}
    skipped = 0
    fraction: str | None = None
    for record in _records(opened, chosen):
        if not (record.code or record.cells.get("price", "").strip()):
            skipped += 1
            continue
        edit, discount = _edit(record, numbers, fractions)
        if edit.code in edits:
            raise PriceListError("code_twice", record.line, code=edit.code)
        if len(edits) >= MOST_PRODUCTS:
            raise PriceListError("too_many_products")
        edits[edit.code] = edit
        if fraction is None and discount is not None and discount.may_be_fraction:
            fraction = str(discount.value)
    if not edits:
        raise PriceListError("empty")
    return ReadList(tuple(edits.values()), skipped, fraction)


def _records(opened: OpenedList, columns: Columns | None) -> Iterator[Record]:
    if opened.table is not None and columns is not None:
        return opened.table.records(columns)
    return YamlList(opened.text).records()


def _find_mark(records: Iterable[Record]) -> DecimalMark | None:
    found: DecimalMark | None = None
    for record in records:
        for field in ("price", "discount_rate"):
            proved = proved_mark(record.cells.get(field, ""))
            if proved is not None and found is proved.other:
                raise PriceListError("marks_mixed", record.line, code=record.code, text=record.cells[field].strip())
            found = found or proved
    return found


def _edit(record: Record, numbers: NumberFormat, fractions: FractionReading) -> tuple[ProductEdit, Discount | None]:
    values: dict[str, FieldValue] = {}
    discount: Discount | None = None
    try:
        for field, cell in record.cells.items():
            match field:
                case "code":
                    values[field] = read_code(cell)
                case "price":
                    values[field] = read_price(cell, numbers)
                case "discount_rate":
                    discount = read_discount(cell, numbers.mark)
                    values[field] = None if discount is None else _percent(discount, fractions)
                case _:
                    values[field] = plain_text(cell)
    except PriceListError as error:
        raise PriceListError(error.reason, record.line, code=record.code, text=error.text) from None
    return ProductEdit.from_values(values, record.line), discount


def _percent(discount: Discount, fractions: FractionReading) -> Decimal:
    if fractions is FractionReading.FRACTION and not discount.has_percent_sign:
        return discount.value * HUNDRED
    return discount.value
