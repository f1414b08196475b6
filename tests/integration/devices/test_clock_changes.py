"""What depends on durations while the clock of the host is set: by its user, or by the network after a start."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from custom_components.iot_data_bridge.devices.basket import Basket, BasketRules, Problem
from custom_components.iot_data_bridge.devices.basket_messages import (
    END,
    START,
    BasketCommand,
    BasketUpdate,
    CommandKind,
)
from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.printer import Printer, PrinterReport, PrinterState
from custom_components.iot_data_bridge.devices.products import PriceList, Product

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
START_OF_CLOCK = timedelta(hours=5)
SETTINGS = pytest.mark.parametrize("change", [-DAY, DAY])


def instant(after: timedelta, change: timedelta = timedelta(0)) -> Instant:
    """Return the instant that much after noon, on a clock that was set by `change` meanwhile."""
    return Instant(START_OF_CLOCK + after, NOON + after + change)


@pytest.fixture
def basket() -> Basket:
    prices = PriceList(Currency("KRW"))
    prices.replace([Product("MLON", "Melon", Decimal(12000))])
    basket = Basket("basket/1", prices, BasketRules(silence=15 * MINUTE, running_total=True))
    basket.apply_command(START, instant(-MINUTE))
    basket.apply_update(BasketUpdate(1, {"MLON": 1}, {}), instant(-MINUTE))
    return basket


def problems(basket: Basket) -> tuple[Problem, ...]:
    return basket.problems


@SETTINGS
def test_a_silent_basket_is_silent_after_the_same_time(basket: Basket, change: timedelta) -> None:
    since = instant(-DAY)
    basket.check_timeouts(instant(timedelta(0), change), since)
    assert problems(basket) == ()
    basket.check_timeouts(instant(15 * MINUTE, change), since)
    assert problems(basket) == (Problem.SILENT,)


@SETTINGS
def test_a_wrong_total_is_a_problem_after_the_same_time(basket: Basket, change: timedelta) -> None:
    basket.apply_command(BasketCommand(CommandKind.TOTAL, 1, Decimal(12000)), instant(timedelta(0)))
    basket.apply_update(BasketUpdate(1, {"MLON": 2}, {}), instant(timedelta(0)))
    basket.check_timeouts(instant(timedelta(seconds=9), change), instant(-DAY))
    assert problems(basket) == ()
    basket.check_timeouts(instant(timedelta(seconds=11), change), instant(-DAY))
    assert problems(basket) == (Problem.TOTAL_DIFFERS,)


@SETTINGS
@pytest.mark.parametrize(("seconds", "expected"), [(9, ()), (11, (Problem.ITEMS_WITHOUT_SESSION,))])
def test_an_update_after_the_end_is_late_for_the_same_time(
    basket: Basket, change: timedelta, seconds: int, expected: tuple[Problem, ...]
) -> None:
    basket.apply_command(END, instant(timedelta(0)))
    basket.apply_update(BasketUpdate(1, {"MLON": 2}, {}), instant(timedelta(seconds=seconds), change))
    assert problems(basket) == expected


@SETTINGS
def test_a_silent_printer_is_disconnected_after_the_same_time(change: timedelta) -> None:
    printer = Printer("1")
    printer.apply(PrinterReport(PrinterState.PRINTING, full=True), instant(timedelta(0)))
    printer.check_timeouts(instant(timedelta(seconds=29), change))
    assert printer.online
    printer.check_timeouts(instant(timedelta(seconds=31), change))
    assert not printer.online


def test_an_instant_before_another_is_less_whatever_the_time_of_day() -> None:
    assert instant(timedelta(0), DAY) < instant(MINUTE)
    assert instant(MINUTE, DAY) - instant(timedelta(0)) == MINUTE
    assert instant(MINUTE) - MINUTE == instant(timedelta(0))
    assert (instant(timedelta(0)) + MINUTE).utc == NOON + MINUTE
