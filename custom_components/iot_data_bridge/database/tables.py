"""The tables of a site's database. Money and percentages are texts, which keep every digit."""

from sqlalchemy import Column, MetaData, Table, Text

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
