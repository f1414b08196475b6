"""What baskets do in Home Assistant."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Context, Event, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.iot_data_bridge import baskets
from custom_components.iot_data_bridge.devices.admission import MOST_DEVICES, DeviceKind
from custom_components.iot_data_bridge.devices.basket import Basket, BasketRules
from custom_components.iot_data_bridge.devices.basket_events import BasketEvent, EventKind
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.products import PriceList
from custom_components.iot_data_bridge.devices.sessions import TIMES
from custom_components.iot_data_bridge.entity_budget import MOST_ENABLED
from custom_components.iot_data_bridge.field_devices import BasketDevice

from .conftest import Say, Show

pytestmark = pytest.mark.usefixtures("site", "prices")


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **by: float) -> None:
    freezer.tick(timedelta(**by))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def test_a_basket_appears_with_its_first_message(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2,"WTMN":1}}')
    say("basket/store02/unit015/status", "start")
    say("basket/7/availability", "online", retain=True)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == "3"
    assert show("sensor.basket_1_total_price").state == "39600"
    assert show("sensor.basket_store02_unit015_session").state == "active"
    assert show("binary_sensor.basket_7_connectivity").state == "on"
    assert show("sensor.basket_7_last_activity").state == "unknown"


async def test_a_message_that_cannot_be_read_makes_no_basket(
    hass: HomeAssistant, say: Say, site: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        say("basket/1/update", b"\xff")
        say("basket/1/status", "total")
        say("basket/1/availability", "?")
    say("basket/1/availability", "")
    await hass.async_block_till_done()
    assert site.runtime_data.baskets.by_root == {}
    assert site.runtime_data.refusals.counts.total() == 9
    assert caplog.text.count("cannot be used") == 3


async def test_a_known_basket_says_that_its_last_message_cannot_be_read(
    hass: HomeAssistant, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    say("basket/1/update", '{"id":1,"list":{"MLON":"many"}}')
    await hass.async_block_till_done()
    assert show("binary_sensor.basket_1_problem").attributes["reasons"] == ["unreadable"]
    say("basket/1/update", '{"id":1,"list":{}}')
    assert show("binary_sensor.basket_1_problem").state == "off"


async def test_every_basket_that_cannot_be_read_is_named_up_to_a_bound(
    hass: HomeAssistant, say: Say, site: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(103):
        for _ in range(2):
            say(f"basket/{number}/update", "?")
    await hass.async_block_till_done()
    told = site.runtime_data.refusals.as_json()
    assert told["by_reason"] == {"basket_update: not_json": 206}
    assert (len(told["by_topic"]), told["on_further_topics"]) == (100, 6)
    assert told["by_topic"]["basket/7/update"] == {"count": 2, "reason": "not_json"}
    assert caplog.text.count("cannot be used") == 101


async def test_a_retained_command_is_somebodys_leftover(hass: HomeAssistant, say: Say, site: MockConfigEntry) -> None:
    say("basket/1/status", "start", retain=True)
    await hass.async_block_till_done()
    assert site.runtime_data.baskets.by_root == {}


async def test_a_last_will_makes_no_basket(hass: HomeAssistant, say: Say, site: MockConfigEntry) -> None:
    say("basket/1/availability", "offline", retain=True)
    say("basket/2/availability", "offline")  # deleted first, then switched off
    say("basket/3/availability", "online", retain=True)
    await hass.async_block_till_done()
    assert list(site.runtime_data.baskets.by_root) == ["basket/3"]


async def test_an_update_that_somebody_left_retained_tells_the_contents_of_a_new_basket_and_no_more(
    hass: HomeAssistant, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2},"battery":81}', retain=True)
    await hass.async_block_till_done()
    entities = ("sensor.basket_1_items", "sensor.basket_1_battery", "binary_sensor.basket_1_problem")
    assert [show(entity).state for entity in entities] == ["2", "81.0", "off"]
    for untold in ("binary_sensor.basket_1_connectivity", "sensor.basket_1_last_activity", "event.basket_1_activity"):
        assert show(untold).state == "unknown"


async def test_an_error_of_zero_is_none(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{},"error":"E1"}')
    await hass.async_block_till_done()
    assert show("binary_sensor.basket_1_problem").attributes["error"] == "E1"
    say("basket/1/update", '{"id":1,"list":{},"error":0}')
    assert show("binary_sensor.basket_1_problem").state == "off"
    assert show("sensor.basket_1_error").state == "unknown"


async def test_a_session_that_another_server_commands_counts(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"basketId":1,"totalPrice":10800}}')
    await hass.async_block_till_done()
    assert show("sensor.basket_1_session").state == "active"
    assert show("binary_sensor.basket_1_problem").state == "off"
    assert show("event.basket_1_activity").attributes["event_type"] == "total_shown"
    say("basket/1/status", '{"msg":"end"}')
    assert show("sensor.basket_1_session").state == "idle"
    assert show("sensor.basket_1_session_started").state == "unknown"
    # What was paid for stays in the basket at every checkout, until somebody unpacks it.
    assert show("binary_sensor.basket_1_problem").attributes["reason"] is None
    freezer.tick(11)
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    assert show("binary_sensor.basket_1_problem").attributes["reason"] == "items_without_session"


async def test_each_event_is_a_state_of_its_own(hass: HomeAssistant, say: Say) -> None:
    seen: list[Event[Any]] = async_capture_events(hass, "state_changed")
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":2,"XXXX":1}}')
    await hass.async_block_till_done()
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"XXXX":1}}')
    await hass.async_block_till_done()
    events = [
        {key: state.attributes[key] for key in ("event_type", "product", "name", "count", "price", "basket")}
        for event in seen
        if event.data["entity_id"] == "event.basket_1_activity"
        and (state := event.data["new_state"]) is not None
        and state.state != "unknown"
    ]
    nothing = {"product": None, "name": None, "basket": "basket/1"}
    assert events == [
        {**nothing, "event_type": "session_started", "count": 0, "price": 0},
        {
            "event_type": "item_added",
            "product": "MLON",
            "name": "Melon",
            "count": 2,
            "price": 21600,
            "basket": "basket/1",
        },
        {
            "event_type": "item_added",
            "product": "XXXX",
            "name": "XXXX",
            "count": 1,
            "price": None,
            "basket": "basket/1",
        },
        {
            "event_type": "unknown_product",
            "product": "XXXX",
            "name": "XXXX",
            "count": 1,
            "price": None,
            "basket": "basket/1",
        },
        {
            "event_type": "item_removed",
            "product": "MLON",
            "name": "Melon",
            "count": 1,
            "price": 10800,
            "basket": "basket/1",
        },
    ]


async def test_the_problem_says_why(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/status", "end")
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"XXXX":1},"error":"reader lost"}')
    await hass.async_block_till_done()
    problem = show("binary_sensor.basket_1_problem")
    assert problem.state == "on"
    assert problem.attributes["reason"] == "items_without_session"
    assert problem.attributes["reasons"] == ["items_without_session", "unknown_product", "controller_error"]
    assert problem.attributes["unknown_products"] == ["XXXX"]
    assert problem.attributes["error"] == "reader lost"


async def test_the_problem_names_both_totals(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":1}}')
    await hass.async_block_till_done()
    problem = show("binary_sensor.basket_1_problem")
    assert (problem.attributes["shown_total"], problem.attributes["computed_total"]) == (1, 10800)


async def test_optional_facts_get_entities_when_they_are_told(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    keys = ("weight", "battery", "signal_strength", "location", "error")
    assert [hass.states.get(f"sensor.basket_1_{key}") for key in keys] == [None] * 5
    say("basket/1/update", '{"id":1,"weight":1500,"battery":81,"rssi":-58,"location":"A3","error":"E1"}')
    await hass.async_block_till_done()
    assert [show(f"sensor.basket_1_{key}").state for key in keys] == ["1500.0", "81.0", "-58.0", "A3", "E1"]


async def test_the_budget_is_exact_and_zero_is_none(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await hass.async_block_till_done()

    async def set_budget(value: float) -> None:
        await hass.services.async_call(
            "number", "set_value", {"entity_id": "number.basket_1_budget", "value": value}, blocking=True
        )

    await set_budget(10799)
    assert show("binary_sensor.basket_1_over_budget").state == "on"
    await set_budget(10800)
    assert show("binary_sensor.basket_1_over_budget").state == "off"
    assert show("number.basket_1_budget").state == "10800.0"
    await set_budget(0)
    assert show("binary_sensor.basket_1_over_budget").state == "off"


async def test_a_silent_active_basket_is_a_problem_and_not_unavailable(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    await pass_time(hass, freezer, minutes=16)
    assert show("binary_sensor.basket_1_problem").attributes["reason"] == "silent"
    assert show("sensor.basket_1_items").state == "0"
    say("basket/1/update", '{"id":1,"list":{}}')
    assert show("binary_sensor.basket_1_problem").state == "off"


async def test_a_switched_off_basket_is_disconnected_with_its_last_state(
    hass: HomeAssistant, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    say("basket/1/availability", "offline")
    await hass.async_block_till_done()
    assert show("binary_sensor.basket_1_connectivity").state == "off"
    assert show("sensor.basket_1_items").state == "2"


async def test_the_site_counts_its_baskets_within_a_second(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    for number in (1, 2):
        say(f"basket/{number}/status", "start")
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":{number}}}}}')
    say("basket/3/update", '{"id":3,"list":{"WTMN":5}}')
    await hass.async_block_till_done()
    await pass_time(hass, freezer, seconds=1.1)
    names = ("baskets_in_use", "baskets_idle", "items_out", "value_on_the_floor", "sessions_today", "revenue_today")
    assert [show(f"sensor.shop_{name}").state for name in names] == ["2", "1", "3", "32400", "2", "0"]
    say("basket/1/status", "end")
    await pass_time(hass, freezer, seconds=1.1)
    assert [show(f"sensor.shop_{name}").state for name in names] == ["1", "2", "2", "21600", "2", "10800"]


async def test_revenue_without_a_price_is_the_total_that_was_shown(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"XXXX":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":700}}')
    say("basket/1/status", "end")
    await pass_time(hass, freezer, seconds=1.1)
    assert show("sensor.shop_revenue_today").state == "700"


async def test_a_new_day_begins_at_midnight_of_the_shop(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    await pass_time(hass, freezer, seconds=1.1)
    assert show("sensor.shop_sessions_today").state == "1"
    await pass_time(hass, freezer, days=1)
    assert show("sensor.shop_sessions_today").state == "0"


@pytest.mark.freeze_time("2026-09-06 03:59:50+00:00")
async def test_a_new_day_begins_where_it_has_no_midnight(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_update(time_zone="America/Santiago")
    await pass_time(hass, freezer, seconds=5)
    say("basket/1/status", "start")
    await pass_time(hass, freezer, seconds=1.1)
    assert show("sensor.shop_sessions_today").state == "1"
    # The clocks go from 23:59:59 to 01:00:00.
    await pass_time(hass, freezer, seconds=10)
    assert show("sensor.shop_sessions_today").state == "0"


async def test_the_contents_are_a_list_to_tick_off(
    hass: HomeAssistant, say: Say, show: Show, hass_ws_client: WebSocketGenerator
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2,"XXXX":1}}')
    await hass.async_block_till_done()
    assert show("todo.basket_1_contents").state == "2"
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": "todo/item/subscribe", "entity_id": "todo.basket_1_contents"})
    assert (await client.receive_json())["success"]

    async def lines() -> list[tuple[str, str | None, str]]:
        items = (await client.receive_json())["event"]["items"]
        return [(item["summary"], item["description"], item["status"]) for item in items]

    assert await lines() == [
        (f"Melon {TIMES} 2", "21,600 ₩", "needs_action"),
        (f"XXXX {TIMES} 1", None, "needs_action"),
    ]
    await hass.services.async_call(
        "todo",
        "update_item",
        {"entity_id": "todo.basket_1_contents", "item": "MLON", "status": "completed"},
        blocking=True,
    )
    assert await lines() == [(f"Melon {TIMES} 2", "21,600 ₩", "completed"), (f"XXXX {TIMES} 1", None, "needs_action")]
    assert show("todo.basket_1_contents").state == "1"
    # A line whose text changes is news for who looks, though the number of open lines is the same.
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"XXXX":3}}')
    assert await lines() == [(f"Melon {TIMES} 1", "10,800 ₩", "completed"), (f"XXXX {TIMES} 3", None, "needs_action")]


@pytest.mark.parametrize(
    "change", [{"rename": "Gold"}, {"description": "Gold"}, {"due_date": "2026-12-01"}, {"item": "GOLD"}]
)
async def test_contents_can_only_be_ticked_off(hass: HomeAssistant, say: Say, change: dict[str, str]) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    await hass.async_block_till_done()
    data = {"entity_id": "todo.basket_1_contents", "item": "MLON", "status": "completed"}
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call("todo", "update_item", {**data, **change}, blocking=True)


async def test_no_state_is_written_that_did_not_change(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    await pass_time(hass, freezer, seconds=2)
    changed = async_capture_events(hass, "state_changed")
    reported: list[str] = []
    stop = hass.bus.async_listen(
        "state_reported", callback(lambda event: reported.append(event.data["entity_id"])), callback(lambda _: True)
    )
    for _ in range(5):
        say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
        say("basket/1/status", "start")
        say("basket/1/availability", "online")
        await pass_time(hass, freezer, seconds=2)
    stop()
    assert reported == []
    assert {event.data["entity_id"] for event in changed} <= {"sensor.basket_1_last_activity"}


async def test_a_large_site_enables_what_every_shop_needs(
    hass: HomeAssistant, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, full = baskets.MOST_LISTED_BASKETS, baskets.MOST_FULL_BASKETS
    monkeypatch.setattr(baskets, "MOST_LISTED_BASKETS", 1)
    monkeypatch.setattr(baskets, "MOST_FULL_BASKETS", 2)
    for number in (1, 2, 3):
        say(f"basket/{number}/update", '{"list":{}}')
    await hass.async_block_till_done()
    registry = er.async_get(hass)
    disabled = {entry.entity_id for entry in registry.entities.values() if entry.disabled}
    keys = {"sensor": ("distinct_products", "session_started", "last_activity"), "number": ("budget",)}
    wanted = {f"{domain}.basket_3_{key}" for domain, names in keys.items() for key in names}
    wanted |= {"binary_sensor.basket_3_over_budget", "todo.basket_3_contents"}
    wanted |= {"button.basket_3_cancel", "button.basket_3_show_total"}
    assert disabled == wanted | {"todo.basket_2_contents"}
    entities = [entry.entity_id.split(".")[1] for entry in registry.entities.values()]
    each = len([name for name in entities if name.startswith("basket_1_")])
    site = len([name for name in entities if name.startswith("shop_")])
    # A thousand baskets and their site keep within the budget of enabled entities.
    lists = (full - listed) * (each - 1)
    assert listed * each + lists + (1000 - full) * (each - len(wanted)) + site <= MOST_ENABLED


async def test_a_list_of_a_later_basket_stays_enabled_if_it_was(
    hass: HomeAssistant, say: Say, show: Show, site: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("basket/1/update", '{"list":{"MLON":1}}')
    await hass.async_block_till_done()
    monkeypatch.setattr(baskets, "MOST_LISTED_BASKETS", 0)
    assert await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done()
    assert show("todo.basket_1_contents").state == "1"


async def test_invented_baskets_come_to_an_end(
    hass: HomeAssistant, say: Say, site: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MOST_DEVICES, DeviceKind.BASKET, 1)
    for number in (1, 2):
        say(f"basket/{number}/update", '{"list":{}}')
        say(f"basket/{number}/status", "start")
        say(f"basket/{number}/availability", "online")
    await hass.async_block_till_done()
    assert list(site.runtime_data.baskets.by_root) == ["basket/1"]
    assert {reason for _, reason in site.runtime_data.refusals.counts} == {"too_many_baskets"}
    assert site.runtime_data.refusals.counts.total() == 3


async def test_no_event_is_lost_of_a_first_message_of_many_unknown_products(hass: HomeAssistant, say: Say) -> None:
    seen: list[Event[Any]] = async_capture_events(hass, "iot_data_bridge_basket_activity")
    listed = ",".join(f'"X{number:03}":2' for number in range(600))
    say("basket/1/update", f'{{"list":{{{listed}}}}}')
    await hass.async_block_till_done()
    told = [event.data for event in seen]
    assert len(told) == 20
    assert {event["event_type"] for event in told[:-1]} == {"unknown_product"}
    assert (told[-1]["event_type"], told[-1]["added"], told[-1]["count"]) == ("contents_changed", 1200, 600)


def test_events_that_no_entity_can_take_in_time_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    currency = Currency("KRW")
    basket = Basket("basket/1", PriceList(currency), BasketRules())
    device = BasketDevice(basket, "1", currency, "site", hidden=frozenset())
    taken: list[int] = []
    device.fire_events([BasketEvent(EventKind.ITEM_ADDED, count, None) for count in range(1005)], Context())
    device.attach_event_sink(lambda event, _: taken.append(event.count))
    assert taken == list(range(5, 1005))
    assert "basket/1 had 5 events more" in caplog.text


async def test_an_update_that_somebody_left_retained_overwrites_nothing(
    hass: HomeAssistant, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    say("basket/1/availability", "offline")
    say("basket/1/update", '{"id":1,"list":{"WTMN":9}}', retain=True)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == "2"
    assert show("binary_sensor.basket_1_connectivity").state == "off"


async def test_amounts_of_money_have_long_term_statistics(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    for name in ("basket_1_total_price", "shop_value_on_the_floor", "shop_revenue_today"):
        attributes = show(f"sensor.{name}").attributes
        assert (attributes["device_class"], attributes["state_class"]) == ("monetary", "total")


async def test_the_revenue_says_since_when_it_is_summed(
    hass: HomeAssistant, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    def since() -> str:
        return str(show("sensor.shop_revenue_today").attributes["last_reset"])

    first = since()
    assert datetime.fromisoformat(first) <= dt_util.utcnow()
    # Nothing was sold, and the sum begins anew all the same.
    await pass_time(hass, freezer, days=1)
    assert since() != first


async def test_another_currency_closes_the_day(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":5}}')
    say("basket/1/status", "end")
    say("basket/2/status", "start")
    say("basket/2/status", '{"msg":"total","payload":{"basketid":2,"totalprice":5}}')
    await hass.async_block_till_done()
    budget = {"entity_id": "number.basket_1_budget", "value": 20_000}
    await hass.services.async_call("number", "set_value", budget, blocking=True)
    await pass_time(hass, freezer, seconds=1.1)
    before = show("sensor.shop_revenue_today")
    assert before.state == "10800"
    hass.config_entries.async_update_entry(site, options={"currency": "EUR"})
    await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done()
    after = show("sensor.shop_revenue_today")
    assert (after.state, after.attributes["unit_of_measurement"]) == ("0", "EUR")
    assert after.attributes["last_reset"] != before.attributes["last_reset"]
    # Neither is a budget of 20,000 won one of 20,000 euros, nor a shown total.
    assert show("number.basket_1_budget").state == "0.0"
    assert site.runtime_data.baskets.by_root["basket/2"].basket.shown_total is None


async def test_a_count_has_no_unit_that_could_be_wrong_of_one(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await hass.async_block_till_done()
    counts = ("basket_1_items", "basket_1_distinct_products", "shop_baskets_in_use", "shop_sessions_today")
    assert [show(f"sensor.{name}").attributes.get("unit_of_measurement") for name in counts] == [None] * 4
