"""Devices that publish too fast: of their snapshots none is lost but those that a later one replaced."""

import json
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events, async_fire_time_changed

from custom_components.iot_data_bridge.devices.token_bucket import TokenBucket
from custom_components.iot_data_bridge.devices.topics import Channel
from custom_components.iot_data_bridge.message_limiter import BURST, RELEASE_SECONDS

from .conftest import Say, Show

FLOOD = 300


def update(count: int) -> str:
    return json.dumps({"id": 1, "list": {"MLON": count}})


async def pass_release(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    freezer.tick(timedelta(seconds=RELEASE_SECONDS))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def test_of_a_flood_the_last_snapshot_counts(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    states = async_capture_events(hass, "state_changed")
    for number in range(FLOOD):
        say("basket/1/update", update(number + 1))
    await hass.async_block_till_done()
    assert int(show("sensor.basket_1_items").state) < FLOOD
    for _ in range(3):
        await pass_release(hass, freezer)
    assert show("sensor.basket_1_items").state == str(FLOOD)
    items = [event for event in states if event.data["entity_id"] == "sensor.basket_1_items"]
    assert len(items) < BURST + 10
    superseded = site.runtime_data.limiter.superseded[Channel.BASKET_UPDATE]
    assert FLOOD - BURST - 10 < superseded < FLOOD


@pytest.mark.usefixtures("site")
async def test_a_command_finds_the_contents_that_were_sent_before_it(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/status", "start")
    for number in range(FLOOD):
        say("basket/1/update", update(number + 1))
    say("basket/1/status", "end")
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == str(FLOOD)
    assert show("event.basket_1_activity").attributes["count"] == FLOOD


@pytest.mark.usefixtures("site")
async def test_a_message_without_contents_replaces_none_with_them(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    for number in range(FLOOD):
        say("basket/1/update", update(number + 1))
        say("basket/1/update", '{"id":1,"battery":50}')
    await hass.async_block_till_done()
    for _ in range(5):
        await pass_release(hass, freezer)
    assert show("sensor.basket_1_items").state == str(FLOOD)
    assert show("sensor.basket_1_battery").state == "50.0"


async def test_a_site_that_is_unloaded_keeps_the_last_contents(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    for number in range(FLOOD):
        say("basket/1/update", update(number + 1))
    assert await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == str(FLOOD)


@pytest.mark.usefixtures("site")
async def test_a_second_basket_is_not_held_back(hass: HomeAssistant, say: Say, show: Show) -> None:
    for number in range(FLOOD):
        say("basket/1/update", update(number + 1))
    say("basket/2/update", update(7))
    await hass.async_block_till_done()
    assert show("sensor.basket_2_items").state == "7"


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0, tokens=3.0, updated=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(moment) for moment in (0.4, 0.5, 0.6, 1.0)] == [False, True, False, True]
    assert (bucket.is_full(1.5), bucket.is_full(2.5)) == (False, True)
