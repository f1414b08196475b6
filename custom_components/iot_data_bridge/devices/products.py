"""The price list of a shop: products, their prices, and edits of the list."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from .json_values import JsonObject, JsonValue, to_decimal, to_text
from .money import Currency
from .product_codes import product_code

HUNDRED = Decimal(100)
HIGHEST_PRICE = Decimal(10) ** 12
LONGEST_TEXT = 255
LONGEST_ADDRESS = 2000
# An attribute or an error names no more products, however many a basket holds.
MOST_NAMED_PRODUCTS = 20
MOST_PRODUCTS = 100_000
# What a product may lack; each in its longest form.
_OPTIONAL_TEXTS = {"category": LONGEST_TEXT, "image": LONGEST_ADDRESS, "location": LONGEST_TEXT, "brand": LONGEST_TEXT}
FIELDS = ("code", "name", "price", "discount_rate", *_OPTIONAL_TEXTS)

type FieldValue = str | Decimal | None


class PriceListError(ValueError):
    """A price list, or one product of it, that cannot be used.

    Attributes:
        reason: a short stable word, for example `price_invalid`.
        position: the line of the text or the number of the product, counted from 1; 0 for the whole list.
        code: the product that is meant, as far as it is known.
        text: the value that cannot be used.
    """

    def __init__(self, reason: str, position: int = 0, *, code: str = "", text: str = "") -> None:
        super().__init__(f"{reason} at {position}" if position else reason)
        self.reason = reason
        self.position = position
        self.code = code
        self.text = text


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

    def as_answer(self, currency: Currency) -> JsonObject:
        """Return the product for the answer of an action, numbers as numbers; `unit_price` after the discount."""
        return {
            "code": self.code,
            "name": self.name,
            "price": _number(self.price),
            "discount_rate": _number(self.discount_rate),
            "category": self.category,
            "image": self.image,
            "location": self.location,
            "brand": self.brand,
            "unit_price": currency.plain(self.unit_price(currency)),
        }

    def unit_price(self, currency: Currency) -> Decimal:
        """Return what one piece costs after the discount, rounded to what can be paid."""
        return currency.round(self.price * (1 - self.discount_rate / HUNDRED))


@dataclass(frozen=True, slots=True)
class ProductEdit:
    """What is to be changed of a product, or of a new one: the named fields and no others; None clears a field."""

    code: str
    fields: Mapping[str, FieldValue]
    position: int = 0

    @classmethod
    def from_values(cls, values: Mapping[str, JsonValue | Decimal], position: int = 0) -> ProductEdit:
        """Build an edit from loose values under the names of `FIELDS`; an empty text is None.

        Raises:
            PriceListError: `code_missing`, `field_unknown`, `price_empty`, `price_invalid` or `discount_invalid`.
        """
        code = product_code(_text(values.get("code"), LONGEST_TEXT) or "")
        if code is None:
            raise PriceListError("code_missing", position, text=_shown(values.get("code")))
        fields: dict[str, FieldValue] = {}
        for name, value in values.items():
            if name not in FIELDS:
                raise PriceListError("field_unknown", position, code=code, text=_shown(name))
            if name != "code":
                try:
                    fields[name] = _field(name, value)
                except PriceListError as error:
                    raise PriceListError(error.reason, position, code=code, text=error.text) from None
        return cls(code, fields, position)

    def applied_to(self, product: Product | None) -> Product:
        """Return the product after the edit; None stands for one that is not in the list yet.

        Raises:
            PriceListError: `price_missing`, a new product without a price.
        """
        changes: dict[str, Any] = dict(self.fields)
        if "name" in changes:
            changes["name"] = changes["name"] or self.code
        if "discount_rate" in changes:
            changes["discount_rate"] = changes["discount_rate"] or Decimal(0)
        if product is not None:
            return replace(product, **changes)
        if "price" not in changes:
            raise PriceListError("price_missing", self.position, code=self.code)
        return Product(**{"name": self.code, **changes, "code": self.code})


@dataclass(frozen=True, slots=True)
class PriceListChange:
    """What edits change: products by their codes, in the order of the codes."""

    added: tuple[Product, ...] = ()
    changed: tuple[tuple[Product, Product], ...] = ()
    removed: tuple[Product, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.added or self.changed or self.removed)

    @property
    def written(self) -> Iterator[Product]:
        """Return the products as they are after the change."""
        yield from self.added
        yield from (new for _, new in self.changed)

    def codes(self) -> set[str]:
        """Return the codes of all products that differ after the change."""
        return {product.code for product in (*self.written, *self.removed)}


@dataclass(slots=True)
class PriceList:
    """Products and unit prices by code. A change takes time by its own size, however long the list is."""

    currency: Currency
    _products: dict[str, Product] = field(default_factory=dict)
    # Of the products that were asked for: baskets hold few of a long list.
    _unit_prices: dict[str, Decimal] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._products)

    def __iter__(self) -> Iterator[Product]:
        return iter(self._products.values())

    def get(self, code: str) -> Product | None:
        """Return the product with this code, in any spelling of it."""
        return self._products.get(product_code(code) or "")

    def name(self, code: str) -> str:
        """Return the product's name, or its code when it is unknown."""
        product = self._products.get(code)
        return code if product is None else product.name

    def unit_price(self, code: str) -> Decimal | None:
        """Return what one piece costs, None for an unknown product."""
        price = self._unit_prices.get(code)
        if price is None and (product := self._products.get(code)) is not None:
            price = self._unit_prices[code] = product.unit_price(self.currency)
        return price

    def replace(self, products: Iterable[Product]) -> None:
        """Hold these products and no others; of two with one code the last wins."""
        self._products = {product.code: product for product in products}
        self._unit_prices.clear()

    def change_by(
        self, edits: Iterable[ProductEdit], *, remove: Collection[str] = (), remove_others: bool = False
    ) -> PriceListChange:
        """Return what edits change; `remove` are codes of products to take out, with `remove_others` all not edited.

        Raises:
            PriceListError: `code_twice`, `price_missing`, or `too_many_products` for the list as it would be.
        """
        wanted: dict[str, Product] = {}
        for edit in edits:
            if edit.code in wanted:
                raise PriceListError("code_twice", edit.position, code=edit.code)
            wanted[edit.code] = edit.applied_to(self._products.get(edit.code))
        removed = self._products.keys() - wanted.keys() if remove_others else self._products.keys() & set(remove)
        added = [code for code in wanted if code not in self._products]
        if len(self._products) + len(added) - len(removed) > MOST_PRODUCTS:
            raise PriceListError("too_many_products")
        return PriceListChange(
            added=tuple(wanted[code] for code in sorted(added)),
            changed=tuple(
                (old, wanted[code])
                for code in sorted(wanted)
                if (old := self._products.get(code)) is not None and old != wanted[code]
            ),
            removed=tuple(self._products[code] for code in sorted(removed)),
        )

    def apply(self, change: PriceListChange) -> None:
        """Carry out a change."""
        for product in change.removed:
            self._products.pop(product.code, None)
            self._unit_prices.pop(product.code, None)
        for product in change.written:
            self._products[product.code] = product
            self._unit_prices.pop(product.code, None)


