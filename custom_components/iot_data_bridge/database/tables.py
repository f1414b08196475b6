"""The tables of a site's database. Money and percentages are texts, which keep every digit."""

from sqlalchemy import Column, Integer, MetaData, Table, Text

METADATA = MetaData()

PRODUCTS = Table(
    "products",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price", Text, nullable=False),
    Column("discount_rate", Text, nullable=False),
    Column("category", Text),
    Column("image", Text),
    Column("location", Text),
    Column("brand", Text),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    # Numbers are never given again, so that a session is the same in every export.
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("basket", Text, nullable=False),
    # Moments are ISO 8601 in UTC, whose order is that of their texts.
    Column("started", Text, nullable=False),
    Column("ended", Text, nullable=False, index=True),
    Column("outcome", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total", Text),
    Column("lines", Text, nullable=False),
    sqlite_autoincrement=True,
)
