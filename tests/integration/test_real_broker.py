"""Sites on Home Assistant's real MQTT client and a real broker, while the MQTT entry is reloaded, removed and added."""

import asyncio
import json
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import paho.mqtt.client as paho
import pytest
from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from paho.mqtt.enums import CallbackAPIVersion
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.iot_data_bridge.const import DOMAIN
from development.mosquitto import Mosquitto

from .conftest import ENTRY_ID, Show

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE = 20.0


class Field:
    """A client that publishes as baskets do and records the totals they are sent."""

    def __init__(self, port: int) -> None:
        self.totals: list[int] = []
        self.by_basket: defaultdict[str, list[int]] = defaultdict(list)
        self.sentinels: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        subscribed: list[int] = []
        self._client.on_subscribe = lambda *arguments: subscribed.append(arguments[2])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe([("basket/+/status", 1), ("sentinel", 1)])

    def _on_message(self, _: paho.Client, __: object, message: paho.MQTTMessage) -> None:
        if message.topic == "sentinel":
            self.sentinels.append(message.payload.decode())
        elif message.payload.startswith(b"{"):
            command = json.loads(message.payload)
            if command["msg"] == "total":
                total = command["payload"]["totalprice"]
                self.totals.append(total)
                self.by_basket[message.topic.removesuffix("/status")].append(total)

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- conditions of several programs have no common event
            await asyncio.sleep(0)


@pytest.fixture
def broker(tmp_path: Path, socket_enabled: None) -> Iterator[Mosquitto]:  # noqa: ARG001 -- before the broker starts
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture(autouse=True)
def _no_yaml() -> Iterator[None]:
    """Let the MQTT integration find an empty configuration, which the test's folder does not have."""
    with patch("homeassistant.config.load_yaml_config_file", return_value={}):
        yield


@pytest.fixture
def options() -> dict[str, Any]:
    return {"running_total": True}


@pytest.fixture
def field(broker: Mosquitto) -> Iterator[Field]:
    field = Field(broker.port)
    yield field
    field.stop()


async def add_mqtt(hass: HomeAssistant, broker: Mosquitto) -> MockConfigEntry:
    data = {"broker": "127.0.0.1", "port": broker.port, "protocol": "5"}
    entry = MockConfigEntry(domain="mqtt", data=data, options={"discovery": False}, version=2, minor_version=1)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert await mqtt.async_wait_for_mqtt_client(hass)
    return entry


@pytest.fixture
async def mqtt_entry(hass: HomeAssistant, broker: Mosquitto) -> AsyncGenerator[MockConfigEntry]:
    entry = await add_mqtt(hass, broker)
    yield entry
    for left in hass.config_entries.async_entries("mqtt"):
        await hass.config_entries.async_unload(left.entry_id)


@pytest.fixture
async def shop(
    hass: HomeAssistant, mqtt_entry: MockConfigEntry, entry: MockConfigEntry
) -> AsyncGenerator[MockConfigEntry]:
    """A site with running totals, a price list and a basket in use."""
    assert mqtt_entry.state is ConfigEntryState.LOADED
    assert await async_setup_component(hass, "homeassistant", {})
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await set_price(hass, 1000)
    yield entry
    if hass.config_entries.async_get_entry(entry.entry_id) is not None:
        await hass.config_entries.async_unload(entry.entry_id)


async def set_price(hass: HomeAssistant, price: int) -> None:
    await hass.services.async_call(
        DOMAIN, "set_product", {"code": "MLON", "name": "Melon", "price": price}, blocking=True
    )


async def pass_everything(hass: HomeAssistant, field: Field) -> None:
    """Return when the field has received all that Home Assistant has published."""
    await hass.async_block_till_done(wait_background_tasks=True)
    sentinel = str(len(field.sentinels))
    await mqtt.async_publish(hass, "sentinel", sentinel, 1)
    await wait_for(lambda: sentinel in field.sentinels)