def _field(name: str, value: JsonValue | Decimal) -> FieldValue:
    match name:
        case "price":
            return _price(value)
        case "discount_rate":
            return _discount(value)
    return _text(value, _OPTIONAL_TEXTS.get(name, LONGEST_TEXT))


def _price(value: JsonValue | Decimal) -> Decimal:
    if _is_empty(value):
        raise PriceListError("price_empty")
    price = value if isinstance(value, Decimal) else to_decimal(value)
    if price is None or not 0 <= price <= HIGHEST_PRICE:
        raise PriceListError("price_invalid", text=_shown(value))
    return price


def _discount(value: JsonValue | Decimal) -> Decimal | None:
    if _is_empty(value):
        return None
    discount = value if isinstance(value, Decimal) else to_decimal(value)
    if discount is None or not 0 <= discount <= HUNDRED:
        raise PriceListError("discount_invalid", text=_shown(value))
    return discount


def _is_empty(value: JsonValue | Decimal) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _text(value: JsonValue | Decimal, longest: int) -> str | None:
    return None if isinstance(value, Decimal) else to_text(value, longest)


def _shown(value: JsonValue | Decimal) -> str:
    """Return a value for an error message, which is one line."""
    return "" if value is None else str(value)[:LONGEST_TEXT]


def _number(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)
