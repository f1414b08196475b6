"""What the activity log says, read from the recorder as the front end reads it."""

from datetime import timedelta
from typing import Any

import pytest
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import translation
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events
from pytest_homeassistant_custom_component.components.recorder.common import async_wait_recording_done
from pytest_homeassistant_custom_component.typing import RecorderInstanceContextManager, WebSocketGenerator

from custom_components.iot_data_bridge.const import DOMAIN, EVENT_BASKET_ACTIVITY
from custom_components.iot_data_bridge.devices.sessions import TIMES

from .conftest import ENTRY_ID, Say

pytestmark = pytest.mark.usefixtures("recorder_mock", "recorded_site")


@pytest.fixture
async def mock_recorder_before_hass(
    async_test_recorder: RecorderInstanceContextManager,
) -> None:
    """Make the recorder's database before Home Assistant, as its test plug-in wants it."""


@pytest.fixture
async def recorded_site(hass: HomeAssistant, site: MockConfigEntry) -> MockConfigEntry:
    """A site whose activity is recorded, with two products."""
    assert await async_setup_component(hass, "logbook", {})
    for code, name, price in (("MILK", "Milk 1 l", 2990), ("MLON", "Melon", 12000)):
        product = {"code": code, "name": name, "price": price}
        await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
    return site


async def shop(hass: HomeAssistant, say: Say) -> None:
    for topic, payload in (
        ("status", "start"),
        ("update", '{"list":{"MILK":2,"MLON":4}}'),
        ("update", '{"list":{"MILK":1,"MLON":4,"XXXX":1}}'),
        ("update", '{"list":{"MILK":1,"MLON":4}}'),
        ("status", '{"msg":"total","payload":{"totalprice":50990}}'),
        ("status", "end"),
    ):
        say(f"basket/1/{topic}", payload)
        await hass.async_block_till_done()


async def entries(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> list[dict[str, Any]]:
    await async_wait_recording_done(hass)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "basket:basket/1"), ENTRY_ID)
    assert device is not None
    client = await hass_ws_client()
    start = (dt_util.utcnow() - timedelta(hours=1)).isoformat()
    await client.send_json_auto_id({"type": "logbook/get_events", "start_time": start, "device_ids": [device.id]})
    found: list[dict[str, Any]] = (await client.receive_json())["result"]
    return found


def sentences(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["name"], entry["message"]) for entry in found if entry.get("domain") == DOMAIN]


async def test_what_happened_is_told_in_sentences(
    hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator
) -> None:
    await shop(hass, say)
    assert sentences(await entries(hass, hass_ws_client)) == [
        ("Basket 1", sentence)
        for sentence in (
            "session started",
            f"added Milk 1 l {TIMES} 2 (5,980 ₩)",
            f"added Melon {TIMES} 4 (48,000 ₩)",
            f"removed Milk 1 l {TIMES} 1 (2,990 ₩)",
            f"added XXXX {TIMES} 1",
            "XXXX has no price",
            f"removed XXXX {TIMES} 1",
            "total shown, 50,990 ₩",
            "session ended, 50,990 ₩",
        )
    ]


async def test_a_cancelled_session_is_told_from_a_paid_one(
    hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"list":{"MLON":1}}')
    await hass.async_block_till_done()
    await hass.services.async_call(DOMAIN, "cancel", {"entity_id": "sensor.basket_1_items"}, blocking=True)
    say("basket/1/status", "end")  # it comes back from the broker
    await hass.async_block_till_done()
    assert sentences(await entries(hass, hass_ws_client))[-1] == ("Basket 1", "session cancelled, 12,000 ₩")


async def test_korean_is_told_in_korean(hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator) -> None:
    translation.async_setup(hass)  # as Home Assistant does at its start
    await hass.config.async_update(language="ko")
    await hass.async_block_till_done()
    await shop(hass, say)
    told = [sentence for _, sentence in sentences(await entries(hass, hass_ws_client))]
    assert told == [
        "세션 시작됨",
        f"Milk 1 l {TIMES} 2 담김 (5,980 ₩)",
        f"Melon {TIMES} 4 담김 (48,000 ₩)",
        f"Milk 1 l {TIMES} 1 빠짐 (2,990 ₩)",
        f"XXXX {TIMES} 1 담김",
        "XXXX 상품에 가격이 없음",
        f"XXXX {TIMES} 1 빠짐",
        "합계 표시됨, 50,990 ₩",
        "세션 종료됨, 50,990 ₩",
    ]


async def test_no_state_is_the_cause_of_another(
    hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator
) -> None:
    await shop(hass, say)
    # What names a cause names what happened.
    for entry in await entries(hass, hass_ws_client):
        assert entry.get("context_event_type", EVENT_BASKET_ACTIVITY) == EVENT_BASKET_ACTIVITY
        assert "context_state" not in entry
        if str(entry.get("entity_id")).startswith(("sensor.", "binary_sensor.", "todo.")):
            assert "context_name" not in entry


async def test_the_events_of_one_message_have_one_context_and_its_states_have_others(
    hass: HomeAssistant, say: Say
) -> None:
    say("basket/1/update", '{"list":{}}')
    await hass.async_block_till_done()
    told: list[Event[Any]] = async_capture_events(hass, EVENT_BASKET_ACTIVITY)
    changed: list[Event[Any]] = async_capture_events(hass, "state_changed")
    say("basket/1/update", '{"list":{"MILK":1,"MLON":1}}')
    await hass.async_block_till_done()
    assert len(told) == 2
    [cause] = {event.context.id for event in told}
    activity = [event for event in changed if event.data["entity_id"] == "event.basket_1_activity"]
    assert {event.context.id for event in activity} == {cause}
    states = [event.context.id for event in changed if event not in activity]
    assert len(states) >= 3
    assert len({*states, cause}) == len(states) + 1


async def test_a_name_of_others_is_short_and_shown_as_it_is(
    hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator
) -> None:
    name = "{price} %s\n" + "x" * 500
    product = {"code": "ODD", "name": name, "price": 1}
    await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
    say("basket/1/update", '{"list":{"ODD":1}}')
    await hass.async_block_till_done()
    [(_, told)] = sentences(await entries(hass, hass_ws_client))
    assert told.startswith("added {price} %s xxx")
    assert len(told) < 150


async def test_what_others_fire_under_our_name_breaks_no_log(
    hass: HomeAssistant, say: Say, hass_ws_client: WebSocketGenerator, caplog: pytest.LogCaptureFixture
) -> None:
    say("basket/1/update", '{"list":{}}')
    await hass.async_block_till_done()
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "basket:basket/1"), ENTRY_ID)
    assert device is not None
    for kind in ("{x}", None, "item_added"):
        hass.bus.async_fire(EVENT_BASKET_ACTIVITY, {"device_id": device.id, "event_type": kind})
    assert len(sentences(await entries(hass, hass_ws_client))) == 3
    assert "Error with" not in caplog.text