async def reload_mqtt(hass: HomeAssistant, mqtt_entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(mqtt_entry.entry_id)
    await wait_for(lambda: mqtt.is_connected(hass))


async def subscriptions_stand(hass: HomeAssistant, site: MockConfigEntry) -> None:
    await wait_for(lambda: mqtt.is_connected(hass))
    await site.runtime_data.subscriptions.async_wait_confirmed()
    await hass.async_block_till_done()


def received(hass: HomeAssistant) -> str:
    state = hass.states.get("sensor.basket_1_items")
    return "" if state is None else state.state


async def begin_session(hass: HomeAssistant, field: Field, site: MockConfigEntry) -> None:
    await subscriptions_stand(hass, site)
    field.publish("basket/1/status", "start")
    field.publish("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    await wait_for(lambda: 1000 in field.totals)


async def test_after_reloads_of_mqtt_and_site_one_total_follows_an_update(
    hass: HomeAssistant, mqtt_entry: MockConfigEntry, shop: MockConfigEntry, field: Field
) -> None:
    await begin_session(hass, field, shop)
    for count in (2, 3):
        await reload_mqtt(hass, mqtt_entry)
        assert await hass.config_entries.async_reload(ENTRY_ID)
        await subscriptions_stand(hass, shop)
        await set_price(hass, count * 1000)
        await pass_everything(hass, field)
        field.totals.clear()
        field.publish("basket/1/update", json.dumps({"id": 1, "list": {"MLON": count}}))
        await wait_for(lambda: bool(field.totals))
        await pass_everything(hass, field)
        assert field.totals == [count * count * 1000]


@pytest.mark.parametrize("ending", ["disabled", "removed"])
async def test_a_site_that_ended_hears_and_sends_nothing(
    hass: HomeAssistant,
    mqtt_entry: MockConfigEntry,
    shop: MockConfigEntry,
    field: Field,
    ending: str,
    hass_storage: dict[str, Any],
) -> None:
    await begin_session(hass, field, shop)
    hub = shop.runtime_data
    await reload_mqtt(hass, mqtt_entry)
    if ending == "disabled":
        await hass.config_entries.async_set_disabled_by(ENTRY_ID, ConfigEntryDisabler.USER)
    else:
        await hass.config_entries.async_remove(ENTRY_ID)
    stored = json.dumps(hass_storage.get(f"{DOMAIN}.{ENTRY_ID}"))
    field.totals.clear()
    heard: list[str] = []
    stands = asyncio.Event()
    unsubscribe = await mqtt.async_subscribe(hass, "basket/1/update", lambda message: heard.append(message.topic))
    stop_watching = mqtt.async_on_subscribe_done(hass, "basket/1/update", 0, stands.set)
    await stands.wait()
    stop_watching()
    field.publish("basket/1/update", '{"id":1,"list":{"MLON":7}}')
    await wait_for(lambda: bool(heard))
    await pass_everything(hass, field)
    assert field.totals == []
    assert hub.baskets.by_root["basket/1"].basket.items == 1
    assert json.dumps(hass_storage.get(f"{DOMAIN}.{ENTRY_ID}")) == stored
    assert (f"{DOMAIN}.{ENTRY_ID}" in hass_storage) is (ending == "disabled")
    unsubscribe()


async def test_a_site_hears_again_after_the_mqtt_entry_was_removed_and_added(
    hass: HomeAssistant, mqtt_entry: MockConfigEntry, shop: MockConfigEntry, field: Field, broker: Mosquitto, show: Show
) -> None:
    await begin_session(hass, field, shop)
    await hass.config_entries.async_remove(mqtt_entry.entry_id)
    await hass.async_block_till_done()
    assert show("sensor.basket_1_items").state == "unavailable"
    await add_mqtt(hass, broker)
    await hass.async_block_till_done()
    await subscriptions_stand(hass, shop)
    field.totals.clear()
    field.publish("basket/1/update", '{"id":1,"list":{"MLON":5}}')
    await wait_for(lambda: received(hass) == "5")
    await pass_everything(hass, field)
    assert field.totals[-1:] == [5000]
    assert Counter(field.totals)[5000] == 1


async def test_each_filter_has_one_subscription_however_often_everything_is_reloaded(
    hass: HomeAssistant, mqtt_entry: MockConfigEntry, shop: MockConfigEntry
) -> None:
    for _ in range(3):
        await reload_mqtt(hass, mqtt_entry)
        assert await hass.config_entries.async_reload(ENTRY_ID)
    await hass.async_block_till_done()
    client = hass.data[mqtt.DATA_MQTT].client
    ours = Counter(each.topic for each in client.subscriptions if each.topic.startswith(("basket/", "octoprint/")))
    assert set(ours.values()) == {1}
    assert set(ours) == {
        topic for topic in shop.runtime_data.settings.topics.filters() if "iot_data_bridge/" not in topic
    }


async def test_no_update_is_lost_while_a_site_is_reloaded(
    hass: HomeAssistant, shop: MockConfigEntry, field: Field
) -> None:
    await begin_session(hass, field, shop)

    # One process publishes and the other reloads: updates arrive in each of its steps.
    def publish() -> None:
        for number in range(2, 60):
            field.publish(f"basket/{number}/update", '{"id":1,"list":{"MLON":1}}')

    publishing = hass.async_add_executor_job(publish)
    for _ in range(3):
        assert await hass.config_entries.async_reload(ENTRY_ID)
    await publishing
    await wait_for(lambda: len(shop.runtime_data.baskets.by_root) == 59)


async def test_a_site_unloaded_without_a_reload_ends_its_subscriptions_soon(
    hass: HomeAssistant, shop: MockConfigEntry, field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin_session(hass, field, shop)
    monkeypatch.setattr("custom_components.iot_data_bridge.subscriptions.RELOAD_SECONDS", 0.0)
    assert await hass.config_entries.async_unload(ENTRY_ID)
    client = hass.data[mqtt.DATA_MQTT].client
    await wait_for(lambda: not any(each.topic.startswith("basket/") for each in client.subscriptions))


async def test_a_command_waits_until_the_subscriptions_stand_again(
    hass: HomeAssistant, mqtt_entry: MockConfigEntry, shop: MockConfigEntry, field: Field, show: Show
) -> None:
    await begin_session(hass, field, shop)
    field.publish("basket/1/status", "end")
    await wait_for(lambda: show("sensor.basket_1_session").state == "idle")
    await reload_mqtt(hass, mqtt_entry)
    await hass.services.async_call(DOMAIN, "start", {"entity_id": "sensor.basket_1_session"}, blocking=True)
    # The own command is heard: the session is what the wire tells.
    await wait_for(lambda: show("sensor.basket_1_session").state == "active")


async def test_options_take_effect_without_a_reload(hass: HomeAssistant, shop: MockConfigEntry, field: Field) -> None:
    await begin_session(hass, field, shop)
    hub = shop.runtime_data
    hass.config_entries.async_update_entry(shop, options={"running_total": False, "silence_minutes": 3})
    await hass.async_block_till_done()
    assert shop.runtime_data is hub
    field.totals.clear()
    field.publish("basket/1/update", '{"id":1,"list":{"MLON":4}}')
    await wait_for(lambda: received(hass) == "4")
    await pass_everything(hass, field)
    assert field.totals == []
    assert hub.baskets.by_root["basket/1"].basket.rules.silence.total_seconds() == 180


async def test_another_currency_sets_the_site_up_anew(hass: HomeAssistant, shop: MockConfigEntry) -> None:
    hub = shop.runtime_data
    hass.config_entries.async_update_entry(shop, options={"currency": "EUR"})
    await hass.async_block_till_done()
    assert shop.runtime_data is not hub
    assert shop.runtime_data.settings.currency.code == "EUR"


BASKETS = 50
UPDATE_SECONDS = 1.0


class Floor:
    """Fifty baskets in use, each with an update a second; every update of a basket holds one piece more."""

    def __init__(self, field: Field) -> None:
        self.counts = dict.fromkeys(range(1, BASKETS + 1), 0)
        self._field = field
        self._stop = threading.Event()

    def publish_until_stopped(self) -> None:
        self._stop.clear()
        while not self._stop.is_set():
            for number in self.counts:
                self.counts[number] += 1
                payload = json.dumps({"id": number, "list": {"MLON": self.counts[number]}})
                self._field.publish(f"basket/{number}/update", payload)
                if self._stop.wait(UPDATE_SECONDS / BASKETS):
                    return

    def stop(self) -> None:
        self._stop.set()

    def is_past(self, before: dict[int, int]) -> bool:
        """Tell whether each basket has published two updates since."""
        return all(self.counts[number] > count + 1 for number, count in before.items())

    def is_known_to(self, site: MockConfigEntry) -> bool:
        """Tell whether the site knows the last update of each basket."""
        baskets = site.runtime_data.baskets.by_root
        return all(baskets[f"basket/{number}"].basket.items == count for number, count in self.counts.items())


@pytest.mark.timeout(600)
async def test_fifty_busy_baskets_are_told_one_total_for_each_update_whatever_is_reloaded(
    hass: HomeAssistant,
    mqtt_entry: MockConfigEntry,
    shop: MockConfigEntry,
    field: Field,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await subscriptions_stand(hass, shop)
    floor = Floor(field)
    for number in floor.counts:
        field.publish(f"basket/{number}/status", "start")
    for step in range(6):
        price = 1000 + step
        await set_price(hass, price)
        await pass_everything(hass, field)
        field.by_basket.clear()
        publishing = hass.async_add_executor_job(floor.publish_until_stopped)
        await wait_for(lambda: len(field.by_basket) == BASKETS)
        if step % 2:
            assert await hass.config_entries.async_reload(ENTRY_ID)
        else:
            await reload_mqtt(hass, mqtt_entry)
        await subscriptions_stand(hass, shop)
        before = dict(floor.counts)
        await wait_for(partial(floor.is_past, before))
        floor.stop()
        await publishing
        await wait_for(partial(floor.is_known_to, shop))
        await pass_everything(hass, field)
        for number, count in floor.counts.items():
            told = field.by_basket[f"basket/{number}"]
            assert told[-1] == count * price
            assert [total for total in told if total % price or not 0 < total // price <= count] == []
            assert max(Counter(told).values()) == 1
    client = hass.data[mqtt.DATA_MQTT].client
    assert set(Counter(each.topic for each in client.subscriptions if each.topic.startswith("basket/")).values()) == {1}
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
