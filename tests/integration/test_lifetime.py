"""How devices come, survive restarts, and go."""

import copy
import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    flush_store,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator
from syrupy.assertion import SnapshotAssertion

from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.hub import Hub

from .conftest import ENTRY_ID, Say, Show
from .test_platforms import STATUS, fill


def stored_files(hass: HomeAssistant) -> list[Path]:
    return list(Path(hass.config.path(".storage")).glob(f"{DOMAIN}*"))


async def restart(hass: HomeAssistant, site: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done()


@pytest.mark.usefixtures("prices")
async def test_a_restart_in_the_middle_of_a_session_loses_nothing(
    hass: HomeAssistant, site: MockConfigEntry, freezer: FrozenDateTimeFactory, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":2,"XXXX":1},"battery":80}')
    say("basket/1/status", "start")
    say("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":5}}')
    await fill(hass)
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    changes = {"entity_id": "todo.basket_1_contents", "item": "MLON", "status": "completed"}
    await hass.services.async_call("todo", "update_item", changes, blocking=True)
    budget = {"entity_id": "number.basket_1_budget", "value": 20_000}
    await hass.services.async_call("number", "set_value", budget, blocking=True)

    def states() -> dict[str, tuple[str, dict[str, Any]]]:
        return {
            state.entity_id: (state.state, dict(state.attributes))
            for state in hass.states.async_all()
            if not state.entity_id.startswith(("event.", "button."))
        }

    before = states()
    freezer.tick(timedelta(minutes=2))
    await restart(hass, site)
    after = states()
    # A printer is disconnected and nothing of it measured until it speaks again, and the bridge tells its state anew.
    printer = ("state", "nozzle_temperature", "nozzle_target", "bed_temperature", "bed_target")
    expected_to_differ = {f"sensor.printer_11111111_{key}" for key in printer} | {
        "binary_sensor.printer_11111111_host_connectivity",
        "binary_sensor.printer_11111111_printer_connectivity",
        "binary_sensor.edge_connectivity",
    }
    assert {key for key in before if before[key] != after[key]} == expected_to_differ
    assert before.keys() == after.keys()
    # The unchanged snapshot after the restart tells nothing, the next change only its difference.
    last = show("event.basket_1_activity").state
    say("basket/1/update", '{"id":1,"list":{"MLON":2,"XXXX":1}}')
    assert show("event.basket_1_activity").state == last


async def test_what_was_taken_without_a_session_is_known_after_a_restart(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("basket/1/status", "end")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/2/status", "start")
    say("basket/2/update", '{"id":2,"list":{"MLON":1}}')
    say("basket/2/status", "end")
    await hass.async_block_till_done()
    await restart(hass, site)
    reasons = [show(f"binary_sensor.basket_{number}_problem").attributes["reasons"] for number in (1, 2)]
    assert reasons == [["items_without_session"], []]


async def test_nobody_is_silent_while_we_did_not_listen(
    hass: HomeAssistant, site: MockConfigEntry, freezer: FrozenDateTimeFactory, say: Say, show: Show
) -> None:
    async def pass_time(**by: float) -> None:
        freezer.tick(timedelta(**by))
        async_fire_time_changed(hass)
        await hass.async_block_till_done()

    def reasons() -> object:
        return show("binary_sensor.basket_1_problem").attributes["reasons"]

    say("basket/1/status", "start")
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(site.entry_id)
    await pass_time(hours=9)
    assert await hass.config_entries.async_setup(site.entry_id)
    await hass.async_block_till_done()
    await pass_time(minutes=14)
    assert reasons() == []
    site.runtime_data._on_connection(False)
    await pass_time(hours=1)
    site.runtime_data._on_connection(True)
    await pass_time(minutes=14)
    assert reasons() == []
    await pass_time(minutes=2)
    assert reasons() == ["silent"]


@pytest.mark.usefixtures("site")
async def test_what_baskets_say_is_stored_soon_even_under_a_steady_stream(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory, hass_storage: dict[str, Any]
) -> None:
    for count in range(1, 30):
        say("basket/1/update", f'{{"id":1,"list":{{"MLON":{count}}}}}')
        freezer.tick(1)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
    [basket] = hass_storage[f"{DOMAIN}.{ENTRY_ID}"]["data"]["baskets"]
    assert basket["contents"]["MLON"] >= 10


async def test_what_was_not_written_yet_is_written_at_the_end(
    site: MockConfigEntry, say: Say, hass_storage: dict[str, Any]
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await flush_store(site.runtime_data.storage._store)
    assert hass_storage[f"{DOMAIN}.{ENTRY_ID}"]["data"]["baskets"][0]["contents"] == {"MLON": 5}


async def test_without_mqtt_the_site_tries_again(
    hass: HomeAssistant, entry: MockConfigEntry, mqtt_mock: object
) -> None:
    assert mqtt_mock is not None
    entry.add_to_hass(hass)
    with patch("homeassistant.components.mqtt.async_wait_for_mqtt_client", return_value=False):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_nothing_is_left_after_an_unload(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    hub: Hub = site.runtime_data
    assert await hass.config_entries.async_unload(site.entry_id)
    await hass.async_block_till_done()
    say("basket/1/update", '{"id":1,"list":{}}')
    assert hub.baskets.by_root["basket/1"].basket.items == 5
    assert show("sensor.basket_1_items").state == "unavailable"
    hub.stop()  # a second time does nothing


async def test_a_message_while_the_platforms_unload_makes_nothing(
    hass: HomeAssistant, site: MockConfigEntry, say: Say
) -> None:
    unload = hass.config_entries.async_unload_platforms

    async def unload_and_speak(entry: ConfigEntry, platforms: Iterable[Platform]) -> bool:
        unloaded = await unload(entry, platforms)
        say("basket/9/update", '{"id":9,"list":{"MLON":5}}')
        return unloaded

    with patch.object(hass.config_entries, "async_unload_platforms", unload_and_speak):
        assert await hass.config_entries.async_unload(site.entry_id)
    await hass.async_block_till_done()
    assert not [entry for entry in er.async_get(hass).entities.values() if "basket/9" in entry.unique_id]
    assert not [state.entity_id for state in hass.states.async_all() if "basket_9" in state.entity_id]


async def test_a_site_whose_platforms_do_not_unload_listens_on(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        assert not await hass.config_entries.async_unload(site.entry_id)
    say("basket/1/update", '{"id":1,"list":{"MLON":6}}')
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == "6"
    site.mock_state(hass, ConfigEntryState.LOADED)


async def test_a_removed_site_leaves_nothing_in_storage(
    hass: HomeAssistant, site: MockConfigEntry, hass_storage: dict[str, Any], say: Say, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"price_list_empty_{ENTRY_ID}") is not None
    await hass.config_entries.async_remove(site.entry_id)
    await hass.async_block_till_done()
    assert not [key for key in hass_storage if key.startswith(DOMAIN)]
    assert not stored_files(hass)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"price_list_empty_{ENTRY_ID}") is None


async def test_an_empty_price_list_is_an_issue_while_baskets_hold_products(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"price_list_empty_{site.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {"site": "Shop"}
    await hass.services.async_call(DOMAIN, "set_product", {"code": "MLON", "price": 1}, blocking=True)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"price_list_empty_{site.entry_id}") is None


async def test_the_issue_of_an_empty_price_list_goes_and_comes_with_the_site(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    def raised() -> bool:
        return ir.async_get(hass).async_get_issue(DOMAIN, f"price_list_empty_{ENTRY_ID}") is not None

    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert raised()
    await hass.config_entries.async_set_disabled_by(site.entry_id, ConfigEntryDisabler.USER)
    assert not raised()
    await hass.config_entries.async_set_disabled_by(site.entry_id, None)
    await hass.async_block_till_done()
    assert raised()


async def change_topics(hass: HomeAssistant, site: MockConfigEntry, **topics: Any) -> None:  # noqa: ANN401 -- what a user may choose
    """Change the topics of a site as its reconfiguration does."""
    hass.config_entries.async_update_entry(site, data={**site.data, **topics})
    await restart(hass, site)


def devices(hass: HomeAssistant, entry_id: str = ENTRY_ID) -> set[str]:
    """Return the keys of a site's devices in the registry, but for the site itself."""
    entries = dr.async_entries_for_config_entry(dr.async_get(hass), entry_id)
    return {key for entry in entries for _, key in entry.identifiers if not key.startswith("site:")}


async def test_what_the_topics_of_a_site_leave_out_goes(hass: HomeAssistant, site: MockConfigEntry, say: Say) -> None:
    await fill(hass)
    say("basket/store02/unit015/update", '{"list":{}}')
    say("iot_data_bridge/other/hello", '{"bridge_id":"other"}')
    await hass.async_block_till_done()
    everything = devices(hass)
    assert {"basket:basket/store02/unit015", "printer:11111111-2222", "bridge:other"} < everything
    await change_topics(hass, site, basket_roots=["basket/+"], printers=False, bridge_id="edge")
    left = {key for key in everything if key.startswith(("basket:basket/1", "bridge:edge", "bridged:edge/"))}
    assert devices(hass) == left == {device.key for device in site.runtime_data.devices()[1:]}
    assert not [
        state for state in hass.states.async_all() if "printer" in state.entity_id or "unit015" in state.entity_id
    ]
    await change_topics(hass, site, basket_roots=["basket/+/+"], bridge_id="")
    assert devices(hass) == set()


async def test_another_site_can_have_the_topics_that_one_gave_up(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await hass.async_block_till_done()
    await change_topics(hass, site, basket_roots=["shop/+"])
    data = {"basket_roots": ["basket/+"], "printers": False, "bridge_id": ""}
    annex = MockConfigEntry(domain=DOMAIN, title="Annex", data=data)
    annex.add_to_hass(hass)
    assert await hass.config_entries.async_setup(annex.entry_id)
    # Both have a basket that calls itself 1.
    say("basket/1/update", '{"id":1,"list":{"MLON":7}}')
    await hass.async_block_till_done()
    say("shop/1/update", '{"id":1,"list":{"MLON":8}}')
    await hass.async_block_till_done()
    assert devices(hass, annex.entry_id) == {"basket:basket/1"}
    assert devices(hass) == {"basket:shop/1"}
    assert show("sensor.basket_1_items").state == "7"
    assert show("sensor.basket_1_items_2").state == "8"
    assert await hass.config_entries.async_unload(annex.entry_id)


async def delete(hass: HomeAssistant, hass_ws_client: WebSocketGenerator, key: str) -> bool:
    """Delete a device as the front end does."""
    assert await async_setup_component(hass, "config", {})
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, key), ENTRY_ID)
    assert device is not None
    client = await hass_ws_client(hass)
    response = await client.remove_device(device.id)
    await hass.async_block_till_done()
    success: bool = response["success"]
    return success


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("key", "entity_id", "topic", "payload"),
    [
        ("basket:basket/1", "sensor.basket_1_items", "basket/1/update", '{"id":1,"list":{}}'),
        ("printer:11111111-2222", "sensor.printer_11111111_state", "octoprint/status/11111111-2222", '{"state":{}}'),
        (
            "bridged:edge/VM-A",
            "sensor.vm_a_gps_latitude",
            "iot_data_bridge/edge/catalog",
            '{"devices":[{"id":"VM-A","name":"VM A","objects":[{"object":"GPS.Latitude","value_type":"float"}]}]}',
        ),
        ("bridge:edge", "binary_sensor.edge_connectivity", "iot_data_bridge/edge/availability", "online"),
    ],
)
async def test_a_device_can_be_deleted_and_comes_back_when_it_speaks(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    say: Say,
    key: str,
    entity_id: str,
    topic: str,
    payload: str,
) -> None:
    await fill(hass)
    assert await delete(hass, hass_ws_client, key)
    assert hass.states.get(entity_id) is None
    say(topic, payload)
    await hass.async_block_till_done()
    assert hass.states.get(entity_id) is not None


@pytest.mark.parametrize("key", ["basket:basket/1", "printer:11111111-2222", "bridged:edge/VM-A", "bridge:edge"])
async def test_a_device_of_a_site_that_is_not_loaded_can_be_deleted(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, site: MockConfigEntry, key: str
) -> None:
    await fill(hass)
    with patch("homeassistant.components.mqtt.async_wait_for_mqtt_client", return_value=False):
        assert not await hass.config_entries.async_reload(site.entry_id)
    assert site.state is ConfigEntryState.SETUP_RETRY
    before = devices(hass)
    assert await delete(hass, hass_ws_client, key)
    await restart(hass, site)
    gone = {"bridge:edge", "bridged:edge/VM-A"} if key == "bridge:edge" else {key}
    assert {device.key for device in site.runtime_data.devices()[1:]} == before - gone


async def test_a_device_cannot_be_deleted_while_its_site_neither_runs_nor_rests(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, site: MockConfigEntry
) -> None:
    await fill(hass)
    site.mock_state(hass, ConfigEntryState.FAILED_UNLOAD)
    assert not await delete(hass, hass_ws_client, "basket:basket/1")
    site.mock_state(hass, ConfigEntryState.LOADED)


async def test_a_device_that_nobody_remembers_can_be_deleted(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, site: MockConfigEntry
) -> None:
    # As after a power cut: the registry was written, our storage was not.
    identifiers = {(DOMAIN, "basket:basket/8")}
    dr.async_get(hass).async_get_or_create(config_entry_id=site.entry_id, identifiers=identifiers)
    assert await delete(hass, hass_ws_client, "basket:basket/8")


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("loaded", [True, False])
async def test_the_site_itself_cannot_be_deleted(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, loaded: bool
) -> None:
    if not loaded:
        assert await hass.config_entries.async_unload(ENTRY_ID)
    assert not await delete(hass, hass_ws_client, f"site:{ENTRY_ID}")


@pytest.mark.usefixtures("site")
async def test_a_deleted_bridge_takes_its_devices_along(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, site: MockConfigEntry
) -> None:
    await fill(hass)
    assert await delete(hass, hass_ws_client, "bridge:edge")
    assert hass.states.get("sensor.vm_a_gps_latitude") is None
    assert site.runtime_data.bridges.stored() == []


@pytest.mark.usefixtures("site")
async def test_a_new_catalog_changes_adds_and_removes(hass: HomeAssistant, say: Say, show: Show) -> None:
    await fill(hass)
    say(
        "iot_data_bridge/edge/catalog",
        '{"devices":[{"id":"VM-A","name":"Truck","objects":['
        '{"object":"Engine.Temperature","value_type":"float","unit":"°F","device_class":"temperature"},'
        '{"object":"Mode","value_type":"bool"},{"object":"Odd","value_type":"text"}]},{"id":"VM-B"}]}',
    )
    await hass.async_block_till_done()
    assert hass.states.get("sensor.vm_a_gps_latitude") is None
    assert hass.states.get("binary_sensor.vm_a_moving") is None
    assert hass.states.get("sensor.vm_a_mode") is None
    assert show("sensor.vm_a_odd").attributes.get("unit_of_measurement") is None
    devices = {device.name for device in dr.async_entries_for_config_entry(dr.async_get(hass), ENTRY_ID)}
    assert {"Truck", "VM-B"} <= devices
    assert "VM A" not in devices
    unique_ids = {entity.unique_id for entity in er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)}
    assert "bridged:edge/VM-A/Mode" in unique_ids
    say("iot_data_bridge/edge/catalog", '{"devices":[]}')
    await hass.async_block_till_done()
    assert not [name for name in unique_ids if name.startswith("bridged") and hass.states.get(name)]
    assert dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "bridged:edge/VM-A"), ENTRY_ID) is None


