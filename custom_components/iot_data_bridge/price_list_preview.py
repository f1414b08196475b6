"""A change of the price list as a person reads it before it is carried out."""

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from itertools import chain, islice

from .devices.money import Currency
from .devices.products import PriceListChange, Product
from .markdown import escaped

# What is lost is shown whole, as far as a dialog can show it; of the rest the beginning.
MOST_LOSSES = 500
MOST_OTHERS = 20
LONGEST_VALUE = 60
NOTHING = "–"  # noqa: RUF001 -- a dash

type Difference = tuple[str, str | Decimal | None, str | Decimal | None]


def describe(change: PriceListChange, currency: Currency) -> str:
    """Return a change as a Markdown list: removed products, lost fields, other changes, new products."""
    losing = [(old, new) for old, new in change.changed if _loses(old, new)]
    lost = len(change.removed) + len(losing)
    losses = chain(
        (f"- **−** {_with_price(product, currency)}" for product in change.removed),  # noqa: RUF001 -- a minus
        (_line(old, new, currency) for old, new in losing),
    )
    others = chain(
        (_line(old, new, currency) for old, new in change.changed if not _loses(old, new)),
        (f"- **+** {_with_price(product, currency)}" for product in change.added),
    )
    count = len(change.changed) - len(losing) + len(change.added)
    return "\n".join([*_first(losses, MOST_LOSSES, lost), *_first(others, MOST_OTHERS, count)])


def _first(lines: Iterator[str], most: int, count: int) -> Iterator[str]:
    yield from islice(lines, most)
    if count > most:
        yield f"- … +{count - most:,}"


def _loses(old: Product, new: Product) -> bool:
    return any(
        _is_nothing(name, after, new) and not _is_nothing(name, before, old)
        for name, before, after in _differences(old, new)
    )


def _is_nothing(name: str, value: str | Decimal | None, product: Product) -> bool:
    # A product without a name is shown by its code.
    return not value or (name == "name" and value == product.code)


def _differences(old: Product, new: Product) -> list[Difference]:
    pairs = ((field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(Product))
    return [(name, before, after) for name, before, after in pairs if before != after]


def _line(old: Product, new: Product, currency: Currency) -> str:
    paid = currency.written(old.unit_price(currency)), currency.written(new.unit_price(currency))
    parts = [f"{paid[0]} → {paid[1]}"] if paid[0] != paid[1] else []
    differences = _differences(old, new)
    changed = {name for name, _, _ in differences}
    for name, before, after in differences:
        # What is paid tells a price whose discount stays as it was.
        if not (parts and name == "price" and "discount_rate" not in changed):
            parts.append(f"`{name}` {_value(name, before, currency)} → {_value(name, after, currency)}")
    return f"- **~** {escaped(new.code)} {escaped(new.name)}: {', '.join(parts)}"


def _with_price(product: Product, currency: Currency) -> str:
    return f"{escaped(product.code)} {escaped(product.name)}: {currency.written(product.unit_price(currency))}"


def _value(name: str, value: str | Decimal | None, currency: Currency) -> str:
    match name, value:
        case "price", Decimal():
            return currency.written(value)
        case _, Decimal():
            return f"{value.normalize():f} %"
    return NOTHING if value is None else escaped(str(value), LONGEST_VALUE)
