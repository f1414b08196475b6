"""Setting a site up by hand, by a bridge's hello and by the app; changing it later."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import (
    SOURCE_HASSIO,
    SOURCE_IGNORE,
    SOURCE_MQTT,
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from homeassistant.helpers.service_info.mqtt import MqttServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message

from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import ENTRY_ID

DEFAULTS = {"basket_roots": ["basket/+", "basket/+/+"], "printers": True, "bridge_id": "+"}
HELLO = {"bridge_id": "edge", "name": "Edge", "version": "1.0", "schema": 1}


@pytest.fixture(autouse=True)
def _no_set_up(mqtt_mock: object) -> Any:  # noqa: ANN401, ARG001 -- a generator fixture; the client is wanted for its effect
    """Look at the flows alone: what a site does is told elsewhere."""
    with patch("custom_components.iot_data_bridge.async_setup_entry", return_value=True):
        yield


async def begin(hass: HomeAssistant, source: str, data: object = None) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, data=data)


async def go_on(hass: HomeAssistant, flow: ConfigFlowResult, **user_input: Any) -> ConfigFlowResult:  # noqa: ANN401 -- what a user may send
    return await hass.config_entries.flow.async_configure(flow["flow_id"], user_input)


def hello(topic: str = "iot_data_bridge/edge/hello", payload: object = None) -> MqttServiceInfo:
    text = json.dumps(HELLO) if payload is None else payload
    assert isinstance(text, str | bytes)
    return MqttServiceInfo(topic, text, 1, True, "iot_data_bridge/+/hello", 0.0)


def announcement(**config: object) -> HassioServiceInfo:
    return HassioServiceInfo(config=config, name="IoT Data Bridge app", slug="iot_data_bridge", uuid="1234")


async def test_the_defaults_set_a_site_up(hass: HomeAssistant) -> None:
    form = await begin(hass, SOURCE_USER)
    assert (form["type"], form["step_id"], form["errors"]) == (FlowResultType.FORM, "user", {})
    result = await go_on(hass, form)
    assert (result["type"], result["title"], result["data"]) == (
        FlowResultType.CREATE_ENTRY,
        "IoT Data Bridge",
        DEFAULTS,
    )


async def test_the_defaults_a_second_time_are_set_up_already(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entry.add_to_hass(hass)
    result = await go_on(hass, await begin(hass, SOURCE_USER))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_without_mqtt_there_is_no_site(hass: HomeAssistant) -> None:
    with patch("homeassistant.components.mqtt.async_wait_for_mqtt_client", return_value=False):
        result = await begin(hass, SOURCE_USER)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "mqtt_unavailable")


@pytest.mark.parametrize(
    ("given", "field", "error"),
    [
        ({"basket_roots": ["basket/#"]}, "basket_roots", "invalid_root"),
        ({"basket_roots": ["basket/1", "basket/+"]}, "basket_roots", "roots_overlap"),
        ({"basket_roots": ["+/status"]}, "basket_roots", "roots_overlap"),
        ({"bridge_id": "a/b"}, "bridge_id", "invalid_bridge_id"),
        ({"basket_roots": [" "], "printers": False, "bridge_id": ""}, "base", "nothing_to_read"),
        ({"basket_roots": ["annex/7"]}, "base", "topics_taken"),
    ],
)
async def test_topics_that_cannot_be_are_an_error_that_can_be_mended(
    hass: HomeAssistant, given: dict[str, Any], field: str, error: str
) -> None:
    data = {"basket_roots": ["annex/+"], "printers": False, "bridge_id": ""}
    MockConfigEntry(domain=DOMAIN, title="Annex", data=data).add_to_hass(hass)
    form = await go_on(hass, await begin(hass, SOURCE_USER), **given)
    assert (form["type"], form["errors"]) == (FlowResultType.FORM, {field: error})
    result = await go_on(hass, form, basket_roots=["shop/+ "], printers=True, bridge_id="edge")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"basket_roots": ["shop/+"], "printers": True, "bridge_id": "edge"}


@pytest.mark.parametrize(("source", "data"), [(SOURCE_MQTT, hello()), (SOURCE_HASSIO, announcement(bridge_id="edge"))])
async def test_a_found_bridge_is_set_up_after_a_question(hass: HomeAssistant, source: str, data: object) -> None:
    form = await begin(hass, source, data)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "discovery_confirm")
    result = await go_on(hass, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {**DEFAULTS, "bridge_id": "edge"}
    assert result["result"].unique_id == "edge"


async def test_a_second_bridge_brings_only_what_is_behind_it(hass: HomeAssistant) -> None:
    await go_on(hass, await begin(hass, SOURCE_MQTT, hello()))
    result = await go_on(hass, await begin(hass, SOURCE_HASSIO, announcement(bridge_id="other")))
    assert result["data"] == {"basket_roots": [], "printers": False, "bridge_id": "other"}


@pytest.mark.parametrize(("source", "data"), [(SOURCE_MQTT, hello()), (SOURCE_HASSIO, announcement(bridge_id="edge"))])
async def test_a_bridge_that_a_site_reads_is_not_found_again(
    hass: HomeAssistant, entry: MockConfigEntry, source: str, data: object
) -> None:
    entry.add_to_hass(hass)
    result = await begin(hass, source, data)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_a_bridge_that_was_found_and_set_up_is_not_found_again(hass: HomeAssistant) -> None:
    await go_on(hass, await begin(hass, SOURCE_MQTT, hello()))
    result = await begin(hass, SOURCE_HASSIO, announcement(bridge_id="edge"))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_hello_and_the_supervisor_ask_once(hass: HomeAssistant) -> None:
    await begin(hass, SOURCE_MQTT, hello())
    result = await begin(hass, SOURCE_HASSIO, announcement(bridge_id="edge"))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_in_progress")


@pytest.mark.parametrize(
    ("source", "data"),
    [
        (SOURCE_MQTT, hello(payload=b"\xff")),
        (SOURCE_MQTT, hello(payload="{}")),
        (SOURCE_MQTT, hello(topic="iot_data_bridge/hello")),
        (SOURCE_HASSIO, announcement()),
        (SOURCE_HASSIO, announcement(bridge_id="a/b")),
        (SOURCE_HASSIO, announcement(bridge_id=7)),
    ],
)
async def test_what_is_no_introduction_is_left_alone(hass: HomeAssistant, source: str, data: object) -> None:
    result = await begin(hass, source, data)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "invalid_discovery_info")


async def test_a_hello_on_the_wire_starts_a_flow(hass: HomeAssistant) -> None:
    async_fire_mqtt_message(hass, "iot_data_bridge/edge/hello", json.dumps(HELLO), retain=True)
    await hass.async_block_till_done()
    [flow] = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert (flow["step_id"], flow["context"]["unique_id"]) == ("discovery_confirm", "edge")


async def test_the_topics_of_a_site_can_be_changed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entry.add_to_hass(hass)
    form = await entry.start_reconfigure_flow(hass)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "reconfigure")
    form = await go_on(hass, form, basket_roots=["a/#"])
    assert form["errors"] == {"basket_roots": "invalid_root"}
    result = await go_on(hass, form, basket_roots=["basket/+"], printers=False, bridge_id="")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    # The reload that follows; at the end of the test the true set-up would come into its way.
    await hass.async_block_till_done()
    assert entry.data == {"basket_roots": ["basket/+"], "printers": False, "bridge_id": ""}
    assert entry.entry_id == ENTRY_ID


async def test_a_bridge_that_the_user_ignores_takes_no_topics(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await begin(hass, SOURCE_MQTT, hello())
    await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_IGNORE}, data={"unique_id": "edge", "title": "Edge"}
    )
    other = json.dumps({**HELLO, "bridge_id": "other"})
    form = await begin(hass, SOURCE_MQTT, hello("iot_data_bridge/other/hello", other))
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "discovery_confirm")
    result = await go_on(hass, form)
    assert (result["type"], result["data"]) == (FlowResultType.CREATE_ENTRY, {**DEFAULTS, "bridge_id": "other"})
    hass.config_entries.async_update_entry(result["result"], data={**DEFAULTS, "basket_roots": [], "printers": False})
    entry.add_to_hass(hass)
    form = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, form, basket_roots=["basket/+"], printers=True, bridge_id="")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await hass.async_block_till_done()


async def test_a_found_bridge_that_its_site_gave_up_is_found_again(hass: HomeAssistant) -> None:
    found = await go_on(hass, await begin(hass, SOURCE_MQTT, hello()))
    form = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": found["result"].entry_id}
    )
    await go_on(hass, form, basket_roots=["basket/+"], printers=True, bridge_id="other")
    await hass.async_block_till_done()
    form = await begin(hass, SOURCE_MQTT, hello())
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "discovery_confirm")
