"""A site as version 0.1.0 stored it, recorded from that version, goes on with its devices, entities and states."""

import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_data_bridge.const import DOMAIN, VERSION

from .conftest import ENTRY_ID, Show

STORED = json.loads((Path(__file__).parent / "site_0_1_0.json").read_text("utf-8"))


@pytest.fixture
async def old_site(
    hass: HomeAssistant,
    mqtt_mock: object,  # noqa: ARG001 -- for its effect
    hass_storage: dict[str, Any],
) -> MockConfigEntry:
    """Put entry, registries and storage of the old version in place; nothing is set up yet."""
    assert await async_setup_component(hass, "homeassistant", {})
    entry = MockConfigEntry(domain=DOMAIN, **STORED["entry"])
    entry.add_to_hass(hass)
    hass_storage.update(STORED["storage"])
    devices, entities = dr.async_get(hass), er.async_get(hass)
    ids: dict[str, str] = {}
    for device in STORED["devices"]:
        ids[device["id"]] = devices.async_get_or_create(
            config_entry_id=ENTRY_ID,
            identifiers={(domain, key) for domain, key in device["identifiers"]},
            name=device["name"],
            model=device["model"],
            via_device_id=ids.get(device["via_device_id"]),
        ).id
    for entity in STORED["entities"]:
        platform, _, object_id = entity["entity_id"].partition(".")
        entities.async_get_or_create(
            platform,
            DOMAIN,
            entity["unique_id"],
            suggested_object_id=object_id,
            config_entry=entry,
            device_id=ids[entity["device"]],
        )
    return entry


async def test_each_entity_keeps_its_entity_id_and_no_second_one_comes(
    hass: HomeAssistant, old_site: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(ENTRY_ID)
    await hass.async_block_till_done()
    assert old_site.version == VERSION
    entities = er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)
    stored = {entity["entity_id"] for entity in STORED["entities"]}
    assert {entity.entity_id for entity in entities} >= stored
    assert [entity.entity_id for entity in entities if entity.entity_id[-2:] == "_2"] == []


async def test_keys_of_bridged_devices_tell_bridge_device_and_object_apart(
    hass: HomeAssistant, old_site: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(ENTRY_ID)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), ENTRY_ID)
    keys = {key for device in devices for _, key in device.identifiers if key.startswith("bridged:")}
    assert keys == {"bridged:edge/VM-A", "bridged:edge/line:2", "bridged:a:b/c"}
    entities = er.async_entries_for_config_entry(er.async_get(hass), ENTRY_ID)
    assert {entity.unique_id for entity in entities if entity.unique_id.startswith("bridged:")} == {
        "bridged:edge/VM-A/GPS.Latitude",
        "bridged:edge/line:2/x:y",
        "bridged:edge/line:2/Alarm",
        "bridged:a:b/c/Speed",
    }
    assert old_site.state is ConfigEntryState.LOADED


@pytest.mark.usefixtures("old_site")
async def test_the_last_states_are_those_of_the_old_version(hass: HomeAssistant, show: Show) -> None:
    assert await hass.config_entries.async_setup(ENTRY_ID)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_session").state == "active"
    assert show("sensor.basket_1_total_price").state == "39600"
    assert show("number.basket_1_budget").state == "20000.0"
    assert show("sensor.basket_store02_unit015_items").state == "1"


async def test_a_site_of_a_newer_version_is_not_touched(hass: HomeAssistant, old_site: MockConfigEntry) -> None:
    hass.config_entries.async_update_entry(old_site, version=VERSION + 1)
    assert not await hass.config_entries.async_setup(ENTRY_ID)
    assert old_site.state is ConfigEntryState.MIGRATION_ERROR
