"""What a basket shows in Home Assistant."""

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

pytestmark = pytest.mark.usefixtures("site")


async def test_a_basket_appears_with_its_first_message(hass: HomeAssistant) -> None:
    async_fire_mqtt_message(hass, "basket/1/update", '{"id":1,"list":{"MLON":2,"WTMN":1}}')
    await hass.async_block_till_done()
    assert (state := hass.states.get("sensor.basket_1_items")) is not None
    assert state.state == "3"


async def test_a_printer_appears_with_its_first_message(hass: HomeAssistant) -> None:
    status = '{"state":{"text":"Printing","flags":{"printing":true}},"temperatures":{"tool0":{"actual":21.33}}}'
    async_fire_mqtt_message(hass, "octoprint/status/1111-22", status)
    await hass.async_block_till_done()
    assert (state := hass.states.get("sensor.printer_1111_state")) is not None
    assert state.state == "printing"
