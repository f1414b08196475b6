"""Every entity of every platform, as a snapshot."""

from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_mqtt_message,
    async_fire_time_changed,
    snapshot_platform,
)
from syrupy.assertion import SnapshotAssertion

from custom_components.iot_data_bridge import PLATFORMS

STATUS = (
    '{"state":{"text":"Printing","flags":{"printing":true}},"progress":{"completion":12.34},'
    '"job":{"file":{"name":"boat.gcode"}},'
    '"temperatures":{"tool0":{"actual":214.92,"target":215},"bed":{"actual":59.9,"target":60}}}'
)
CATALOG = (
    '{"version":"1","devices":[{"id":"VM-A","name":"VM A","objects":['
    '{"object":"GPS.Latitude","value_type":"float","unit":"°"},'
    '{"object":"Engine.Temperature","value_type":"float","unit":"°C","device_class":"temperature",'
    '"state_class":"measurement"},'
    '{"object":"Mode","value_type":"text","unit":"no","device_class":"temperature"},'
    '{"object":"Odd","value_type":"int","unit":"apples","device_class":"temperature","state_class":"total"},'
    '{"object":"Moving","value_type":"bool","device_class":"moving"}]}]}'
)
VALUES = '{"values":{"GPS.Latitude":37.5,"Engine.Temperature":88.1,"Mode":"sport","Odd":3,"Moving":true,"Secret":1}}'


async def fill(hass: HomeAssistant) -> None:
    for topic, payload in (
        ("basket/1/availability", "online"),
        ("basket/1/status", "start"),
        (
            "basket/1/update",
            '{"id":1,"list":{"MLON":2,"XXXX":1},"weight":1500,"battery":81,"rssi":-58,"location":"A3","error":"reader"}',
        ),
        ("octoprint/status/11111111-2222", STATUS),
        ("iot_data_bridge/edge/availability", "online"),
        ("iot_data_bridge/edge/hello", '{"bridge_id":"edge","name":"Edge","version":"1.2.3","schema":1}'),
        ("iot_data_bridge/edge/catalog", CATALOG),
        ("iot_data_bridge/edge/state/VM-A", VALUES),
    ):
        async_fire_mqtt_message(hass, topic, payload)
        await hass.async_block_till_done()


async def set_up(hass: HomeAssistant, entry: MockConfigEntry, platforms: tuple[Platform, ...]) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    entry.add_to_hass(hass)
    with patch("custom_components.iot_data_bridge.PLATFORMS", platforms):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()


@pytest.mark.usefixtures("mqtt_mock")
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_entities(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    platform: Platform,
    snapshot: SnapshotAssertion,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to("2026-11-20 03:00:30+00:00")
    await set_up(hass, entry, (platform,))
    await fill(hass)
    freezer.tick(2)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    await snapshot_platform(hass, er.async_get(hass), snapshot, entry.entry_id)
    with patch("custom_components.iot_data_bridge.PLATFORMS", (platform,)):
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("site")
async def test_devices(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await fill(hass)
    registry = dr.async_get(hass)
    devices = {device.name: device for device in dr.async_entries_for_config_entry(registry, entry.entry_id)}
    assert set(devices) == {"Shop", "Basket 1", "Printer 11111111", "Edge", "VM A"}
    site_id = devices["Shop"].id
    assert [devices[name].via_device_id for name in ("Basket 1", "Printer 11111111", "Edge")] == [site_id] * 3
    assert devices["VM A"].via_device_id == devices["Edge"].id
    assert devices["Edge"].sw_version == "1.2.3"
    assert devices["Printer 11111111"].serial_number == "11111111-2222"


@pytest.mark.usefixtures("site")
async def test_every_entity_has_a_name(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await fill(hass)
    for registered in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        assert registered.original_name, registered.unique_id
