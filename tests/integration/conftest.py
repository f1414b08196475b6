"""One site in one Home Assistant whose MQTT client is not connected anywhere: messages are put in by hand."""

# First of all: Home Assistant's test plug-in brings a package of this name along, and the first one imported wins.
import custom_components.iot_data_bridge  # noqa: F401, I001 -- see above

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_data_bridge.const import DOMAIN

ENTRY_ID = "01J00000000000000000000000"


@pytest.fixture(autouse=True)
async def _korea(hass: HomeAssistant, enable_custom_integrations: None) -> None:  # noqa: ARG001 -- for its effect
    """Let Home Assistant load this repository's integration, in a shop in Seoul."""
    await hass.config.async_update(currency="KRW", time_zone="Asia/Seoul")


@pytest.fixture
def options() -> dict[str, Any]:
    """Return the site's options; a test file overrides them."""
    return {}


@pytest.fixture
def entry(options: dict[str, Any]) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        entry_id=ENTRY_ID,
        title="Shop",
        data={"basket_roots": ["basket/+", "basket/+/+"], "printers": True, "bridge_id": "+"},
        options=options,
    )


@pytest.fixture(autouse=True)
def _no_keep_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no keep-alive timer: the plug-in's client has no connection, and its timer would count as one of ours."""
    monkeypatch.setattr("homeassistant.components.mqtt.client.MQTT._async_start_misc_periodic", lambda _: None)


@pytest.fixture
async def site(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    mqtt_mock: object,  # noqa: ARG001 -- for its effect
) -> AsyncGenerator[MockConfigEntry]:
    """A site that is set up."""
    assert await async_setup_component(hass, "homeassistant", {})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)
