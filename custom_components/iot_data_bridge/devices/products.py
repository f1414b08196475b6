"""The price list of a shop: what a product is, what it costs, and what a new list would change."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import yaml

from .json_values import JsonObject, JsonValue, to_decimal, to_text
from .money import Currency

HUNDRED = Decimal(100)
HIGHEST_PRICE = Decimal(10) ** 12
LONGEST_CODE = 64
LONGEST_TEXT = 2000
# How the columns of lists in the field are named, in any case.
_COLUMNS = {
    "code": ("code", "product_code", "productcode", "product", "id"),
    "name": ("name", "product_name", "productname"),
    "price": ("price",),
    "discount_rate": ("discount_rate", "discountrate", "discount", "discount_percent", "discount %"),
    "category": ("category",),
    "image": ("image", "image_url", "imageurl"),
    "location": ("location",),
    "brand": ("brand",),
}


class PriceListError(ValueError):
    """A price list, or one product of it, that cannot be used.

    Attributes:
        reason: a short stable word, for example `price_invalid`.
        position: the line of the text or the number of the product, counted from 1; 0 for the whole text.
    """

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(f"{reason} at {position}" if position else reason)
        self.reason = reason
        self.position = position


@dataclass(frozen=True, slots=True)
class Product:
    """One product; `price` before the discount, `discount_rate` in percent."""

    code: str
    name: str
    price: Decimal
    discount_rate: Decimal = Decimal(0)
    category: str | None = None
    image: str | None = None
    location: str | None = None
    brand: str | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, JsonValue], position: int = 0) -> Product:
        """Build a product from the loose values of a file, a form or storage.

        Raises:
            PriceListError: `code_missing`, `price_invalid` or `discount_invalid`.
        """
        found: dict[str, JsonValue] = {}
        folded = {str(key).strip().casefold(): value for key, value in values.items()}
        for column, spellings in _COLUMNS.items():
            found[column] = next((folded[spelling] for spelling in spellings if folded.get(spelling) is not None), None)
        code = to_text(found["code"], LONGEST_CODE + 1)
        if code is None or len(code) > LONGEST_CODE:
            raise PriceListError("code_missing", position)
        price = to_decimal(found["price"])
        if price is None or not 0 <= price <= HIGHEST_PRICE:
            raise PriceListError("price_invalid", position)
        discount = Decimal(0) if found["discount_rate"] in (None, "") else to_decimal(found["discount_rate"])
        if discount is None or not 0 <= discount <= HUNDRED:
            raise PriceListError("discount_invalid", position)
        return cls(
            code=code,
            name=to_text(found["name"]) or code,
            price=price,
            discount_rate=discount,
            category=to_text(found["category"]),
            image=to_text(found["image"], LONGEST_TEXT),
            location=to_text(found["location"]),
            brand=to_text(found["brand"]),
        )

    def as_json(self) -> JsonObject:
        """Return the product for storage and responses; money as text, which keeps every digit."""
        return {
            "code": self.code,
            "name": self.name,
            "price": str(self.price),
            "discount_rate": str(self.discount_rate),
            "category": self.category,
            "image": self.image,
            "location": self.location,
            "brand": self.brand,
        }

    def unit_price(self, currency: Currency) -> Decimal:
        """Return what one piece costs after the discount, rounded to what can be paid."""
        return currency.round(self.price * (1 - self.discount_rate / HUNDRED))


@dataclass(frozen=True, slots=True)
class PriceListChange:
    """What a new list changes: products by their codes, in the order of the codes."""

    added: tuple[Product, ...] = ()
    changed: tuple[tuple[Product, Product], ...] = ()
    removed: tuple[Product, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.added or self.changed or self.removed)


@dataclass(slots=True)
class PriceList:
    """Products by code, and what each costs; a change replaces the products as a whole."""

    currency: Currency
    _products: dict[str, Product] = field(default_factory=dict)
    _unit_prices: dict[str, Decimal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())

    def get(self, code: str) -> Product | None:
        """Return the product with this code."""
        return self._products.get(code)

    def name(self, code: str) -> str:
        """Return the product's name, or its code when it is unknown."""
        product = self._products.get(code)
        return code if product is None else product.name

    def unit_price(self, code: str) -> Decimal | None:
        """Return what one piece costs, None for an unknown product."""
        return self._unit_prices.get(code)

    def replace(self, products: Iterable[Product]) -> None:
        """Hold these products and no others; of two with one code the last wins."""
        self._products = {product.code: product for product in products}
        self._unit_prices = {product.code: product.unit_price(self.currency) for product in self._products.values()}

    def change_to(self, products: Iterable[Product], *, keep_others: bool) -> PriceListChange:
        """Return what holding these products would change; with `keep_others` nothing is removed."""
        wanted = {product.code: product for product in products}
        return PriceListChange(
            added=tuple(wanted[code] for code in sorted(wanted) if code not in self._products),
            changed=tuple(
                (self._products[code], wanted[code])
                for code in sorted(wanted)
                if code in self._products and self._products[code] != wanted[code]
            ),
            removed=()
            if keep_others
            else tuple(self._products[code] for code in sorted(self._products) if code not in wanted),
        )

    def apply(self, change: PriceListChange) -> None:
        """Carry out a change."""
        products = dict(self._products)
        for product in change.removed:
            products.pop(product.code, None)
        for product in (*change.added, *(new for _, new in change.changed)):
            products[product.code] = product
        self.replace(products.values())