async def test_a_large_integer_keeps_its_digits_and_a_value_of_another_type_is_counted(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    await fill(hass)
    say("iot_data_bridge/edge/state/VM-A", '{"values":{"Odd":9007199254740993,"Mode":""}}')
    assert show("sensor.vm_a_odd").state == "9007199254740993"
    assert not site.runtime_data.refusals.counts
    say("iot_data_bridge/edge/state/VM-A", '{"values":{"Odd":"many","GPS.Latitude":38}}')
    assert (show("sensor.vm_a_odd").state, show("sensor.vm_a_gps_latitude").state) == ("unknown", "38.0")
    assert site.runtime_data.refusals.counts == {("bridge_state", "value_unreadable"): 1}


@pytest.mark.usefixtures("site")
async def test_what_is_behind_a_stopped_bridge_cannot_be_known(hass: HomeAssistant, say: Say, show: Show) -> None:
    await fill(hass)
    say("iot_data_bridge/edge/availability", "offline")
    assert show("sensor.vm_a_gps_latitude").state == "unavailable"
    assert show("binary_sensor.edge_connectivity").state == "off"
    say("iot_data_bridge/edge/availability", "online")
    assert show("sensor.vm_a_gps_latitude").state == "37.5"


async def test_messages_of_a_bridge_that_cannot_be_read_are_counted(
    hass: HomeAssistant, site: MockConfigEntry, say: Say
) -> None:
    say("iot_data_bridge/edge/hello", '{"bridge_id":"edge"}')
    for name in ("availability", "hello", "catalog", "state/VM-A"):
        say(f"iot_data_bridge/edge/{name}", "")
        say(f"iot_data_bridge/edge/{name}", "?")
    say("octoprint/status/1", "?")
    say("iot_data_bridge/edge/catalog", '{"devices":[{"id":"VM-A"}]}')
    say("iot_data_bridge/edge/state/VM-A", "?")
    await hass.async_block_till_done()
    assert {(channel.value, reason) for channel, reason in site.runtime_data.refusals.counts} == {
        ("bridge_availability", "not_an_availability"),
        ("bridge_hello", "not_json"),
        ("bridge_catalog", "not_json"),
        ("bridge_state", "not_in_catalog"),
        ("bridge_state", "not_json"),
        ("factor_status", "not_json"),
    }


@pytest.mark.usefixtures("site")
async def test_a_lost_connection_makes_everything_unavailable_until_it_is_back(
    hass: HomeAssistant, site: MockConfigEntry, show: Show
) -> None:
    await fill(hass)
    entities = [state.entity_id for state in hass.states.async_all() if not state.entity_id.startswith("zone")]
    site.runtime_data._on_connection(False)
    site.runtime_data._on_connection(False)
    assert {show(entity_id).state for entity_id in entities} == {"unavailable"}
    site.runtime_data._on_connection(True)
    assert show("sensor.basket_1_items").state == "3"
    assert show("sensor.vm_a_gps_latitude").state == "37.5"


@pytest.mark.usefixtures("site")
async def test_nothing_measured_of_a_silent_printer_is_shown_and_its_job_is(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    await fill(hass)
    freezer.tick(31)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    shown = {
        state.entity_id.removeprefix("sensor.printer_11111111_").removeprefix("binary_sensor.printer_11111111_"): (
            state.state
        )
        for state in hass.states.async_all()
        if "printer_11111111" in state.entity_id
    }
    assert shown == {
        "host_connectivity": "off",
        "printer_connectivity": "unknown",
        "state": "unknown",
        "progress": "12.3",
        "file": "boat.gcode",
        "last_job": "boat.gcode",
        "nozzle_temperature": "unknown",
        "nozzle_target": "unknown",
        "bed_temperature": "unknown",
        "bed_target": "unknown",
    }


@pytest.mark.usefixtures("site")
async def test_a_retained_status_of_a_printer_is_no_sign_of_life(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("octoprint/status/11111111-2222", STATUS, retain=True)
    await hass.async_block_till_done()
    assert show("binary_sensor.printer_11111111_host_connectivity").state == "off"
    assert show("sensor.printer_11111111_nozzle_temperature").state == "unknown"


@pytest.mark.freeze_time("2026-11-20 03:00:30+00:00")
async def test_the_diagnostics_tell_what_was_said(
    hass: HomeAssistant,
    site: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    say: Say,
    snapshot: SnapshotAssertion,
) -> None:
    await fill(hass)
    say("basket/1/update", "?")
    assert await get_diagnostics_for_config_entry(hass, hass_client, site) == snapshot


@pytest.mark.parametrize("key", ["basket:basket/1", "printer:11111111-2222", "bridged:edge/VM-A", "bridge:edge"])
async def test_the_diagnostics_of_a_device_are_of_that_device_alone(
    hass: HomeAssistant, site: MockConfigEntry, hass_client: ClientSessionGenerator, key: str
) -> None:
    await fill(hass)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, key), ENTRY_ID)
    assert device is not None
    told: Any = await get_diagnostics_for_device(hass, hass_client, site, device)
    assert told["device"]["key"] == key
    names = {"basket:basket/1": "basket/1", "printer:11111111-2222": "11111111-2222", "bridged:edge/VM-A": "VM-A"}
    text = json.dumps(told["device"])
    assert [other for other, name in names.items() if other != key and f'"{name}"' in text] == []
    assert told.keys().isdisjoint({"baskets", "printers", "bridges"})


async def test_diagnostics_hide_what_is_private(
    hass: HomeAssistant, site: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    await fill(hass)
    told: Any = await get_diagnostics_for_config_entry(hass, hass_client, site)
    assert told["printers"][0]["file_name"] == "**REDACTED**"
    [device] = told["bridges"][0]["devices"]
    assert device["values"]["GPS.Latitude"] == "**REDACTED**"


async def test_a_site_that_is_not_loaded_has_diagnostics_too(
    hass: HomeAssistant, site: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    assert await hass.config_entries.async_unload(site.entry_id)
    told = await get_diagnostics_for_config_entry(hass, hass_client, site)
    assert told == {"data": dict(site.data), "options": {}, "state": "not_loaded"}


async def test_the_system_information_counts(hass: HomeAssistant, site: MockConfigEntry, say: Say) -> None:
    assert site.runtime_data is not None
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()
    say("basket/1/update", "?")
    say("basket/1/status", "start")
    info = await get_system_health_info(hass, DOMAIN)
    assert info == {"sites": 1, "broker_connected": True, "baskets": 1, "products": 0, "refused_messages": 1}


@pytest.mark.usefixtures("prices")
async def test_what_was_stored_comes_back_in_another_home_assistant(
    hass: HomeAssistant,
    site: MockConfigEntry,
    entry: MockConfigEntry,
    say: Say,
    show: Show,
    hass_storage: dict[str, Any],
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    await flush_store(site.runtime_data.storage._store)
    stored = copy.deepcopy({key: value for key, value in hass_storage.items() if key.startswith(DOMAIN)})
    # As after a power cut: what came after the last write is gone, what was written is all there is.
    say("basket/1/status", "end")
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.config_entries.async_unload(entry.entry_id)
    hass_storage.update(stored)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_session").state == "active"
    assert show("sensor.basket_1_total_price").state == "21600"


ODD = ("x" * 300, "가나다", "a b", "'\"{}", "\u202e", "%s", "..", "{name}")
ODD_OBJECTS = (
    {"object": "{o}", "value_type": "float"},
    {"object": "o" * 300},
    {"object": "x", "value_type": "float", "device_class": "enum", "unit": "x", "state_class": "total"},
    {"object": "t", "value_type": "float", "device_class": "timestamp"},
    {"object": "m", "value_type": "float", "device_class": "monetary", "unit": "KRW", "state_class": "measurement"},
    {"object": "e", "value_type": "int", "device_class": "energy", "unit": "kWh", "state_class": "measurement"},
)


@pytest.mark.usefixtures("site")
async def test_odd_names_and_descriptions_are_no_fault(
    hass: HomeAssistant, say: Say, show: Show, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ODD:
        say(f"basket/{name}/update", '{"list":{"MLON":1,"{x}":2}}')
    say(f"octoprint/status/{'z' * 400}", '{"state":{"text":"Printing"}}')
    device = {"id": "d", "name": "n" * 500, "objects": ODD_OBJECTS}
    say("iot_data_bridge/b/catalog", json.dumps({"devices": [device]}))
    await hass.async_block_till_done()
    values = {"{o}": 1e300, "x": 1, "t": 5, "m": 5, "e": 3, "o" * 300: "v" * 400}
    say("iot_data_bridge/b/state/d", json.dumps({"values": values}))
    await hass.async_block_till_done()
    assert show("sensor.basket_ganada_items").state == "3"
    assert "ERROR" not in caplog.text
    assert "Traceback" not in caplog.text
