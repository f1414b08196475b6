"""The day's figures of a shop."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.day_figures import DayFigures
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.sessions import Outcome, SessionRecord
from custom_components.iot_data_bridge.devices.site import Site

WON, EURO = Currency("KRW"), Currency("EUR")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
UNSET = datetime(1970, 1, 1, tzinfo=UTC)


def shop(now: datetime = NOON, currency: Currency = WON) -> Site:
    return Site(currency, DayFigures.begin(now))


def sell(site: Site, price: int = 700, outcome: Outcome = Outcome.PAID) -> None:
    site.count_start()
    site.count_session(SessionRecord("basket/1", NOON, NOON, outcome, site.currency, Decimal(price), ()))


def figures(site: Site) -> tuple[int, int]:
    return site.sessions_today, int(site.revenue_today)


def restored(site: Site, now: datetime, currency: Currency = WON) -> Site:
    after = shop(now, currency)
    after.restore(json.loads(json.dumps(site.as_json())), now)
    return after


def test_a_cancelled_session_is_a_session_and_no_revenue() -> None:
    site = shop()
    for outcome in Outcome:
        sell(site, outcome=outcome)
    assert figures(site) == (3, 1400)


def test_a_new_day_begins_at_nothing_and_the_same_day_goes_on() -> None:
    site = shop()
    sell(site)
    assert not site.turn_day(NOON + timedelta(hours=1))
    assert (figures(site), site.revenue_since) == ((1, 700), NOON)
    assert site.turn_day(NOON + DAY)
    assert (figures(site), site.revenue_since) == ((0, 0), NOON + DAY)


def test_stored_figures_of_the_same_day_go_on_and_those_of_yesterday_do_not() -> None:
    site = shop()
    sell(site)
    today = restored(site, NOON + timedelta(hours=2))
    assert (figures(today), today.revenue_since) == ((1, 700), NOON)
    tomorrow = restored(site, NOON + DAY)
    assert (figures(tomorrow), tomorrow.revenue_since) == ((0, 0), NOON + DAY)


def test_a_day_without_a_midnight_begins_at_nothing() -> None:
    # In Santiago the clocks went from 23:59:59 to 01:00:00.
    santiago = ZoneInfo("America/Santiago")
    before = datetime(2026, 9, 6, 3, 59, 58, tzinfo=UTC).astimezone(santiago)
    after = datetime(2026, 9, 6, 4, 0, 3, tzinfo=UTC).astimezone(santiago)
    assert ((before.day, before.hour), (after.day, after.hour)) == ((5, 23), (6, 1))
    site = shop(before)
    sell(site)
    assert site.turn_day(after)
    assert figures(site) == (0, 0)


def test_a_clock_that_is_not_set_at_boot_loses_nothing() -> None:
    site = shop()
    sell(site)
    booted = restored(site, UNSET)
    assert figures(booted) == (1, 700)
    sell(booted)
    assert not booted.turn_day(UNSET + timedelta(seconds=5))
    assert not booted.turn_day(NOON + timedelta(hours=1))
    assert figures(booted) == (2, 1400)
    # It may be right only after another start.
    again = restored(restored(booted, UNSET), NOON + timedelta(hours=2))
    assert figures(again) == (2, 1400)
    assert again.turn_day(NOON + DAY)
    assert figures(again) == (0, 0)


@pytest.mark.parametrize("wrong", [NOON - DAY, NOON + DAY, UNSET, NOON + 27000 * DAY])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_wrong_and_right_again_loses_nothing(wrong: datetime, restarted: bool) -> None:
    site = shop(NOON - DAY)
    site.turn_day(NOON)
    sell(site)
    site.turn_day(wrong)
    if restarted:
        site = restored(site, wrong)
    site.turn_day(NOON)
    assert figures(site) == (1, 700)
    # And the next day begins, also where the wrong clock was far ahead.
    site.turn_day(NOON + 2 * DAY)
    assert figures(site) == (0, 0)


def test_only_a_few_days_are_kept() -> None:
    site = shop()
    for day in range(1, 9):
        site.turn_day(NOON + day * DAY)
    assert len(site.as_json()["other_days"]) == 2  # type: ignore[arg-type] # a list, else this fails


def test_a_change_of_currency_closes_the_day_of_the_revenue() -> None:
    before = shop()
    sell(before)
    changed = NOON + timedelta(hours=1)
    after = restored(before, changed, EURO)
    # The sessions are the same ones; won are no euros.
    assert (after.sessions_today, after.revenue_today, after.revenue_since) == (1, Decimal(0), changed)


def test_figures_that_were_stored_without_a_currency_go_on() -> None:
    site = shop()
    site.restore({"day": "2026-03-02", "sessions": 2, "revenue": "700"}, NOON)
    assert (site.sessions_today, site.revenue_today, site.revenue_since) == (2, Decimal(700), NOON)


@given(
    st.dictionaries(
        st.sampled_from(["day", "sessions", "revenue", "revenue_since", "currency", "other_days"]),
        st.none() | st.integers() | st.text() | st.lists(st.none() | st.text() | st.just({"day": "2026-03-01"})),
    )
)
def test_whatever_was_stored_there_are_figures(stored: dict[str, object]) -> None:
    site = shop()
    site.restore(stored, NOON)  # type: ignore[arg-type] # damaged on purpose
    assert site.sessions_today >= 0
