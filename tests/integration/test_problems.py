"""What is wrong with baskets, said once for each cause, and nothing that is not."""

from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import Say, Show

pytestmark = pytest.mark.usefixtures("site")


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **by: float) -> None:
    freezer.tick(timedelta(**by))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


def red(hass: HomeAssistant) -> list[str]:
    """Return the problem sensors that are on."""
    return [
        state.entity_id
        for state in hass.states.async_all("binary_sensor")
        if state.attributes.get("device_class") == "problem" and state.state == "on"
    ]


def repairs(hass: HomeAssistant) -> set[str]:
    return {issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN}


async def test_nothing_is_red_on_a_first_day_that_nothing_is_wrong_with(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    # The baskets are in use already, and there is no price list yet.
    for number in range(1, 6):
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":{number}}}}}')
    await pass_time(hass, freezer, seconds=2)
    assert red(hass) == []
    assert repairs(hass) == {"price_list_empty_01J00000000000000000000000"}
    product = {"code": "MLON", "price": 1000}
    await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
    await pass_time(hass, freezer, seconds=2)
    for number in range(1, 6):
        say(f"basket/{number}/status", "end")
        say(f"basket/{number}/status", "start")
        say(f"basket/{number}/status", f'{{"msg":"total","payload":{{"basketid":{number},"totalprice":{number}000}}}}')
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":{number + 1}}}}}')
    await pass_time(hass, freezer, minutes=10)
    assert red(hass) == []
    assert repairs(hass) == set()
    assert show("sensor.shop_baskets_with_problems").state == "0"


@pytest.mark.usefixtures("prices")
async def test_a_total_that_another_item_made_old_is_no_flood(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"totalprice":10800}}')
    await hass.async_block_till_done()
    changed = async_capture_events(hass, "state_changed")
    for count in range(2, 30):
        say("basket/1/update", f'{{"id":1,"list":{{"MLON":{count}}}}}')
        await pass_time(hass, freezer, seconds=11)
    assert red(hass) == []
    assert not [event for event in changed if event.data["entity_id"] == "binary_sensor.basket_1_problem"]


@pytest.mark.usefixtures("prices")
async def test_a_wrong_total_is_one_problem_however_often_the_contents_change(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/1/status", '{"msg":"total","payload":{"totalprice":1}}')
    await hass.async_block_till_done()
    changed = async_capture_events(hass, "state_changed")
    for count in range(2, 30):
        say("basket/1/update", f'{{"id":1,"list":{{"MLON":{count}}}}}')
        await pass_time(hass, freezer, seconds=1)
    attributes = show("binary_sensor.basket_1_problem").attributes
    assert (attributes["shown_total"], attributes["computed_total"]) == (1, 10800)
    assert not [
        event for event in changed if "problem" in event.data["entity_id"] and "shop" not in event.data["entity_id"]
    ]


@pytest.mark.usefixtures("prices")
async def test_the_reason_is_the_most_urgent_of_all(hass: HomeAssistant, say: Say, show: Show) -> None:
    reason = "sensor.basket_1_problem_reason"
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    assert (show(reason).state, show(reason).attributes["reasons"]) == ("none", [])
    say("basket/1/status", "end")
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"XXXX":1},"error":"reader lost"}')
    assert show(reason).state == "items_without_session"
    assert show(reason).attributes["reasons"] == ["items_without_session", "unknown_product", "controller_error"]
    say("basket/1/status", "start")
    assert show(reason).state == "unknown_product"
    # What the screen says is no repetition of the entity's name.
    registered = er.async_get(hass).async_get("binary_sensor.basket_1_problem")
    assert registered is not None
    assert registered.translation_key == "problem"


@pytest.mark.usefixtures("prices")
async def test_two_baskets_on_one_topic_are_one_basket_and_said(
    hass: HomeAssistant, say: Say, show: Show, site: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    for _ in range(3):
        say("basket/1/update", '{"id":2,"list":{"WTMN":5}}')
    await pass_time(hass, freezer, seconds=1.1)
    assert show("sensor.basket_1_items").state == "1"
    assert show("sensor.basket_1_problem_reason").state == "other_id"
    assert show("sensor.shop_baskets_with_problems").state == "1"
    assert site.runtime_data.refusals.counts == {("basket_update", "other_id"): 3}


@pytest.mark.usefixtures("prices")
async def test_contents_that_alternate_are_shown_each_time_and_said(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/status", "start")
    for count in range(10):
        say("basket/1/update", f'{{"id":1,"list":{{"MLON":{1 + count % 2}}}}}')
        await pass_time(hass, freezer, seconds=1)
        assert show("sensor.basket_1_items").state == str(1 + count % 2)
    assert show("sensor.basket_1_problem_reason").state == "contents_alternate"


@pytest.mark.usefixtures("prices")
async def test_one_cause_is_counted_once_for_the_site(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    for number in range(1, 31):
        say(f"basket/{number}/status", "end")
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"XXXX":1}},"error":"E1"}}')
    await pass_time(hass, freezer, seconds=2)
    assert show("sensor.shop_unknown_products").state == "1"
    assert show("sensor.shop_baskets_with_problems").state == "30"
    assert repairs(hass) == {"unpriced_product_01J00000000000000000000000_XXXX"}


@pytest.mark.usefixtures("prices")
async def test_a_site_has_a_bounded_number_of_repairs(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory, site: MockConfigEntry
) -> None:
    def contents(first: int, last: int) -> str:
        listed = ",".join(f'"X{number:03}":1' for number in range(first, last))
        return f'{{"id":1,"list":{{{listed}}}}}'

    say("basket/1/status", "start")
    say("basket/1/update", contents(0, 300))
    await pass_time(hass, freezer, seconds=2)
    first = repairs(hass)
    assert len(first) == 20
    assert show("sensor.shop_unknown_products").state == "300"
    assert len(show("binary_sensor.basket_1_problem").attributes["unknown_products"]) == 20
    # Those that may be open stay while others come and go.
    say("basket/1/update", contents(0, 400))
    await pass_time(hass, freezer, seconds=2)
    assert repairs(hass) == first
    say("basket/1/update", contents(10, 12))
    await pass_time(hass, freezer, seconds=2)
    assert len(repairs(hass)) == 2
    await hass.config_entries.async_unload(site.entry_id)
    assert repairs(hass) == set()
