"""The blueprints, loaded as automations and triggered by what baskets say."""

import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.const import DOMAIN as AUTOMATION
from homeassistant.core import Event, HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from .conftest import Say, Show

pytestmark = pytest.mark.usefixtures("site", "prices")
FOLDER = Path(__file__).parents[2] / "blueprints" / "automation" / "iot_data_bridge"


def _automations(document: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = document.get("automation", [document])
    return listed


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


async def lose_the_broker_for_a_while(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, site: MockConfigEntry
) -> None:
    """Make every entity unavailable, and available again."""
    site.runtime_data._on_connection(False)
    await pass_time(hass, freezer, seconds=6)
    site.runtime_data._on_connection(True)
    await pass_time(hass, freezer, seconds=1)


@pytest.mark.usefixtures("installed")
async def test_nobody_is_alerted_again_when_the_broker_is_back(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory, site: MockConfigEntry, show: Show
) -> None:
    for number in range(1, 31):
        say(f"basket/{number}/status", "end")
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":1}}}}')
    await hass.async_block_till_done()
    freezer.tick(11)
    alerts: list[str] = []
    hass.bus.async_listen("alerted", lambda event: alerts.append(event.data["basket"]))
    await automate(
        hass,
        "alert_items_without_session",
        problems=[f"binary_sensor.basket_{number}_problem" for number in range(1, 31)],
        patience={"seconds": 30},
        alert=[{"event": "alerted", "event_data": {"basket": "{{ basket }}"}}],
    )
    await lose_the_broker_for_a_while(hass, freezer, site)
    assert show("binary_sensor.basket_1_problem").attributes["reason"] == "items_without_session"
    await pass_time(hass, freezer, seconds=31)
    assert alerts == []


@pytest.mark.usefixtures("installed")
async def test_no_total_is_shown_again_when_the_broker_is_back(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory, site: MockConfigEntry, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await hass.async_block_till_done()
    await automate(hass, "show_total_at_each_change", total_prices=["sensor.basket_1_total_price"])
    await lose_the_broker_for_a_while(hass, freezer, site)
    mqtt_mock.async_publish.assert_not_called()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("before", "ended"), [("unavailable", 0), ("off", 1)])
async def test_no_session_is_ended_for_a_silence_that_was_known_before_the_broker_was_away(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, say: Say, before: str, ended: int, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/status", "start")
    await hass.async_block_till_done()
    problem = "binary_sensor.basket_1_problem"
    await automate(hass, "end_forgotten_sessions", problems=[problem], patience={"seconds": 1})
    hass.states.async_set(problem, before)
    await hass.async_block_till_done()
    hass.states.async_set(problem, "on", {"reason": "silent", "reasons": ["silent"]})
    await pass_time(hass, freezer, seconds=2)
    assert mqtt_mock.async_publish.call_count == ended
    await switch_off(hass)


EXAMPLES = [
    automation
    for page in ("README.md", "docs/integration/index.md")
    for block in re.findall(r"```yaml\n(.*?)```", (FOLDER.parents[2] / page).read_text(), re.DOTALL)
    if "triggers:" in block
    for automation in _automations(yaml.safe_load(block))
]


def test_the_documentation_has_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example["triggers"][0]["entity_id"]))
async def test_no_example_of_the_documentation_acts_when_the_broker_is_back(
    hass: HomeAssistant,
    say: Say,
    freezer: FrozenDateTimeFactory,
    site: MockConfigEntry,
    example: dict[str, Any],
) -> None:
    for root in ("basket/1", "basket/unit0001"):
        say(f"{root}/status", "start")
        say(f"{root}/update", '{"list":{"MLON":1,"XXXX":1}}')
    await hass.async_block_till_done()
    assert await async_setup_component(hass, AUTOMATION, {AUTOMATION: [example]})
    await hass.async_block_till_done()
    [entity_id] = hass.states.async_entity_ids(AUTOMATION)
    triggered = async_capture_events(hass, "automation_triggered")
    await lose_the_broker_for_a_while(hass, freezer, site)
    assert triggered == []
    state = hass.states.get(entity_id)
    assert state is not None
    assert state.state == "on"


async def switch_off(hass: HomeAssistant) -> None:
    """Let no automation wait any longer."""
    await hass.services.async_call(
        AUTOMATION, "turn_off", {"entity_id": hass.states.async_entity_ids(AUTOMATION)}, blocking=True
    )


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
    await switch_off(hass)
