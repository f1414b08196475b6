"""Two controllers on one topic."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.iot_data_bridge.devices.basket_messages import BasketId
from custom_components.iot_data_bridge.devices.controller_watch import MOST_ALTERNATIONS, ControllerWatch
from custom_components.iot_data_bridge.devices.instant import Instant

NOON = Instant(timedelta(0), datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
SECOND = timedelta(seconds=1)
A, B, C = {"MLON": 1}, {"MLON": 2}, {"MLON": 3}


@pytest.fixture
def watch() -> ControllerWatch:
    """The watch of a basket that told the id 1."""
    watch = ControllerWatch()
    assert watch.accept(1, NOON)
    return watch


def test_the_first_id_is_kept_while_its_basket_speaks(watch: ControllerWatch) -> None:
    assert not watch.accept(2, NOON + SECOND)
    assert (watch.basket_id, watch.other_id) == (1, True)
    assert watch.accept(1, NOON + timedelta(minutes=9))
    assert not watch.accept(2, NOON + timedelta(minutes=18))
    assert watch.accept(None, NOON + timedelta(minutes=18))


@pytest.mark.parametrize("basket_id", [1, "1", None])
def test_one_basket_is_no_other(watch: ControllerWatch, basket_id: BasketId | None) -> None:
    assert watch.accept(basket_id, NOON + SECOND)
    assert not watch.other_id


def test_a_basket_that_got_another_id_is_taken_with_it(watch: ControllerWatch) -> None:
    assert not watch.accept(2, NOON + timedelta(minutes=9))
    assert watch.accept(2, NOON + timedelta(minutes=10))
    assert (watch.basket_id, watch.other_id) == (2, False)


def test_an_id_that_was_stored_is_kept_like_one_that_was_heard() -> None:
    watch = ControllerWatch()
    watch.restore(1, NOON)
    assert not watch.accept(2, NOON + SECOND)
    watch.restore(1, None)
    assert watch.accept(2, NOON + SECOND)


def test_another_id_that_is_not_heard_any_more_is_forgotten(watch: ControllerWatch) -> None:
    watch.accept(2, NOON)
    assert not watch.check(NOON + timedelta(minutes=9))
    assert watch.check(NOON + timedelta(minutes=10))
    assert not watch.other_id


def alternate(watch: ControllerWatch, times: int) -> None:
    for step in range(times):
        watch.change(*((A, B) if step % 2 else (B, A)), NOON + step * SECOND)


def test_contents_that_alternate_long_enough_are_those_of_two_readers(watch: ControllerWatch) -> None:
    alternate(watch, MOST_ALTERNATIONS)
    assert not watch.contents_alternate
    alternate(watch, MOST_ALTERNATIONS + 1)
    assert watch.contents_alternate


def test_a_third_snapshot_ends_it(watch: ControllerWatch) -> None:
    alternate(watch, MOST_ALTERNATIONS + 2)
    watch.change(B, C, NOON)
    assert not watch.contents_alternate


def test_a_new_session_and_a_pause_end_it(watch: ControllerWatch) -> None:
    alternate(watch, MOST_ALTERNATIONS + 2)
    watch.reset()
    assert not watch.contents_alternate
    alternate(watch, MOST_ALTERNATIONS + 2)
    assert not watch.check(NOON + timedelta(minutes=5))
    assert watch.check(NOON + timedelta(minutes=11))
    assert not watch.contents_alternate
