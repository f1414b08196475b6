"""The session of a basket: what commands tell, what its controller tells, and which of them counts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from custom_components.iot_data_bridge.devices.basket import Basket, BasketRules
from custom_components.iot_data_bridge.devices.basket_events import BasketEvent, EventKind
from custom_components.iot_data_bridge.devices.basket_messages import (
    END,
    START,
    BasketCommand,
    BasketUpdate,
    CommandKind,
    ControllerSession,
)
from custom_components.iot_data_bridge.devices.basket_session import SessionState
from custom_components.iot_data_bridge.devices.basket_storage import restored_basket, stored_basket
from custom_components.iot_data_bridge.devices.errors import MalformedMessageError
from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.products import PriceList, Product

NOON = Instant(timedelta(0), datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
SECOND = timedelta(seconds=1)
EXPIRY = timedelta(seconds=60)
TOTAL = BasketCommand(CommandKind.TOTAL, 1, Decimal(12000))


@pytest.fixture
def basket() -> Basket:
    prices = PriceList(Currency("KRW"))
    prices.replace([Product("MLON", "Melon", Decimal(12000))])
    return Basket("basket/1", prices, BasketRules(command_expiry=EXPIRY))


def told(*, active: bool, since: Instant | None = NOON) -> ControllerSession:
    return ControllerSession(active, None if since is None else since.utc, 1)


def update(**contents: int) -> BasketUpdate:
    return BasketUpdate(1, contents, {})


def kinds(events: tuple[BasketEvent, ...]) -> list[str]:
    return [event.kind.value for event in events]


def uncertain(basket: Basket) -> bool:
    return basket.contents_uncertain


def amounts(basket: Basket) -> tuple[Decimal | None, Decimal | None]:
    return basket.budget, basket.shown_total


def state(basket: Basket) -> str:
    return basket.session.state.value


@pytest.fixture
def offline(basket: Basket) -> Basket:
    basket.apply_availability(True, NOON)
    basket.apply_availability(False, NOON)
    return basket


@pytest.fixture
def publishing(basket: Basket) -> Basket:
    """A basket that is there and publishes its session."""
    basket.apply_session(told(active=False), NOON)
    basket.apply_availability(True, NOON)
    return basket


def test_a_start_to_a_basket_that_never_said_whether_it_is_there_begins_a_session(basket: Basket) -> None:
    assert kinds(basket.apply_command(START, NOON)) == ["session_started"]
    assert (state(basket), basket.session_started) == ("active", NOON.utc)


def test_a_start_to_an_offline_basket_only_requests_a_session(offline: Basket) -> None:
    assert offline.apply_command(START, NOON) == ()
    assert (state(offline), offline.active, offline.session_started) == ("requested", False, None)
    assert offline.apply_command(TOTAL, NOON) == ()


def test_a_session_that_was_not_heard_ends_when_the_command_has_expired(offline: Basket) -> None:
    offline.apply_command(START, NOON)
    assert offline.check_session(NOON + EXPIRY - SECOND) == ()
    assert state(offline) == "requested"
    assert kinds(offline.check_session(NOON + EXPIRY)) == ["session_not_heard"]
    assert state(offline) == "idle"
    assert offline.check_session(NOON + 2 * EXPIRY) == ()


def test_a_repeated_start_is_valid_as_long_as_the_last(offline: Basket) -> None:
    offline.apply_command(START, NOON)
    offline.apply_command(START, NOON + 30 * SECOND)
    assert offline.check_session(NOON + EXPIRY) == ()
    assert kinds(offline.check_session(NOON + EXPIRY + 30 * SECOND)) == ["session_not_heard"]


def test_a_requested_session_begins_when_the_basket_is_back(offline: Basket) -> None:
    offline.apply_command(START, NOON)
    assert kinds(offline.apply_availability(True, NOON + SECOND)) == ["session_started"]
    assert offline.session_started == (NOON + SECOND).utc
    assert offline.check_session(NOON + EXPIRY) == ()


def test_a_requested_session_begins_when_the_basket_speaks(offline: Basket) -> None:
    offline.apply_command(START, NOON)
    assert kinds(offline.apply_update(update(MLON=1), NOON + SECOND)) == ["session_started", "item_added"]
    assert offline.problems == ()


def test_an_end_withdraws_a_request(offline: Basket) -> None:
    offline.apply_command(START, NOON)
    assert offline.apply_command(END, NOON + SECOND) == ()
    assert state(offline) == "idle"
    assert offline.check_session(NOON + EXPIRY) == ()


def test_a_controller_confirms_the_start_that_it_heard(publishing: Basket) -> None:
    assert publishing.apply_command(START, NOON + SECOND) == ()
    assert state(publishing) == "requested"
    begun = told(active=True, since=NOON + SECOND)
    assert kinds(publishing.apply_session(begun, NOON + 2 * SECOND)) == ["session_started"]
    assert publishing.session_started == (NOON + SECOND).utc


def test_a_total_that_is_seen_before_the_confirmation_is_shown(publishing: Basket) -> None:
    publishing.apply_update(update(MLON=1), NOON)
    publishing.apply_command(START, NOON + SECOND)
    assert kinds(publishing.apply_command(TOTAL, NOON + SECOND)) == ["total_shown"]
    publishing.apply_session(told(active=True), NOON + 2 * SECOND)
    assert publishing.shown_total == 12000


def test_a_start_that_a_controller_did_not_hear_begins_nothing(publishing: Basket) -> None:
    publishing.apply_command(START, NOON + SECOND)
    publishing.apply_update(update(MLON=1), NOON + 2 * SECOND)
    assert state(publishing) == "requested"
    assert kinds(publishing.check_session(NOON + SECOND + EXPIRY)) == ["session_not_heard"]


def test_an_end_counts_when_the_controller_says_so(publishing: Basket) -> None:
    publishing.apply_session(told(active=True), NOON)
    publishing.apply_update(update(MLON=1), NOON)
    assert publishing.apply_command(END, NOON + SECOND) == ()
    assert state(publishing) == "active"
    ended = publishing.apply_session(told(active=False, since=NOON + SECOND), NOON + 2 * SECOND)
    assert ended == (BasketEvent(EventKind.SESSION_ENDED, 1, Decimal(12000)),)


def test_an_end_that_a_controller_never_answers_counts_when_it_has_expired(publishing: Basket) -> None:
    publishing.apply_session(told(active=True), NOON)
    publishing.apply_command(END, NOON)
    assert kinds(publishing.check_session(NOON + EXPIRY)) == ["session_ended"]


def test_an_end_to_an_offline_basket_ends_its_session(publishing: Basket) -> None:
    publishing.apply_session(told(active=True), NOON)
    publishing.apply_availability(False, NOON)
    assert kinds(publishing.apply_command(END, NOON)) == ["session_ended"]


def test_a_session_that_nobody_was_seen_to_start_is_known(basket: Basket) -> None:
    assert kinds(basket.apply_session(told(active=True), NOON + SECOND)) == ["session_started"]
    assert basket.session_started == NOON.utc
    assert basket.apply_session(told(active=True), NOON + 2 * SECOND) == ()


def test_a_controller_without_the_time_tells_it_later(basket: Basket) -> None:
    basket.apply_session(told(active=True, since=None), NOON + SECOND)
    assert basket.session_started == (NOON + SECOND).utc
    assert basket.apply_session(told(active=True), NOON + 2 * SECOND) == ()
    assert basket.session_started == NOON.utc


def test_another_session_than_the_last_that_was_told_was_missed(basket: Basket) -> None:
    basket.apply_session(told(active=True), NOON)
    events = basket.apply_session(told(active=True, since=NOON + 60 * SECOND), NOON + 90 * SECOND)
    assert kinds(events) == ["session_ended", "session_started"]
    assert basket.session_started == (NOON + 60 * SECOND).utc


def test_the_beginning_that_a_controller_tells_replaces_that_of_the_command(basket: Basket) -> None:
    basket.apply_command(START, NOON + SECOND)
    assert basket.apply_session(told(active=True), NOON + 2 * SECOND) == ()
    assert basket.session_started == NOON.utc


def test_without_a_session_topic_commands_count_again(publishing: Basket) -> None:
    assert publishing.apply_session(None, NOON) == ()
    assert kinds(publishing.apply_command(START, NOON)) == ["session_started"]


def test_a_controller_of_the_field_in_the_place_of_one_that_published_obeys_commands(publishing: Basket) -> None:
    publishing.apply_availability(False, NOON)
    publishing.apply_update(update(MLON=1), NOON + SECOND)
    assert kinds(publishing.apply_command(START, NOON + 2 * SECOND)) == ["session_started"]


def test_a_session_of_another_basket_is_refused(basket: Basket) -> None:
    basket.apply_update(update(), NOON)
    with pytest.raises(MalformedMessageError, match="other_id"):
        basket.apply_session(ControllerSession(True, NOON.utc, 2), NOON)
    assert basket.session.state is SessionState.IDLE


@pytest.mark.parametrize("active", [True, False])
def test_a_session_survives_a_restart(basket: Basket, active: bool) -> None:
    basket.apply_session(told(active=active), NOON)
    restored = restored_basket(stored_basket(basket), basket.prices, basket.rules)
    assert (restored.session, restored.active) == (basket.session, active)


def test_contents_are_uncertain_until_an_update_tells_them(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    assert uncertain(basket)
    basket.apply_update(BasketUpdate(1, None, {}), NOON)
    assert uncertain(basket)
    basket.apply_update(update(), NOON)
    assert not uncertain(basket)
    basket.certain = False
    assert uncertain(basket)
    basket.apply_update(update(), NOON)  # the same again
    assert not uncertain(basket)


def test_uncertain_contents_of_an_idle_basket_matter_to_nobody(basket: Basket) -> None:
    basket.apply_update(update(MLON=1), NOON)
    basket.certain = False
    assert not uncertain(basket)


def test_a_stored_session_that_is_newer_than_the_contents_counts(basket: Basket) -> None:
    basket.apply_command(START, NOON)
    basket.apply_update(update(MLON=1), NOON)
    basket.apply_command(TOTAL, NOON)
    basket.budget = Decimal(5)
    basket.restore_session(None)
    assert (state(basket), amounts(basket)) == ("idle", (None, None))
    basket.check("MLON", True)
    basket.restore_session(NOON.utc)
    assert (basket.session_started, basket.checked, basket.contents) == (NOON.utc, set(), {"MLON": 1})