def read_price_list(text: str) -> list[Product]:
    """Read products from CSV (with a header; comma, semicolon or tab) or YAML (a list, `products: […]`, `code: {…}`).

    Raises:
        PriceListError: saying what is wrong and where.
    """
    stripped = text.lstrip("\ufeff").strip()
    if not stripped:
        raise PriceListError("empty")
    products = list(_read_csv(stripped) if _looks_like_csv(stripped) else _read_yaml(stripped))
    if not products:
        raise PriceListError("empty")
    seen: set[str] = set()
    for position, product in enumerate(products, start=1):
        if product.code in seen:
            raise PriceListError("code_twice", position)
        seen.add(product.code)
    return products


def _delimiter(header: str) -> str | None:
    """Return what separates the columns of a CSV header that names code and price."""
    for delimiter in (",", ";", "\t"):
        columns = {column.strip().strip('"').casefold() for column in header.split(delimiter)}
        if columns & set(_COLUMNS["code"]) and columns & set(_COLUMNS["price"]):
            return delimiter
    return None


def _looks_like_csv(text: str) -> bool:
    return _delimiter(text.splitlines()[0]) is not None


def _read_csv(text: str) -> Iterator[Product]:
    delimiter = _delimiter(text.splitlines()[0]) or ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            values: dict[str, JsonValue] = {key: value for key, value in row.items() if isinstance(key, str)}
            if any(isinstance(value, str) and value.strip() for value in values.values()):
                yield Product.from_values(values, reader.line_num)
    except csv.Error as error:
        raise PriceListError("not_csv", reader.line_num + 1) from error


def _read_yaml(text: str) -> Iterator[Product]:
    try:
        # BaseLoader leaves numbers as their text: no price becomes a binary float, no code 007 becomes 7.
        loaded = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- BaseLoader builds only text, lists and maps
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise PriceListError("not_yaml", 0 if mark is None else mark.line + 1) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("products"), list | dict):
        loaded = loaded["products"]
    if isinstance(loaded, dict):
        loaded = [{"code": code, **item} if isinstance(item, dict) else item for code, item in loaded.items()]
    if not isinstance(loaded, list):
        raise PriceListError("not_a_list")
    for position, item in enumerate(loaded, start=1):
        if not isinstance(item, dict):
            raise PriceListError("not_a_product", position)
        yield Product.from_values(item, position)
