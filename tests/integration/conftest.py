"""One site in one Home Assistant whose MQTT client is not connected anywhere: messages are put in by hand."""

# First of all: Home Assistant's test plug-in brings a package of this name along, and the first one imported wins.
import custom_components.iot_data_bridge  # noqa: F401, I001 -- see above

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from homeassistant.core import HomeAssistant, State
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

from custom_components.iot_data_bridge.const import DOMAIN, VERSION

ENTRY_ID = "01J00000000000000000000000"

type Say = Callable[..., None]
type Show = Callable[[str], State]


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Give each Home Assistant a folder of its own: databases are files."""
    return hass_tmp_config_dir


@pytest.fixture(autouse=True)
async def _korea(hass: HomeAssistant, enable_custom_integrations: None) -> None:  # noqa: ARG001 -- for its effect
    """Let Home Assistant load this repository's integration, in a shop in Seoul."""
    await hass.config.async_update(currency="KRW", time_zone="Asia/Seoul")


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Write states and registry entries as Home Assistant's own tests do."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


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
        version=VERSION,
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
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
def say(hass: HomeAssistant) -> Say:
    """Return what puts a message in: topic, payload, retained or not."""

    def say(topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        async_fire_mqtt_message(hass, topic, payload, retain=retain)

    return say


@pytest.fixture
def show(hass: HomeAssistant) -> Show:
    """Return what shows an entity's state."""

    def show(entity_id: str) -> State:
        state = hass.states.get(entity_id)
        assert state is not None, f"{entity_id} is not there"
        return state

    return show


@pytest.fixture
async def prices(hass: HomeAssistant, site: MockConfigEntry) -> None:  # noqa: ARG001 -- the site comes first
    """A price list of two products."""
    for code, name, price, discount in (("MLON", "Melon", 12000, 10), ("WTMN", "Watermelon", 18000, 0)):
        product = {"code": code, "name": name, "price": price, "discount_rate": discount}
        await hass.services.async_call(DOMAIN, "set_product", product, blocking=True)
