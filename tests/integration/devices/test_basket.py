"""What a basket knows after its messages."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.basket import Basket, BasketRules, Problem
from custom_components.iot_data_bridge.devices.basket_events import MOST_EVENTS, BasketEvent, EventKind, limited
from custom_components.iot_data_bridge.devices.basket_messages import (
    END,
    START,
    BasketCommand,
    BasketUpdate,
    CommandKind,
    Detail,
)
from custom_components.iot_data_bridge.devices.basket_storage import restored_basket, stored_basket
from custom_components.iot_data_bridge.devices.errors import DamagedStateError, MalformedMessageError
from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.json_values import JsonObject, JsonValue
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.products import PriceList, Product
from custom_components.iot_data_bridge.devices.shown_total import Difference

NOON = Instant(timedelta(days=9), datetime(2026, 11, 20, 12, 0, 30, 500_000, tzinfo=UTC))
SECOND = timedelta(seconds=1)
LONG_AGO = NOON - timedelta(days=1)
MELON = Product("MLON", "Melon", Decimal(12000), Decimal(10))
WATER = Product("WTMN", "Watermelon", Decimal(18000))


KEYS_AND_VALUES = st.dictionaries(
    st.sampled_from(sorted(stored_basket(Basket("basket/1", PriceList(Currency("KRW")), BasketRules())))),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)


@pytest.fixture
def prices() -> PriceList:
    prices = PriceList(Currency("KRW"))
    prices.replace([MELON, WATER])
    return prices


@pytest.fixture
def basket(prices: PriceList) -> Basket:
    return Basket("basket/1", prices, BasketRules(silence=timedelta(minutes=15)))


@pytest.fixture
def running(prices: PriceList) -> Basket:
    """A basket of a site that shows a running total."""
    return Basket("basket/1", prices, BasketRules(running_total=True))


def update(**contents: int) -> BasketUpdate:
    return BasketUpdate(1, contents, {})


def total(price: int, basket_id: int | str | None = 1) -> BasketCommand:
    return BasketCommand(CommandKind.TOTAL, basket_id, Decimal(price))


def problems(basket: Basket) -> tuple[Problem, ...]:
    return basket.problems


def online(basket: Basket) -> bool | None:
    return basket.online


def test_a_snapshot_replaces_the_contents_and_tells_the_differences(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    assert basket.apply_update(update(MLON=2, WTMN=1), NOON) == (
        BasketEvent(EventKind.ITEM_ADDED, 2, Decimal(21600), "MLON"),
        BasketEvent(EventKind.ITEM_ADDED, 1, Decimal(18000), "WTMN"),
    )
    assert basket.apply_update(update(MLON=1), NOON) == (
        BasketEvent(EventKind.ITEM_REMOVED, 1, Decimal(18000), "WTMN"),
        BasketEvent(EventKind.ITEM_REMOVED, 1, Decimal(10800), "MLON"),
    )
    assert (basket.items, basket.total, basket.basket_id) == (1, Decimal(10800), 1)


def test_the_same_snapshot_again_tells_nothing(basket: Basket) -> None:
    basket.apply_update(update(MLON=2), NOON)
    assert basket.apply_update(update(MLON=2), NOON + SECOND) == ()
    assert basket.last_activity == (NOON + SECOND).utc


def test_a_snapshot_that_was_left_behind_says_how_things_were_and_not_that_something_happened(basket: Basket) -> None:
    basket.apply_retained(BasketUpdate(7, {"MLON": 2}, {Detail.BATTERY: 80.0}))
    assert (basket.contents, basket.items, basket.basket_id, basket.details) == ({"MLON": 2}, 2, 7, {"battery": 80.0})
    assert (online(basket), basket.last_activity, problems(basket)) == (None, None, ())


def test_the_contents_survive_end_and_start(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=2), NOON)
    basket.apply_command(END, NOON)
    basket.apply_command(START, NOON)
    assert basket.contents == {"MLON": 2}


def test_a_session_begins_and_ends_once(basket: Basket) -> None:
    assert basket.apply_command(START, NOON) == (BasketEvent(EventKind.SESSION_STARTED, 0, Decimal(0)),)
    assert basket.apply_command(START, NOON + SECOND) == ()
    assert basket.session_started == NOON.utc.replace(microsecond=0)
    assert basket.apply_command(END, NOON) == (BasketEvent(EventKind.SESSION_ENDED, 0, Decimal(0)),)
    assert basket.apply_command(END, NOON) == ()
    assert not basket.active


def test_a_total_is_shown_once_to_an_active_basket(basket: Basket) -> None:
    assert basket.apply_command(total(5), NOON) == ()  # before a start the controller ignores it
    basket.apply_command(START, NOON)
    basket.apply_update(update(), NOON)
    assert basket.apply_command(total(5, basket_id=2), NOON) == ()  # another basket's
    assert basket.apply_command(total(5), NOON) == (BasketEvent(EventKind.TOTAL_SHOWN, 0, Decimal(5)),)
    assert basket.apply_command(total(5), NOON) == ()
    assert basket.shown_total == 5


def test_an_unknown_product_is_told_once_and_leaves_no_total(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    events = basket.apply_update(update(XXXX=2, MLON=1), NOON)
    assert BasketEvent(EventKind.UNKNOWN_PRODUCT, 2, None, "XXXX") in events
    assert [event.kind for event in basket.apply_update(update(XXXX=3, MLON=1), NOON)] == [EventKind.ITEM_ADDED]
    assert (basket.total, basket.priced, basket.unknown) == (None, Decimal(10800), ("XXXX",))
    assert problems(basket) == (Problem.UNKNOWN_PRODUCT,)


def test_contents_that_change_without_a_session_are_a_problem(basket: Basket) -> None:
    basket.apply_command(END, LONG_AGO)
    basket.apply_update(update(MLON=1), NOON)
    assert problems(basket) == (Problem.ITEMS_WITHOUT_SESSION,)
    basket.apply_command(START, NOON)
    assert problems(basket) == ()


def test_a_basket_that_was_first_heard_may_be_in_use_already(basket: Basket) -> None:
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_update(update(MLON=2), NOON + SECOND)
    assert problems(basket) == ()
    restored = restored_basket(stored_basket(basket), basket.prices, basket.rules)
    restored.apply_update(update(MLON=3), NOON + 2 * SECOND)
    assert problems(restored) == ()
    basket.apply_command(END, NOON + 3 * SECOND)
    basket.apply_update(update(MLON=9), NOON + 3 * SECOND)
    assert problems(basket) == (Problem.ITEMS_WITHOUT_SESSION,)


def test_a_basket_of_an_earlier_version_was_heard_before(basket: Basket) -> None:
    stored = stored_basket(basket)
    del stored["session_known"]
    restored = restored_basket(stored, basket.prices, basket.rules)
    restored.apply_update(update(MLON=1), NOON)
    assert problems(restored) == (Problem.ITEMS_WITHOUT_SESSION,)


def test_without_any_price_list_no_product_lacks_a_price() -> None:
    basket = Basket("basket/1", PriceList(Currency("KRW")), BasketRules())
    basket.apply_update(update(MLON=1), NOON)
    assert (basket.total, problems(basket), basket.unpriced) == (None, (), ())
    basket.prices.replace([WATER])
    assert (problems(basket), basket.unpriced) == ((Problem.UNKNOWN_PRODUCT,), ("MLON",))


def test_another_basket_on_the_topic_is_refused_and_named(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    with pytest.raises(MalformedMessageError, match="other_id"):
        basket.apply_update(BasketUpdate(2, {"WTMN": 5}, {Detail.ERROR: "E1"}), NOON + SECOND)
    assert (basket.contents, basket.basket_id, problems(basket)) == ({"MLON": 1}, 1, (Problem.OTHER_ID,))
    assert basket.check_timeouts(NOON + timedelta(minutes=11), LONG_AGO)
    assert problems(basket) == ()


def test_contents_that_alternate_are_a_problem_and_nothing_is_dropped(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    for second in range(8):
        events = basket.apply_update(update(MLON=1 + second % 2), NOON + second * SECOND)
        assert events
    assert problems(basket) == (Problem.CONTENTS_ALTERNATE,)
    basket.apply_update(update(MLON=3), NOON + 9 * SECOND)
    assert problems(basket) == ()


def test_what_stays_in_a_basket_after_its_session_is_no_problem(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=2), NOON)
    basket.apply_command(END, NOON)
    assert problems(basket) == ()
    basket.apply_update(update(MLON=2), NOON + SECOND)  # the same again: nobody touched it
    assert problems(basket) == ()
    basket.apply_update(update(MLON=1), NOON + 11 * SECOND)
    assert problems(basket) == (Problem.ITEMS_WITHOUT_SESSION,)


def test_an_update_that_the_end_of_a_session_overtook_belongs_to_the_session(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_command(END, NOON)
    basket.apply_update(update(MLON=1), NOON + SECOND)
    assert problems(basket) == ()
    basket.apply_command(END, NOON + 9 * SECOND)  # ends nothing
    basket.apply_update(update(MLON=2), NOON + 11 * SECOND)
    assert problems(basket) == (Problem.ITEMS_WITHOUT_SESSION,)


def test_an_empty_basket_without_a_session_is_no_problem(basket: Basket) -> None:
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_update(update(), NOON + SECOND)
    assert problems(basket) == ()


def test_a_total_that_was_shown_by_hand_may_grow_old(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(total(10800), NOON)
    for count in range(2, 9):
        basket.apply_update(update(MLON=count), NOON + count * SECOND)
    basket.check_timeouts(NOON + timedelta(minutes=9), LONG_AGO)
    assert problems(basket) == ()
    restored = restored_basket(stored_basket(basket), basket.prices, basket.rules)
    assert (restored.shown_total, problems(restored)) == (Decimal(10800), ())


def test_a_wrong_total_stays_the_one_that_was_found_until_a_right_one_is_shown(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(total(1), NOON)
    basket.apply_update(update(MLON=2), NOON + SECOND)
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)
    assert basket.display.difference == Difference(Decimal(1), Decimal(10800))
    basket.apply_command(total(21600), NOON + 2 * SECOND)
    assert problems(basket) == ()


def test_a_running_total_that_differs_is_a_problem_if_nobody_shows_another(running: Basket) -> None:
    basket = running
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(total(10800), NOON)
    basket.apply_update(update(MLON=2), NOON)
    # Whoever shows totals, we, an automation or another server, learned of the change just now as well.
    assert problems(basket) == ()
    assert not basket.check_timeouts(NOON + 5 * SECOND, LONG_AGO)
    assert basket.check_timeouts(NOON + 11 * SECOND, LONG_AGO)
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)
    basket.apply_update(update(MLON=3), NOON + 12 * SECOND)  # a total that is wrong already gets no new chance
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)
    basket.apply_command(total(32400), NOON + 13 * SECOND)
    assert problems(basket) == ()


def test_a_wrong_total_is_a_problem_at_once(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(total(1), NOON)
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)


def test_a_total_is_the_amount_that_can_be_paid(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    # What a server with binary floats makes of 10800: no display of whole won shows that.
    shown = BasketCommand(CommandKind.TOTAL, 1, Decimal("10799.999999999998"))
    assert basket.apply_command(shown, NOON) == (BasketEvent(EventKind.TOTAL_SHOWN, 1, Decimal(10800)),)
    assert problems(basket) == ()


@pytest.mark.parametrize("basket_id", ["007", "7", 8])
def test_an_id_that_is_written_otherwise_is_another_baskets(basket: Basket, basket_id: int | str) -> None:
    basket.apply_update(BasketUpdate(7, {}, {}), NOON)
    basket.apply_command(START, NOON)
    assert basket.apply_command(total(5, basket_id), NOON) == ()
    assert basket.apply_command(total(5, 7), NOON) != ()


def test_a_total_without_an_id_is_for_every_basket(basket: Basket) -> None:
    basket.apply_update(BasketUpdate("front", {}, {}), NOON)
    basket.apply_command(START, NOON)
    assert basket.apply_command(total(5, None), NOON) != ()


def test_stored_codes_with_the_filling_around_them_meet_their_prices(prices: PriceList) -> None:
    prices.replace([Product("AB", "Apple", Decimal(700))])
    stored: JsonObject = {"root": "basket/1", "contents": {"AB  ": 2, "AB": 1, "MLON": 1}, "checked": ["AB  ", "XXXX"]}
    basket = restored_basket(stored, prices, BasketRules())
    assert (basket.contents, basket.checked, basket.unknown) == ({"AB": 3, "MLON": 1}, {"AB"}, ("MLON",))
    assert basket.priced == 2100


def test_a_total_that_the_next_update_overtook_is_no_problem(running: Basket) -> None:
    basket = running
    basket.apply_command(START, NOON)
    basket.apply_command(total(0), NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_update(update(MLON=2), NOON)
    basket.apply_command(total(10800), NOON)
    assert problems(basket) == ()
    basket.apply_command(total(21600), NOON)
    assert not basket.check_timeouts(NOON + 11 * SECOND, LONG_AGO)
    assert problems(basket) == ()


def test_a_total_that_never_comes_is_a_problem_however_busy_the_basket_is(running: Basket) -> None:
    basket = running
    basket.apply_command(START, NOON)
    basket.apply_command(total(0), NOON)
    for second in range(1, 12):
        basket.apply_update(update(MLON=second), NOON + second * SECOND)
    basket.check_timeouts(NOON + 11 * SECOND, LONG_AGO)
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)


def test_what_is_taken_back_needs_no_other_total(running: Basket) -> None:
    basket = running
    basket.apply_command(START, NOON)
    basket.apply_command(total(0), NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_update(update(), NOON + SECOND)
    basket.apply_update(update(MLON=1), NOON + 9 * SECOND)
    basket.check_timeouts(NOON + 11 * SECOND, LONG_AGO)
    assert problems(basket) == ()


def test_a_total_has_a_moment_to_follow_a_price(running: Basket, prices: PriceList) -> None:
    basket = running
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(total(10800), NOON)
    prices.replace([Product("MLON", "Melon", Decimal(500))])
    basket.reprice(NOON)
    assert problems(basket) == ()
    basket.check_timeouts(NOON + 11 * SECOND, LONG_AGO)
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)


def test_silence_is_counted_from_when_somebody_listens(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    opening = NOON + timedelta(hours=9)
    assert not basket.check_timeouts(opening + timedelta(minutes=15), opening)
    assert not basket.check_timeouts(opening + timedelta(minutes=15), None)  # no subscription
    assert basket.check_timeouts(opening + timedelta(minutes=16), opening)
    assert problems(basket) == (Problem.SILENT,)


def test_silence_of_an_active_basket_is_a_problem_until_it_speaks(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    assert not basket.check_timeouts(NOON + timedelta(minutes=14), LONG_AGO)
    assert basket.check_timeouts(NOON + timedelta(minutes=16), LONG_AGO)
    assert problems(basket) == (Problem.SILENT,)
    basket.apply_update(update(), NOON + timedelta(minutes=17))
    assert problems(basket) == ()


def test_silence_of_an_idle_basket_is_no_problem(basket: Basket) -> None:
    basket.apply_update(update(), NOON)
    assert not basket.check_timeouts(NOON + timedelta(days=9), LONG_AGO)


def test_an_error_of_the_controller_is_a_problem(basket: Basket) -> None:
    basket.apply_update(BasketUpdate(1, None, {Detail.ERROR: "reader lost"}), NOON)
    assert problems(basket) == (Problem.CONTROLLER_ERROR,)
    basket.apply_update(BasketUpdate(1, None, {Detail.ERROR: None}), NOON)
    assert problems(basket) == ()


def test_a_detail_that_was_only_ever_null_is_not_there(basket: Basket) -> None:
    basket.apply_update(BasketUpdate(1, {}, {Detail.BATTERY: None}), NOON)
    assert basket.details == {}


def test_the_budget_counts_what_has_a_price(basket: Basket) -> None:
    basket.budget = Decimal(10800)
    basket.apply_update(update(MLON=1, XXXX=1), NOON)
    assert not basket.over_budget
    basket.apply_update(update(MLON=2, XXXX=1), NOON)
    assert basket.over_budget


def test_a_budget_may_be_set_before_its_session_and_ends_with_it(basket: Basket) -> None:
    basket.budget = Decimal(10800)
    basket.apply_command(START, NOON)
    assert basket.budget == 10800
    basket.apply_command(END, NOON + SECOND)
    assert basket.budget is None


def test_an_emptied_basket_costs_what_a_new_one_does_to_the_letter() -> None:
    prices = PriceList(Currency("EUR"))
    prices.replace([Product("MLON", "Melon", Decimal("1.20"))])
    basket = Basket("basket/1", prices, BasketRules())
    fresh = str(basket.total)
    basket.apply_update(update(MLON=3), NOON)
    assert str(basket.total) == "3.60"
    basket.apply_update(update(), NOON)
    assert str(basket.total) == fresh == "0"


def test_a_tick_holds_until_another_piece_comes(basket: Basket) -> None:
    basket.apply_update(update(MLON=2, WTMN=1), NOON)
    basket.check("MLON", True)
    basket.check("WTMN", True)
    basket.apply_update(update(MLON=1, WTMN=2), NOON)
    assert basket.checked == {"MLON"}
    basket.check("MLON", False)
    assert basket.checked == set()
    with pytest.raises(KeyError):
        basket.check("XXXX", True)


def test_a_new_session_takes_the_ticks_away(basket: Basket) -> None:
    basket.apply_update(update(MLON=2), NOON)
    basket.check("MLON", True)
    basket.apply_command(START, NOON)
    assert basket.checked == set()


def test_availability_is_the_link(basket: Basket) -> None:
    basket.apply_availability(True, NOON)
    assert online(basket) is True
    assert basket.last_activity == NOON.utc
    basket.apply_availability(False, NOON + SECOND)
    assert online(basket) is False
    assert basket.last_activity == NOON.utc


@given(
    st.lists(
        st.one_of(
            st.dictionaries(st.sampled_from(["MLON", "WTMN", "XXXX"]), st.integers(1, 9)).map(
                lambda contents: BasketUpdate(3, contents, {Detail.BATTERY: 80.0})
            ),
            st.sampled_from([START, END, total(7, 3)]),
        )
    )
)
def test_whatever_happened_a_stored_basket_comes_back_the_same(messages: list[BasketUpdate | BasketCommand]) -> None:
    prices = PriceList(Currency("KRW"))
    prices.replace([MELON, WATER])
    basket = Basket("basket/3", prices, BasketRules())
    now = NOON
    for message in messages:
        now += SECOND
        if isinstance(message, BasketUpdate):
            basket.apply_update(message, now)
        else:
            basket.apply_command(message, now)
        assert basket.items == sum(basket.contents.values())
    restored = restored_basket(stored_basket(basket), prices, BasketRules())
    restored.revision = basket.revision
    assert restored == basket


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "basket/1",
        {},
        {"contents": {}},
        {"root": None, "contents": {}},
        {"root": "", "contents": {}},
        {"root": 1, "contents": {}},
        {"root": "basket/1"},
        {"root": "basket/1", "contents": []},
        {"root": "basket/1", "contents": {"MLON": "many"}},
        {"root": "basket/1", "contents": {"MLON": -1}},
        {"root": "basket/1", "contents": {"": 1}},
        {"root": "basket/1", "contents": {}, "session_started": "yesterday"},
        {"root": "basket/1", "contents": {}, "session_started": "2026-11-20T12:00:00"},
        {"root": "basket/1", "contents": {}, "last_activity": 5},
        {"root": "basket/1", "contents": {}, "budget": "x"},
    ],
)
def test_a_damaged_basket_is_told_from_a_sound_one(prices: PriceList, stored: JsonValue) -> None:
    with pytest.raises(DamagedStateError):
        restored_basket(stored, prices, BasketRules())


@given(KEYS_AND_VALUES)
def test_whatever_was_stored_gives_a_basket_or_is_damaged(values: dict[str, JsonValue]) -> None:
    stored: JsonObject = {"root": "basket/1", "contents": {"MLON": 1}, **values}
    with suppress(DamagedStateError):
        assert restored_basket(stored, PriceList(Currency("KRW")), BasketRules()).root


@pytest.mark.parametrize(
    "stored",
    [
        {"root": "basket/1", "contents": {}},
        {"root": "basket/1", "contents": {}, "checked": {}, "details": 3, "moved_without_session": "x"},
        {"root": "basket/1", "contents": {}, "online": "yes", "basket_id": []},
    ],
)
def test_what_an_earlier_version_did_not_store_has_its_default(prices: PriceList, stored: JsonValue) -> None:
    basket = restored_basket(stored, prices, BasketRules())
    assert (basket.contents, basket.active, basket.budget) == ({}, False, None)
    assert problems(basket) == ()


def test_one_update_makes_at_most_20_events_and_counts_the_rest() -> None:
    events = [BasketEvent(EventKind.ITEM_ADDED, 2, None, f"A{number}") for number in range(30)]
    events += [BasketEvent(EventKind.ITEM_REMOVED, 1, Decimal(5), f"R{number}") for number in range(10)]
    events += [BasketEvent(EventKind.UNKNOWN_PRODUCT, 2, None, f"A{number}") for number in range(3)]
    told = limited(events)
    assert len(told) == MOST_EVENTS
    assert [event.product for event in told[:4]] == ["A0", "A1", "A2", "A0"]
    assert told[-1] == BasketEvent(EventKind.CONTENTS_CHANGED, 24, None, added=28, removed=10)


def test_twenty_events_are_told_one_by_one() -> None:
    events = [BasketEvent(EventKind.ITEM_ADDED, 1, None, str(number)) for number in range(MOST_EVENTS)]
    assert limited(events) == tuple(events)
