"""What a site knows after messages may have been missed, and after its host lost power."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.storage import site_store

from .conftest import ENTRY_ID, Say, Show

OF_CONTENTS = ("sensor.basket_1_session", "sensor.basket_1_items", "sensor.basket_1_total_price")
STORED = f"{DOMAIN}.{ENTRY_ID}"
SESSIONS = f"{DOMAIN}.{ENTRY_ID}.sessions"


async def settle(hass: HomeAssistant) -> None:
    await hass.async_block_till_done(wait_background_tasks=True)


async def lose_power(hass: HomeAssistant, site: MockConfigEntry, hass_storage: dict[str, Any]) -> None:
    """Set the site up again with what was on the disk at this moment."""
    on_disk = deepcopy({key: value for key, value in hass_storage.items() if key.startswith(DOMAIN)})
    assert await hass.config_entries.async_unload(site.entry_id)
    # What an orderly end writes, and what arrived meanwhile, is not there.
    site.runtime_data = None
    for key in [key for key in hass_storage if key.startswith(DOMAIN)]:
        del hass_storage[key]
    hass_storage.update(on_disk)
    assert await hass.config_entries.async_setup(site.entry_id)
    await settle(hass)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def uncertain(show: Show) -> list[object]:
    return [show(entity_id).attributes.get("contents_uncertain") for entity_id in OF_CONTENTS]


def reasons(show: Show) -> object:
    return show("binary_sensor.basket_1_problem").attributes["reasons"]


@pytest.fixture
async def used(hass: HomeAssistant, prices: None, say: Say) -> None:  # noqa: ARG001 -- the prices come first
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await settle(hass)


@pytest.mark.usefixtures("used")
async def test_contents_are_uncertain_after_the_broker_was_away_until_the_next_update(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    assert uncertain(show) == [None, None, None]
    site.runtime_data._on_connection(False)
    site.runtime_data._on_connection(True)
    assert uncertain(show) == [True, True, True]
    assert (show("sensor.basket_1_items").state, reasons(show)) == ("1", [])
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await settle(hass)
    assert uncertain(show) == [None, None, None]


@pytest.mark.usefixtures("used")
async def test_contents_are_uncertain_after_a_restart_but_not_after_a_reload(
    hass: HomeAssistant, site: MockConfigEntry, show: Show, hass_storage: dict[str, Any]
) -> None:
    assert await hass.config_entries.async_reload(site.entry_id)
    await settle(hass)
    assert uncertain(show) == [None, None, None]
    site.runtime_data.subscriptions.complete = False  # as of a site that was not there
    await lose_power(hass, site, hass_storage)
    site.runtime_data.baskets.mark_uncertain()
    assert uncertain(show) == [True, True, True]


@pytest.mark.usefixtures("used")
async def test_an_idle_basket_is_not_uncertain(site: MockConfigEntry, say: Say, show: Show) -> None:
    say("basket/1/status", "end")
    site.runtime_data.baskets.mark_uncertain()
    assert uncertain(show) == [None, None, None]
    say("basket/1/status", "start")
    assert uncertain(show) == [True, True, True]


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("refuse", [False, True])
async def test_a_total_of_uncertain_contents_is_flagged_or_refused(
    hass: HomeAssistant, site: MockConfigEntry, mqtt_mock: MqttMockHAClient, refuse: bool
) -> None:
    hass.config_entries.async_update_entry(site, options={"refuse_uncertain": refuse})
    await settle(hass)
    site.runtime_data.baskets.mark_uncertain()
    mqtt_mock.async_publish.reset_mock()
    target = {"entity_id": OF_CONTENTS[0]}
    if refuse:
        with pytest.raises(ServiceValidationError) as caught:
            await hass.services.async_call(DOMAIN, "total", target, blocking=True)
        assert caught.value.translation_key == "contents_uncertain"
        assert mqtt_mock.async_publish.call_count == 0
    else:
        response = await hass.services.async_call(DOMAIN, "total", target, blocking=True, return_response=True)
        assert isinstance(response, Mapping)
        assert isinstance(baskets := response["baskets"], Mapping)
        assert isinstance(basket := baskets["basket/1"], Mapping)
        assert (basket["shown_total"], basket["contents_uncertain"]) == (10800, True)
    # A given total is not computed.
    await hass.services.async_call(DOMAIN, "total", {**target, "total_price": 500}, blocking=True)
    assert '"totalprice":500' in mqtt_mock.async_publish.call_args.args[1]


@pytest.mark.usefixtures("prices")
async def test_a_session_and_the_revenue_survive_a_power_cut_at_any_moment(
    hass: HomeAssistant,
    site: MockConfigEntry,
    say: Say,
    show: Show,
    hass_storage: dict[str, Any],
    freezer: FrozenDateTimeFactory,
) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await settle(hass)
    freezer.tick(timedelta(seconds=11))
    async_fire_time_changed(hass)
    await settle(hass)
    say("basket/1/status", "start")
    await settle(hass)
    await lose_power(hass, site, hass_storage)
    assert show("sensor.basket_1_session").state == "active"
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await settle(hass)
    # Contents that change in a session are no theft, whatever was forgotten of them.
    assert reasons(show) == []
    say("basket/1/status", "end")
    await settle(hass)
    await lose_power(hass, site, hass_storage)
    assert show("sensor.basket_1_session").state == "idle"
    assert (show("sensor.shop_revenue_today").state, show("sensor.shop_sessions_today").state) == ("10800", "1")


@pytest.mark.usefixtures("prices")
async def test_a_session_that_ended_is_not_active_after_a_power_cut(
    hass: HomeAssistant,
    site: MockConfigEntry,
    say: Say,
    show: Show,
    hass_storage: dict[str, Any],
    freezer: FrozenDateTimeFactory,
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await settle(hass)
    freezer.tick(timedelta(seconds=11))
    async_fire_time_changed(hass)
    await settle(hass)
    assert hass_storage[STORED]["data"]["baskets"][0]["session_started"] is not None
    say("basket/1/status", "end")
    await settle(hass)
    await lose_power(hass, site, hass_storage)
    assert show("sensor.basket_1_session").state == "idle"
    assert show("sensor.basket_1_items").state == "1"


@pytest.mark.usefixtures("site")
async def test_a_flood_of_commands_is_written_once_a_second(
    hass: HomeAssistant,
    site: MockConfigEntry,
    say: Say,
    monkeypatch: pytest.MonkeyPatch,
    freezer: FrozenDateTimeFactory,
) -> None:
    written: list[str] = []
    stored = site.runtime_data.storage._sessions

    def write() -> object:
        written.append("")
        return stored()

    monkeypatch.setattr(site.runtime_data.storage, "_sessions", write)
    for _ in range(20):
        say("basket/1/status", "start")
        say("basket/1/status", "end")
        await settle(hass)
    assert len(written) == 1
    freezer.tick(timedelta(seconds=2))
    async_fire_time_changed(hass)
    await settle(hass)
    assert len(written) == 2


@pytest.mark.parametrize(
    ("collection", "damaged"),
    [
        ("baskets", {"contents": {}}),
        ("baskets", {"root": "basket/9"}),
        ("baskets", "?"),
        ("printers", {"progress": 4}),
        ("bridges", {"name": "Edge"}),
        ("bridges", {"bridge_id": "edge", "devices": [{"name": "VM"}]}),
        ("bridges", {"bridge_id": "edge", "devices": 5}),
    ],
)
async def test_a_damaged_device_is_left_out_and_its_file_kept(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    mqtt_mock: object,
    hass_storage: dict[str, Any],
    collection: str,
    damaged: object,
    show: Show,
) -> None:
    assert mqtt_mock is not None
    data: dict[str, Any] = {
        "site": {"day": "2026-11-20", "sessions": 3, "revenue": "5"},
        "baskets": [{"root": "basket/1", "contents": {"MLON": 2}}],
        "printers": [{"uuid": "1"}],
        "bridges": [{"bridge_id": "b", "devices": []}],
    }
    data[collection].insert(0, damaged)
    hass_storage[STORED] = {"version": 1, "minor_version": 1, "key": STORED, "data": data}
    file = Path(site_store(hass, ENTRY_ID).path)
    write(file, json.dumps(data))
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(ENTRY_ID)
    await settle(hass)
    hub = entry.runtime_data
    assert {device.key for device in hub.devices()} >= {"basket:basket/1", "printer:1", "bridge:b"}
    assert show("sensor.basket_1_items").state == "2"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"devices_damaged_{ENTRY_ID}")
    assert issue is not None
    assert issue.translation_placeholders is not None
    [kept] = file.parent.glob(f"{file.name}.damaged-*")
    assert json.loads(kept.read_text()) == data
    assert issue.translation_placeholders["site"] == "Shop"
    kept.unlink()
    assert await hass.config_entries.async_reload(ENTRY_ID)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"devices_damaged_{ENTRY_ID}") is None
    assert await hass.config_entries.async_unload(ENTRY_ID)


@pytest.mark.parametrize("data", [{}, {"site": 5, "baskets": {}, "printers": None}])
async def test_a_file_of_which_nothing_is_left_stops_no_site(
    hass: HomeAssistant, entry: MockConfigEntry, mqtt_mock: object, hass_storage: dict[str, Any], data: dict[str, Any]
) -> None:
    assert mqtt_mock is not None
    hass_storage[STORED] = {"version": 1, "minor_version": 1, "key": STORED, "data": data}
    hass_storage[SESSIONS] = {"version": 1, "minor_version": 1, "key": SESSIONS, "data": {"sessions": {"basket/1": 5}}}
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(ENTRY_ID)
    assert await hass.config_entries.async_unload(ENTRY_ID)


async def test_a_removed_site_takes_its_sessions_and_damaged_files_along(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, hass_storage: dict[str, Any]
) -> None:
    say("basket/1/status", "start")
    await settle(hass)
    assert SESSIONS in hass_storage
    file = Path(site_store(hass, ENTRY_ID).path)
    kept = file.with_name(f"{file.name}.damaged-20261120120000")
    write(kept, "{}")
    await hass.config_entries.async_remove(site.entry_id)
    await settle(hass)
    assert not [key for key in hass_storage if key.startswith(DOMAIN)]
    assert not kept.exists()


@pytest.mark.usefixtures("site")
async def test_a_session_that_a_basket_publishes_is_known_without_a_command(
    hass: HomeAssistant, say: Say, show: Show
) -> None:
    # A basket that was taken away left its session on the broker.
    say("basket/2/session", '{"state":"active","since":"2026-11-20T09:00:46Z","id":2}', retain=True)
    say("basket/1/availability", "online", retain=True)
    say("basket/1/session", '{"state":"active","since":"2026-11-20T09:00:46Z","id":1}', retain=True)
    await settle(hass)
    assert hass.states.get("sensor.basket_2_session") is None
    assert show("sensor.basket_1_session").state == "active"
    assert show("sensor.basket_1_session_started").state == "2026-11-20T09:00:46+00:00"
    say("basket/1/status", "end")
    assert show("sensor.basket_1_session").state == "active"
    say("basket/1/session", '{"state":"idle","since":"2026-11-20T09:12:00Z","id":1}')
    assert show("sensor.basket_1_session").state == "idle"
    say("basket/1/session", "")
    say("basket/1/status", "start")
    assert show("sensor.basket_1_session").state == "active"


@pytest.mark.usefixtures("site")
async def test_a_start_that_an_offline_basket_cannot_hear_is_requested_and_then_not_heard(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/availability", "online")
    say("basket/1/availability", "offline")
    await settle(hass)
    say("basket/1/status", "start")
    assert show("sensor.basket_1_session").state == "requested"
    # The five seconds of the clock come on top.
    for _ in range(13):
        freezer.tick(timedelta(seconds=5))
        async_fire_time_changed(hass)
        await settle(hass)
    assert show("sensor.basket_1_session").state == "idle"
    assert show("event.basket_1_activity").attributes["event_type"] == "session_not_heard"
    assert show("sensor.shop_sessions_today").state == "0"
