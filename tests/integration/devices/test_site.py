"""The day's figures of a shop."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.site import Site

WON, EURO = Currency("KRW"), Currency("EUR")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_a_new_day_begins_at_nothing_and_the_same_day_goes_on() -> None:
    site = Site(WON, NOON, sessions_today=3)
    stored = site.as_json()
    site.turn_day(NOON + timedelta(hours=1))
    assert (site.sessions_today, site.revenue_since) == (3, NOON)
    tomorrow = NOON + timedelta(days=1)
    site.turn_day(tomorrow)
    assert (site.sessions_today, site.revenue_since) == (0, tomorrow)
    site.restore(stored)
    assert site.sessions_today == 0
    again = Site(WON, NOON + timedelta(hours=2))
    again.restore(stored)
    assert (again.sessions_today, again.revenue_since) == (3, NOON)


def test_a_change_of_currency_closes_the_day_of_the_revenue() -> None:
    before = Site(WON, NOON, sessions_today=3, revenue_today=Decimal(54050))
    changed = NOON + timedelta(hours=1)
    after = Site(EURO, changed)
    after.restore(before.as_json())
    # The sessions are the same ones; won are no euros.
    assert (after.sessions_today, after.revenue_today, after.revenue_since) == (3, Decimal(0), changed)


def test_figures_that_were_stored_without_a_currency_go_on() -> None:
    site = Site(WON, NOON)
    site.restore({"day": "2026-03-02", "sessions": 2, "revenue": "700"})
    assert (site.sessions_today, site.revenue_today, site.revenue_since) == (2, Decimal(700), NOON)
