"""Bridges that are discovered: bounded questions, text of strangers, and offered again when their site is deleted."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import SOURCE_IGNORE, ConfigFlowResult
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_data_bridge.const import DOMAIN
from custom_components.iot_data_bridge.discovery import MOST_OPEN_FLOWS

from .conftest import ENTRY_ID, Say


@pytest.fixture(autouse=True)
def _no_set_up(mqtt_mock: object) -> Any:  # noqa: ANN401, ARG001 -- a generator fixture; the client is wanted for its effect
    """Look at the questions alone."""
    with patch("custom_components.iot_data_bridge.async_setup_entry", return_value=True):
        yield


def hello(say: Say, bridge_id: str, name: str = "Edge") -> None:
    say(f"iot_data_bridge/{bridge_id}/hello", json.dumps({"bridge_id": bridge_id, "name": name}), retain=True)


def clear(say: Say, bridge_id: str) -> None:
    say(f"iot_data_bridge/{bridge_id}/hello", "")


async def questions(hass: HomeAssistant) -> dict[str, ConfigFlowResult]:
    await hass.async_block_till_done()
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return {str(flow["context"]["unique_id"]): flow for flow in flows}


async def test_at_most_five_questions_are_open_and_the_next_follows(hass: HomeAssistant, say: Say) -> None:
    for number in range(8):
        hello(say, f"b{number}")
    opened = await questions(hass)
    assert sorted(opened) == ["b0", "b1", "b2", "b3", "b4"]
    assert len(opened) == MOST_OPEN_FLOWS
    hass.config_entries.flow.async_abort(opened["b0"]["flow_id"])
    assert sorted(await questions(hass)) == ["b1", "b2", "b3", "b4", "b5"]


async def test_a_bridge_that_takes_its_hello_back_is_not_asked_about(hass: HomeAssistant, say: Say) -> None:
    for number in range(7):
        hello(say, f"b{number}")
    await hass.async_block_till_done()
    clear(say, "b6")
    clear(say, "b0")
    clear(say, "b1")
    assert sorted(await questions(hass)) == ["b2", "b3", "b4", "b5"]


async def test_the_question_shows_a_strangers_text_and_nothing_else(hass: HomeAssistant, say: Say) -> None:
    hello(say, "edge", "[free](http://evil.example) ![](http://evil.example/x.png)" + "x" * 500)
    flow = (await questions(hass))["edge"]
    form = await hass.config_entries.flow.async_configure(flow["flow_id"])
    placeholders = form["description_placeholders"]
    assert placeholders is not None
    name = placeholders["name"]
    assert name.startswith(r"\[free\]\(http\:\/\/evil\.example\)")
    assert len(name) < 250
    assert len(flow["context"]["title_placeholders"]["name"]) == 100


@pytest.mark.parametrize(
    ("topic", "said"),
    [("edge", "other"), ("x" * 129, "x" * 129), ("a\u202eb", "a\u202eb")],
)
async def test_a_hello_that_is_not_its_topics_or_has_no_proper_id_asks_nothing(
    hass: HomeAssistant, say: Say, topic: str, said: str
) -> None:
    say(f"iot_data_bridge/{topic}/hello", json.dumps({"bridge_id": said}), retain=True)
    assert await questions(hass) == {}


async def test_a_running_bridge_is_offered_again_after_its_site_was_deleted(
    hass: HomeAssistant, entry: MockConfigEntry, say: Say
) -> None:
    entry.add_to_hass(hass)
    hello(say, "edge")
    hello(say, "other")
    assert await questions(hass) == {}
    await hass.config_entries.async_remove(ENTRY_ID)
    assert sorted(await questions(hass)) == ["edge", "other"]


async def test_an_ignored_bridge_stays_ignored_after_a_site_was_deleted(
    hass: HomeAssistant, entry: MockConfigEntry, say: Say
) -> None:
    hello(say, "edge")
    await questions(hass)
    ignored = {"unique_id": "edge", "title": "Edge"}
    await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_IGNORE}, data=ignored)
    entry.add_to_hass(hass)
    hello(say, "other")
    await hass.async_block_till_done()
    await hass.config_entries.async_remove(ENTRY_ID)
    assert sorted(await questions(hass)) == ["other"]


async def test_a_bridge_that_is_gone_is_not_offered_again(
    hass: HomeAssistant, entry: MockConfigEntry, say: Say
) -> None:
    entry.add_to_hass(hass)
    hello(say, "edge")
    await hass.async_block_till_done()
    clear(say, "edge")
    await hass.async_block_till_done()
    await hass.config_entries.async_remove(ENTRY_ID)
    assert await questions(hass) == {}


async def test_a_discovered_site_is_named_like_one_made_by_hand(hass: HomeAssistant, say: Say) -> None:
    hello(say, "edge", "Edge 1")
    flow = (await questions(hass))["edge"]
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["title"] == "IoT Data Bridge"
    hello(say, "other", "Edge 2")
    flow = (await questions(hass))["other"]
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["title"] == "IoT Data Bridge (Edge 2)"


async def test_each_site_made_by_hand_has_a_title_of_its_own(hass: HomeAssistant) -> None:
    titles = []
    for root in ("basket/+", "annex/+", "annex/cart/+", "annex/+/cart/+"):
        form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
        data = {"basket_roots": [root], "printers": False, "bridge_id": ""}
        titles.append((await hass.config_entries.flow.async_configure(form["flow_id"], data))["title"])
    assert titles == [
        "IoT Data Bridge",
        "IoT Data Bridge (annex)",
        "IoT Data Bridge (annex cart)",
        "IoT Data Bridge (annex cart 2)",
    ]
