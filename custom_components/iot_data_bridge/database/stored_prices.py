"""The price list of a site, in its database and in memory."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import astuple
from decimal import Decimal
from functools import partial

from homeassistant.core import HomeAssistant
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ..const import LOGGER
from ..devices.json_values import JsonObject
from ..devices.products import FIELDS, PriceList, PriceListChange, PriceListError, Product, ProductEdit
from ..storage import left_out_products_store, old_price_list_store
from .site_database import SiteDatabase
from .tables import PRODUCTS

# More edits than this are compared with the list away from the loop.
FEW_EDITS = 100

type Row = dict[str, str | None]


class StoredPrices:
    """Changes of a price list: prepared, written to the database, and only then what the site computes with.

    `on_change` is called with each change that was carried out.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        database: SiteDatabase,
        prices: PriceList,
        on_change: Callable[[PriceListChange], None],
    ) -> None:
        self._hass = hass
        self._database = database
        self._prices = prices
        self._on_change = on_change
        self._old_store = old_price_list_store(hass, entry_id)
        self._left_out = left_out_products_store(hass, entry_id)
        # A change is prepared from the list that it changes.
        self._turn = asyncio.Lock()

    async def async_load(self) -> None:
        """Read the products; those that an earlier version stored are taken over once.

        Raises:
            HomeAssistantError: the database cannot be read or written.
        """
        products = await self._database.async_run(_load)
        if not products:
            products = await self._async_take_over()
        self._prices.replace(products)

    async def async_preview(
        self, edits: Collection[ProductEdit], *, remove: Collection[str] = (), remove_others: bool = False
    ) -> PriceListChange:
        """Return what edits would change.

        Raises:
            PriceListError: the edits cannot be carried out.
        """
        async with self._turn:
            return await self._async_prepare(edits, remove, remove_others)

    async def async_change(
        self, edits: Collection[ProductEdit], *, remove: Collection[str] = (), remove_others: bool = False
    ) -> PriceListChange:
        """Carry out edits, all or none, and return what they changed.

        Raises:
            PriceListError: the edits cannot be carried out.
            HomeAssistantError: the database cannot be written.
        """
        # The caller may be cancelled meanwhile: memory must not differ from the database.
        change = self._async_change(edits, remove, remove_others)
        return await asyncio.shield(self._hass.async_create_task(change, "iot_data_bridge price list"))

    async def _async_change(
        self, edits: Collection[ProductEdit], remove: Collection[str], remove_others: bool
    ) -> PriceListChange:
        async with self._turn:
            change = await self._async_prepare(edits, remove, remove_others)
            if change:
                await self._database.async_run(partial(_write, change))
                self._prices.apply(change)
                self._on_change(change)
            return change

    async def _async_prepare(
        self, edits: Collection[ProductEdit], remove: Collection[str], remove_others: bool
    ) -> PriceListChange:
        prepare = partial(self._prices.change_by, edits, remove=remove, remove_others=remove_others)
        if len(edits) + len(remove) <= FEW_EDITS and not remove_others:
            return prepare()
        return await self._hass.async_add_executor_job(prepare)

    async def _async_take_over(self) -> list[Product]:
        products: list[Product] = []
        left_out: list[JsonObject] = []
        for stored in await self._old_store.async_load() or ():
            try:
                products.append(ProductEdit.from_values(stored).applied_to(None))
            except PriceListError as error:
                left_out.append(stored)
                LOGGER.error(
                    "A stored product cannot be used and is kept in %s: %s %s", self._left_out.path, error.code, error
                )
        await self._database.async_run(partial(_write, PriceListChange(added=tuple(products))))
        if left_out:
            await self._left_out.async_save(left_out)
        await self._old_store.async_remove()
        return products


def _load(connection: Connection) -> list[Product]:
    columns = [PRODUCTS.c[name] for name in FIELDS]
    return [
        Product(code, name, Decimal(price), Decimal(discount_rate), *texts)
        for code, name, price, discount_rate, *texts in connection.execute(select(*columns))
    ]


def _write(change: PriceListChange, connection: Connection) -> None:
    if change.removed:
        removed = [{"removed": product.code} for product in change.removed]
        connection.execute(delete(PRODUCTS).where(PRODUCTS.c.code == bindparam("removed")), removed)
    rows = [_row(product) for product in change.written]
    if rows:
        upsert = sqlite_insert(PRODUCTS)
        connection.execute(
            upsert.on_conflict_do_update(
                index_elements=["code"], set_={name: upsert.excluded[name] for name in FIELDS[1:]}
            ),
            rows,
        )


def _row(product: Product) -> Row:
    return {name: None if value is None else str(value) for name, value in zip(FIELDS, astuple(product), strict=True)}
