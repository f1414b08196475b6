"""The blueprints, loaded as automations and triggered by what baskets say."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.const import DOMAIN as AUTOMATION
from homeassistant.core import Event, HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import async_capture_events, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from .conftest import Say, Show

pytestmark = pytest.mark.usefixtures("site", "prices")
FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "iot_data_bridge"


@pytest.fixture
def installed(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Put the blueprints where Home Assistant looks for them."""
    hass.config.config_dir = str(tmp_path)
    target = tmp_path / "blueprints" / "automation" / "iot_data_bridge"
    shutil.copytree(FOLDER, target)
    return target


async def automate(hass: HomeAssistant, name: str, **inputs: Any) -> None:  # noqa: ANN401 -- what a user may choose
    blueprint = {"path": f"iot_data_bridge/{name}.yaml", "input": inputs}
    assert await async_setup_component(hass, AUTOMATION, {AUTOMATION: {"use_blueprint": blueprint}})
    await hass.async_block_till_done()
    assert len(hass.states.async_entity_ids(AUTOMATION)) == 1
    assert hass.states.get(hass.states.async_entity_ids(AUTOMATION)[0]).state == "on"  # type: ignore[union-attr] # just listed


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **by: float) -> None:
    freezer.tick(timedelta(**by))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


def test_there_are_three() -> None:
    assert len(list(FOLDER.glob("*.yaml"))) == 3


@pytest.mark.usefixtures("installed")
async def test_the_total_is_shown_at_each_change(hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient) -> None:
    seen: list[Event[Any]] = async_capture_events(hass, "state_changed")
    say("basket/1/status", "end")
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    await automate(hass, "show_total_at_each_change", total_prices=["sensor.basket_1_total_price"])
    for contents in ('{"MLON":7}', None, '{"MLON":1}', '{"MLON":1}', '{"MLON":2}', '{"XXXX":2}'):
        if contents is None:
            say("basket/1/status", "start")  # before, the display is off
            continue
        say("basket/1/update", f'{{"id":1,"list":{contents}}}')
        await hass.async_block_till_done()
    assert [call.args[:2] for call in mqtt_mock.async_publish.call_args_list] == [
        ("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":10800}}'),
        ("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":21600}}'),
    ]
    # A total on its way is no trouble.
    reasons = {
        event.data["new_state"].attributes["reason"]
        for event in seen
        if event.data["entity_id"] == "binary_sensor.basket_1_problem"
    }
    assert reasons == {None, "items_without_session", "unknown_product"}


@pytest.mark.usefixtures("installed")
async def test_items_without_a_session_are_alerted(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory
) -> None:
    for number in (1, 2):
        say(f"basket/{number}/status", "end")
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{}}}}')
    await hass.async_block_till_done()
    alerts: list[str] = []
    hass.bus.async_listen("alerted", lambda event: alerts.append(event.data["basket"]))
    await automate(
        hass,
        "alert_items_without_session",
        problems=["binary_sensor.basket_1_problem", "binary_sensor.basket_2_problem"],
        patience={"seconds": 30},
        alert=[{"event": "alerted", "event_data": {"basket": "{{ basket }}"}}],
    )
    for number in (1, 2):
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":1}}}}')
    await hass.async_block_till_done()
    await pass_time(hass, freezer, seconds=20)
    say("basket/2/status", "start")  # just in time
    await hass.async_block_till_done()
    await pass_time(hass, freezer, seconds=11)
    assert alerts == ["Basket 1"]
    say("basket/2/status", "end")  # a checkout
    await hass.async_block_till_done()
    await pass_time(hass, freezer, seconds=31)
    assert alerts == ["Basket 1"]


@pytest.mark.usefixtures("installed")
async def test_a_forgotten_session_is_ended(
    hass: HomeAssistant, say: Say, show: Show, freezer: FrozenDateTimeFactory, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/status", "start")
    await hass.async_block_till_done()
    await automate(
        hass,
        "end_forgotten_sessions",
        problems=["binary_sensor.basket_1_problem"],
        patience={"minutes": 15},
    )
    await pass_time(hass, freezer, minutes=16)
    assert show("binary_sensor.basket_1_problem").attributes["reason"] == "silent"
    mqtt_mock.async_publish.assert_not_called()
    await pass_time(hass, freezer, minutes=16)
    assert [call.args[1] for call in mqtt_mock.async_publish.call_args_list] == ['{"msg":"end"}']
    assert show("sensor.basket_1_session").state == "idle"
    await hass.services.async_call(
        AUTOMATION, "turn_off", {"entity_id": hass.states.async_entity_ids(AUTOMATION)}, blocking=True
    )
