"""Strangers on the broker cannot make a site grow: names, caps, hello first, the acceptance of new devices."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_data_bridge import baskets, entity_budget
from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.devices.admission import MOST_DEVICES, DeviceKind

from .conftest import ENTRY_ID, Say, Show

UPDATE = '{"id":1,"list":{"MLON":1}}'


def hello(say: Say, bridge_id: str, said: str | None = None) -> None:
    say(f"iot_data_bridge/{bridge_id}/hello", json.dumps({"bridge_id": said or bridge_id}), retain=True)


def catalog(say: Say, bridge_id: str, *devices: str, objects: int = 1) -> None:
    listed = [{"object": f"O{number}", "value_type": "float"} for number in range(objects)]
    described = [{"id": device, "name": device, "objects": listed} for device in devices]
    say(f"iot_data_bridge/{bridge_id}/catalog", json.dumps({"devices": described}))


def keys(hass: HomeAssistant) -> set[str]:
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), ENTRY_ID)
    return {key for device in devices for _, key in device.identifiers if not key.startswith("site:")}


def reasons(site: MockConfigEntry) -> dict[str, int]:
    return {f"{channel}: {reason}": count for (channel, reason), count in site.runtime_data.refusals.counts.items()}


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["x" * 129, "a\u202eb", "a\x01b"])
async def test_a_name_that_no_person_chose_makes_no_device(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, name: str
) -> None:
    say(f"basket/{name}/update", UPDATE)
    say(f"octoprint/status/{name}", '{"state":{}}')
    say(f"iot_data_bridge/{name}/hello", json.dumps({"bridge_id": name}))
    hello(say, "edge")
    catalog(say, "edge", name, "VM-A")
    await hass.async_block_till_done()
    assert keys(hass) == {"bridge:edge", "bridged:edge/VM-A"}
    assert sum(reasons(site).values()) == 4


async def test_a_name_of_128_characters_makes_one(hass: HomeAssistant, site: MockConfigEntry, say: Say) -> None:
    say(f"basket/{'x' * 128}/update", UPDATE)
    await hass.async_block_till_done()
    assert keys(hass) == {f"basket:basket/{'x' * 128}"}
    assert reasons(site) == {}


# ---------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("kind", "topic", "payload", "reason"),
    [
        (DeviceKind.BASKET, "basket/{}/update", UPDATE, "basket_update: too_many_baskets"),
        (DeviceKind.PRINTER, "octoprint/status/{}", '{{"state":{{}}}}', "factor_status: too_many_printers"),
        (DeviceKind.BRIDGE, "iot_data_bridge/{}/hello", '{{"bridge_id":"{}"}}', "bridge_hello: too_many_bridges"),
    ],
)
async def test_of_each_kind_there_are_only_so_many(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, kind: DeviceKind, topic: str, payload: str, reason: str
) -> None:
    with patch.dict(MOST_DEVICES, {kind: 2}):
        for number in range(4):
            say(topic.format(number), payload.format(number) if "{{" in payload else payload)
        await hass.async_block_till_done()
    assert len(keys(hass)) == 2
    assert reasons(site) == {reason: 2}


async def test_of_bridged_devices_there_are_only_so_many_at_a_site(
    hass: HomeAssistant, site: MockConfigEntry, say: Say
) -> None:
    with patch.dict(MOST_DEVICES, {DeviceKind.BRIDGED_DEVICE: 3}):
        for bridge_id in ("one", "other"):
            hello(say, bridge_id)
            catalog(say, bridge_id, "A", "B")
        await hass.async_block_till_done()
    assert len([key for key in keys(hass) if key.startswith("bridged:")]) == 3
    assert reasons(site) == {"bridge_catalog: too_many_bridged_devices": 1}


# ---------------------------------------------------------------- hello first


async def test_only_a_hello_makes_a_bridge(hass: HomeAssistant, site: MockConfigEntry, say: Say) -> None:
    say("iot_data_bridge/edge/availability", "online")
    catalog(say, "edge", "VM-A")
    say("iot_data_bridge/edge/state/VM-A", '{"values":{"O0":1}}')
    await hass.async_block_till_done()
    assert keys(hass) == set()
    assert reasons(site) == {}


async def test_messages_that_came_before_the_hello_are_not_lost(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    say("iot_data_bridge/edge/availability", "online", retain=True)
    catalog(say, "edge", "VM-A")
    say("iot_data_bridge/edge/state/VM-A", '{"values":{"O0":1}}')
    hello(say, "edge")
    await hass.async_block_till_done()
    assert show("binary_sensor.edge_connectivity").state == "on"
    assert show("sensor.vm_a_o0").state == "1.0"
    assert reasons(site) == {}


async def test_without_a_hello_they_are_counted_after_a_minute(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    catalog(say, "edge", "VM-A")
    freezer.tick(timedelta(seconds=61))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    hello(say, "edge")
    await hass.async_block_till_done()
    assert keys(hass) == {"bridge:edge"}
    assert reasons(site) == {"bridge_catalog: no_hello": 1}


async def test_a_hello_of_another_id_makes_no_bridge(hass: HomeAssistant, site: MockConfigEntry, say: Say) -> None:
    hello(say, "edge", "other")
    await hass.async_block_till_done()
    assert keys(hass) == set()
    assert reasons(site) == {"bridge_hello: bridge_id_differs": 1}


# ---------------------------------------------------------------- the acceptance of new devices


@pytest.mark.parametrize("options", [{"accept_devices": "never"}])
async def test_a_site_that_accepts_no_devices_keeps_those_it_has(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show
) -> None:
    hass.config_entries.async_update_entry(site, options={})
    assert await hass.config_entries.async_reload(ENTRY_ID)
    say("basket/1/update", UPDATE)
    await hass.async_block_till_done()
    hass.config_entries.async_update_entry(site, options={"accept_devices": "never"})
    assert await hass.config_entries.async_reload(ENTRY_ID)
    say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
    say("basket/2/update", UPDATE)
    await hass.async_block_till_done()
    assert keys(hass) == {"basket:basket/1"}
    assert show("sensor.basket_1_items").state == "2"
    assert reasons(site) == {"basket_update: new_devices_not_accepted": 1}


async def test_ten_minutes_of_acceptance_end(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    form = await hass.config_entries.options.async_init(ENTRY_ID)
    form = await hass.config_entries.options.async_configure(form["flow_id"], {"next_step_id": "settings"})
    values: dict[str, Any] = {"currency": "KRW", "running_total": False, "silence_minutes": 15, "command_expiry": 60}
    await hass.config_entries.options.async_configure(form["flow_id"], {**values, "accept_devices": "ten_minutes"})
    await hass.async_block_till_done()
    freezer.tick(timedelta(minutes=9))
    say("basket/1/update", UPDATE)
    await hass.async_block_till_done()
    freezer.tick(timedelta(minutes=2))
    say("basket/2/update", UPDATE)
    await hass.async_block_till_done()
    assert keys(hass) == {"basket:basket/1"}
    assert reasons(site) == {"basket_update: new_devices_not_accepted": 1}


# ---------------------------------------------------------------- the budget of entities


def budget_repair(hass: HomeAssistant) -> ir.IssueEntry | None:
    return ir.async_get(hass).async_get_issue(DOMAIN, f"too_many_entities_{ENTRY_ID}")


@pytest.mark.usefixtures("site")
async def test_entities_beyond_the_budget_are_disabled_and_it_is_said(hass: HomeAssistant, say: Say) -> None:
    hello(say, "edge")
    await hass.async_block_till_done()
    enabled = len(er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID))
    assert budget_repair(hass) is None
    with patch.object(entity_budget, "MOST_ENABLED", enabled + 3):
        catalog(say, "edge", "VM-A", objects=5)
        await hass.async_block_till_done()
    disabled = {entity.disabled_by for entity in er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)}
    entities = er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)
    assert disabled == {None, er.RegistryEntryDisabler.INTEGRATION}
    assert sum(entity.disabled_by is None for entity in entities) == enabled + 3
    assert len(entities) == enabled + 5
    assert budget_repair(hass) is not None


@pytest.mark.usefixtures("site")
async def test_the_registry_does_not_grow_without_a_bound(hass: HomeAssistant, say: Say) -> None:
    hello(say, "edge")
    await hass.async_block_till_done()
    registered = len(er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID))
    with patch.object(entity_budget, "MOST_REGISTERED", registered + 2):
        catalog(say, "edge", "VM-A", objects=5)
        await hass.async_block_till_done()
    assert len(er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)) == registered + 2
    assert budget_repair(hass) is not None


@pytest.mark.usefixtures("site")
async def test_room_that_deleted_devices_leave_is_used_again(hass: HomeAssistant, say: Say) -> None:
    hello(say, "edge")
    await hass.async_block_till_done()
    enabled = len(er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID))
    with (
        patch.object(entity_budget, "MOST_ENABLED", enabled + 3),
        patch.object(entity_budget, "RECOUNT_SECONDS", 0.0),
    ):
        catalog(say, "edge", "A", objects=3)
        await hass.async_block_till_done()
        catalog(say, "edge", "B", objects=2)
        await hass.async_block_till_done()
    entities = er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)
    assert {entity.disabled_by for entity in entities} == {None}
    assert budget_repair(hass) is None


@pytest.mark.usefixtures("site")
async def test_a_thousand_baskets_fit_into_the_budget(
    hass: HomeAssistant, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    most_listed, most_full = baskets.MOST_LISTED_BASKETS, baskets.MOST_FULL_BASKETS
    monkeypatch.setattr(baskets, "MOST_LISTED_BASKETS", 1)
    monkeypatch.setattr(baskets, "MOST_FULL_BASKETS", 2)

    def enabled() -> int:
        entities = er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)
        return sum(entity.disabled_by is None for entity in entities)

    counts = [enabled()]
    for number in range(3):
        say(f"basket/{number}/update", UPDATE)
        await hass.async_block_till_done()
        counts.append(enabled())
    site, (listed, full, lean) = counts[0], (after - before for before, after in pairwise(counts))
    assert listed > full > lean
    all_of_them = most_listed * listed + (most_full - most_listed) * full + (1_000 - most_full) * lean
    assert site + all_of_them <= entity_budget.MOST_ENABLED


# ---------------------------------------------------------------- a defect


async def test_a_defect_in_a_handler_costs_one_message_and_is_said_once(
    hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show, caplog: pytest.LogCaptureFixture
) -> None:
    say("basket/1/update", UPDATE)
    with patch("custom_components.iot_data_bridge.devices.basket.Basket.apply_update", side_effect=RuntimeError("x")):
        for _ in range(3):
            say("basket/1/update", '{"id":1,"list":{}}')
        await hass.async_block_till_done()
    say("basket/1/update", '{"id":1,"list":{"MLON":4}}')
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == "4"
    assert reasons(site) == {"basket_update: defect_RuntimeError": 3}
    assert caplog.text.count("Traceback") == 1
