"""The actions, the buttons, and what they put on the wire."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
import voluptuous as vol
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.mqtt.client import MQTT
from homeassistant.components.mqtt.const import MQTT_PROCESSED_SUBSCRIPTIONS
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr
from homeassistant.helpers import label_registry as lr
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.util.json import JsonObjectType
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.iot_data_bridge.const import DOMAIN

from .conftest import ENTRY_ID, Say, Show

pytestmark = pytest.mark.usefixtures("site", "prices")


@pytest.fixture
async def baskets(hass: HomeAssistant, prices: None, say: Say) -> None:  # noqa: ARG001 -- the prices come first
    for number in (1, 2, 3):
        say(f"basket/{number}/update", f'{{"id":{number},"list":{{"MLON":{number}}}}}')
    await hass.async_block_till_done()


async def act(hass: HomeAssistant, action: str, **data: Any) -> JsonObjectType:  # noqa: ANN401 -- whatever a user may send
    response = await hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
    assert response is not None
    return response


def sent(mqtt_mock: MqttMockHAClient) -> list[tuple[str, str]]:
    """Return topics and payloads, and make sure that every command is QoS 1, not retained, and expires."""
    calls = []
    for call in mqtt_mock.async_publish.call_args_list:
        topic, payload, qos, retain = call.args
        assert (qos, retain, call.kwargs) == (1, False, {"message_expiry_interval": 60})
        calls.append((topic, payload))
    return calls


def device_id(hass: HomeAssistant, name: str) -> str:
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), ENTRY_ID)
    return next(device.id for device in devices if device.name == name)


@pytest.mark.usefixtures("baskets")
async def test_a_command_waits_until_we_can_hear_it(
    hass: HomeAssistant, site: MockConfigEntry, mqtt_mock: MqttMockHAClient
) -> None:
    site.runtime_data.subscriptions._on_connection(False)
    starting = hass.async_create_task(act(hass, "start", device_id=device_id(hass, "Basket 1")), eager_start=True)
    await asyncio.sleep(0)
    assert sent(mqtt_mock) == []
    for topic_filter in ("basket/+/status", "basket/+/+/status"):
        async_dispatcher_send(hass, MQTT_PROCESSED_SUBSCRIPTIONS, [(topic_filter, 1)])
    await starting
    assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"start"}')]


@pytest.mark.usefixtures("baskets")
async def test_without_the_broker_a_command_is_refused_and_not_kept_for_later(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient
) -> None:
    mqtt_mock.connected = False
    with pytest.raises(HomeAssistantError, match="no connection to the MQTT broker"):
        await act(hass, "start", device_id=device_id(hass, "Basket 1"))
    assert sent(mqtt_mock) == []


@pytest.mark.usefixtures("baskets")
async def test_start_and_end_are_sent_and_answered(hass: HomeAssistant, mqtt_mock: MqttMockHAClient) -> None:
    response = await act(hass, "start", device_id=device_id(hass, "Basket 1"))
    assert response == {
        "baskets": {
            "basket/1": {
                "basket_id": 1,
                "session": "active",  # the command came back from the broker
                "online": True,
                "items": 1,
                "products": {"MLON": 1},
                "contents_uncertain": False,
                "total_price": 10800,
                "currency": "KRW",
            }
        }
    }
    await hass.services.async_call(DOMAIN, "end", {"entity_id": "sensor.basket_1_items"}, blocking=True)
    assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"start"}'), ("basket/1/status", '{"msg":"end"}')]


@pytest.mark.usefixtures("baskets")
async def test_a_total_is_computed_or_given(hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient) -> None:
    say("basket/1/status", "start")
    say("basket/3/status", "start")
    entities = ["sensor.basket_1_items", "sensor.basket_3_items"]
    response = await act(hass, "total", entity_id=entities)
    shown = {root: facts["shown_total"] for root, facts in response["baskets"].items()}  # type: ignore[union-attr,index,call-overload] # as asserted
    assert shown == {"basket/1": 10800, "basket/3": 32400}
    await hass.services.async_call(DOMAIN, "total", {"entity_id": entities[0], "total_price": "500"}, blocking=True)
    assert [payload for _, payload in sent(mqtt_mock)] == [
        '{"msg":"total","payload":{"basketid":1,"totalprice":10800}}',
        '{"msg":"total","payload":{"basketid":3,"totalprice":32400}}',
        '{"msg":"total","payload":{"basketid":1,"totalprice":500}}',
    ]


@pytest.mark.usefixtures("baskets")
async def test_a_basket_without_a_session_shows_no_total(
    hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/status", "start")
    response = await act(hass, "total", entity_id=["sensor.basket_1_items", "sensor.basket_2_items"], total_price=500)
    shown = {root: facts["shown_total"] for root, facts in response["baskets"].items()}  # type: ignore[union-attr,index,call-overload] # as asserted
    assert shown == {"basket/1": 500, "basket/2": None}
    # Sent to both: whoever began a session while we did not listen, we may not know of it.
    assert [topic for topic, _ in sent(mqtt_mock)] == ["basket/1/status", "basket/2/status"]


@pytest.mark.usefixtures("baskets")
@pytest.mark.parametrize("target", ["device", "entity", "area", "label", "floor", "labelled area", "mix"])
async def test_every_kind_of_target_resolves_to_baskets(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient, target: str
) -> None:
    floor = fr.async_get(hass).async_create("Ground")
    label = lr.async_get(hass).async_create("Front")
    area = ar.async_get(hass).async_create("Till", floor_id=floor.floor_id, labels={label.label_id})
    devices = dr.async_get(hass)
    first, second = device_id(hass, "Basket 1"), device_id(hass, "Basket 2")
    devices.async_update_device(first, area_id=area.id)
    # What else is in the area is nobody's basket and left alone.
    devices.async_update_device(device_id(hass, "Shop"), area_id=area.id)
    er.async_get(hass).async_update_entity("event.basket_2_activity", labels={label.label_id})
    targets: dict[str, tuple[dict[str, Any], set[str]]] = {
        "device": ({"device_id": [first, second]}, {"basket/1", "basket/2"}),
        "entity": ({"entity_id": ["sensor.basket_1_items", "todo.basket_1_contents"]}, {"basket/1"}),
        "area": ({"area_id": area.id}, {"basket/1"}),
        "label": ({"label_id": label.label_id}, {"basket/1", "basket/2"}),
        "floor": ({"floor_id": floor.floor_id}, {"basket/1"}),
        "labelled area": ({"label_id": [label.label_id]}, {"basket/1", "basket/2"}),
        "mix": ({"area_id": area.id, "entity_id": "sensor.basket_3_items"}, {"basket/1", "basket/3"}),
    }
    data, roots = targets[target]
    response = await act(hass, "start", **data)
    assert set(response["baskets"]) == roots  # type: ignore[arg-type] # a dictionary by root
    assert {topic for topic, _ in sent(mqtt_mock)} == {f"{root}/status" for root in roots}


@pytest.mark.usefixtures("baskets")
@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"entity_id": "sensor.shop_items_out"}, "not_a_basket"),
        ({"entity_id": "light.kitchen"}, "not_a_basket"),
        ({"device_id": "nonsense"}, "not_a_basket"),
        ({"area_id": "nowhere"}, "no_basket"),
        ({"entity_id": "none"}, "no_basket"),
        ({}, "no_target"),
        ({"area_id": [], "device_id": []}, "no_target"),
    ],
)
async def test_what_is_no_basket_is_an_error(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient, data: dict[str, Any], error: str
) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "start", **data)
    assert (caught.value.translation_domain, caught.value.translation_key) == (DOMAIN, error)
    assert sent(mqtt_mock) == []


@pytest.mark.parametrize("amount", [-1, "much", None, True, "1e99"])
async def test_a_total_price_is_an_amount(hass: HomeAssistant, amount: object) -> None:
    with pytest.raises(vol.Invalid):
        await act(hass, "total", entity_id="sensor.basket_1_items", total_price=amount)


async def test_an_unknown_product_needs_a_total_price(
    hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/2/update", '{"id":2,"list":{"XXXX":1}}')
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "total", entity_id=["sensor.basket_1_items", "sensor.basket_2_items"])
    assert caught.value.translation_key == "unknown_product"
    assert caught.value.translation_placeholders == {"basket": "basket/2", "products": "XXXX"}
    assert sent(mqtt_mock) == []


@pytest.mark.parametrize(
    ("update", "payload"),
    [
        ('{"id":7,"list":{}}', '{"msg":"total","payload":{"basketid":7,"totalprice":5}}'),
        ('{"id":"7","list":{}}', '{"msg":"total","payload":{"totalprice":5}}'),
        ('{"list":{}}', '{"msg":"total","payload":{"totalprice":5}}'),
    ],
)
async def test_a_total_names_the_basket_only_by_a_number_that_it_told(
    hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient, update: str, payload: str
) -> None:
    say("basket/1/update", update)
    await hass.async_block_till_done()
    await act(hass, "total", entity_id="sensor.basket_1_items", total_price=5)
    assert sent(mqtt_mock) == [("basket/1/status", payload)]


async def test_a_total_that_no_display_shows_is_refused(
    hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    await act(hass, "total", entity_id="sensor.basket_1_items", total_price=99_999_999_999)
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "total", entity_id="sensor.basket_1_items", total_price=100_000_000_000)
    assert caught.value.translation_key == "total_too_large"
    assert caught.value.translation_placeholders == {"basket": "basket/1", "largest": "99,999,999,999"}
    assert len(sent(mqtt_mock)) == 1


@pytest.mark.usefixtures("baskets")
async def test_only_online_baskets_on_wish(hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient) -> None:
    say("basket/2/availability", "offline")
    entities = ["sensor.basket_1_items", "sensor.basket_2_items"]
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "start", entity_id=entities, only_if_online=True)
    assert caught.value.translation_key == "basket_offline"
    assert sent(mqtt_mock) == []
    await act(hass, "start", entity_id=entities[0], only_if_online=True)
    assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"start"}')]


@pytest.mark.usefixtures("baskets")
async def test_a_broker_that_is_away_is_an_error_and_the_others_are_sent(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient
) -> None:
    async def publish(topic: str, *_: object, **__: object) -> None:
        if topic.startswith("basket/1"):
            raise HomeAssistantError("not connected")

    mqtt_mock.async_publish.side_effect = publish
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, "start", entity_id=["sensor.basket_1_items", "sensor.basket_2_items"])
    assert caught.value.translation_key == "publish_failed"
    # The text of the broker's error is English in every language.
    assert caught.value.translation_placeholders == {"basket": "basket/1"}
    assert [call.args[0] for call in mqtt_mock.async_publish.call_args_list] == ["basket/1/status", "basket/2/status"]


@pytest.mark.usefixtures("baskets")
async def test_a_fault_of_the_client_is_not_hidden(hass: HomeAssistant, mqtt_mock: MqttMockHAClient) -> None:
    mqtt_mock.async_publish.side_effect = ValueError("a fault")
    with pytest.raises(ValueError, match="a fault"):
        await act(hass, "start", entity_id="sensor.basket_1_items")


@pytest.mark.usefixtures("baskets")
async def test_an_old_protocol_has_no_expiry(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def publish(*_: object, message_expiry_interval: int | None = None) -> None:
        if message_expiry_interval is not None:
            key = "mqtt_message_expiry_interval_not_supported"
            raise ServiceValidationError(translation_domain="mqtt", translation_key=key)

    mqtt_mock.async_publish.side_effect = publish
    for _ in range(2):
        await act(hass, "start", entity_id="sensor.basket_1_items")
    expiries = [call.kwargs["message_expiry_interval"] for call in mqtt_mock.async_publish.call_args_list]
    assert expiries == [60, None, None]
    assert caplog.text.count("protocol version 5") == 1


@pytest.mark.usefixtures("baskets")
async def test_another_refusal_of_the_client_is_an_error(hass: HomeAssistant, mqtt_mock: MqttMockHAClient) -> None:
    mqtt_mock.async_publish.side_effect = ServiceValidationError("invalid topic")
    with pytest.raises(HomeAssistantError) as caught:
        await act(hass, "start", entity_id="sensor.basket_1_items")
    assert caught.value.translation_key == "publish_failed"


@pytest.mark.usefixtures("baskets")
@pytest.mark.parametrize(
    ("button", "payload"),
    [
        ("start", '{"msg":"start"}'),
        ("end", '{"msg":"end"}'),
        ("show_total", '{"msg":"total","payload":{"basketid":2,"totalprice":21600}}'),
    ],
)
async def test_a_button_sends_its_command(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient, button: str, payload: str
) -> None:
    await hass.services.async_call("button", "press", {"entity_id": f"button.basket_2_{button}"}, blocking=True)
    assert sent(mqtt_mock) == [("basket/2/status", payload)]


async def test_products_are_set_changed_listed_and_removed(hass: HomeAssistant, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{"PEAR":2}}')
    await hass.async_block_till_done()
    assert show("sensor.basket_1_total_price").state == "unknown"
    await act(hass, "set_product", code="PEAR", name="Pear", price=999.5, category="fruit")
    assert show("sensor.basket_1_total_price").state == "2000"
    response = await act(hass, "set_product", code="PEAR", discount_rate=50)
    assert response["product"] == {
        "code": "PEAR",
        "name": "Pear",
        "price": 999.5,
        "discount_rate": 50,
        "category": "fruit",
        "image": None,
        "location": None,
        "brand": None,
        "unit_price": 500,
    }
    assert show("sensor.basket_1_total_price").state == "1000"
    listed = await act(hass, "get_products")
    assert listed["currency"] == "KRW"
    assert listed["products"]["PEAR"]["unit_price"] == 500  # type: ignore[index,call-overload] # as asserted
    await act(hass, "remove_product", code="PEAR")
    assert show("sensor.basket_1_total_price").state == "unknown"


@pytest.mark.parametrize(
    ("action", "data", "error"),
    [
        ("set_product", {"code": "NEW"}, "price_missing"),
        ("set_products", {"products": [{"code": "NEW", "price": 1}, {"code": "MLON", "price": "no"}]}, "price_invalid"),
        ("set_products", {"products": [{"code": "NEW", "price": 1}, {"code": "NEW", "price": 2}]}, "code_twice"),
        ("set_products", {"products": [{"code": "NEW", "price": 1}, {"price": 2}]}, "code_missing"),
        ("set_products", {"products": {"code": "NEW", "cost": 1}}, "field_unknown"),
        ("set_product", {"code": " ", "price": 1}, "code_missing"),
        ("set_product", {"code": "NEW", "price": 1, "discount_rate": 200}, "discount_invalid"),
        ("remove_product", {"code": "NEW"}, "product_unknown"),
        ("get_products", {"config_entry_id": "nonsense"}, "service_config_entry_not_found"),
    ],
)
async def test_a_product_that_cannot_be_is_an_error(
    hass: HomeAssistant, site: MockConfigEntry, action: str, data: dict[str, Any], error: str
) -> None:
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, action, **data)
    assert caught.value.translation_key == error
    # All or none.
    assert {product.code for product in site.runtime_data.prices} == {"MLON", "WTMN"}


@pytest.mark.parametrize("number", ["1e999999999", "-1e999999999", "1" * 5000, "nan", "inf"])
@pytest.mark.parametrize("field", ["price", "discount_rate"])
async def test_no_number_breaks_an_action(hass: HomeAssistant, number: str, field: str) -> None:
    with pytest.raises(vol.Invalid):
        await act(hass, "set_product", code="MLON", **{field: number})
    with pytest.raises(ServiceValidationError):
        await act(hass, "set_products", products=[{"code": "MLON", field: number}])


async def test_many_products_are_set_at_once(hass: HomeAssistant, site: MockConfigEntry, say: Say, show: Show) -> None:
    say("basket/1/update", '{"id":1,"list":{"MLON":1,"PEAR":1}}')
    await hass.async_block_till_done()
    products: list[dict[str, Any]] = [{"code": "MLON", "price": 9000}, {"code": "PEAR", "price": "1000"}]
    assert await act(hass, "set_products", products=products) == {"added": 1, "changed": 1, "removed": 0}
    # What an entry does not name stays: the discount of the melon.
    assert show("sensor.basket_1_total_price").state == "9100"
    many = [{"code": f"P{number}", "price": number} for number in range(500)]
    assert await act(hass, "set_products", products=many, remove_others=True) == {
        "added": 500,
        "changed": 0,
        "removed": 3,
    }
    assert len(site.runtime_data.prices) == 500
    await hass.services.async_call(DOMAIN, "set_products", {"products": products}, blocking=True)
    assert len(site.runtime_data.prices) == 502


async def test_of_several_sites_one_is_named(hass: HomeAssistant, site: MockConfigEntry) -> None:
    data = {"basket_roots": ["annex/+"], "printers": False, "bridge_id": ""}
    annex = MockConfigEntry(domain=DOMAIN, title="Annex", data=data)
    annex.add_to_hass(hass)
    assert await hass.config_entries.async_setup(annex.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "get_products")
    assert caught.value.translation_key == "site_needed"
    assert (await act(hass, "get_products", config_entry_id=annex.entry_id))["products"] == {}
    assert await hass.config_entries.async_unload(annex.entry_id)
    assert await hass.config_entries.async_unload(site.entry_id)
    with pytest.raises(ServiceValidationError) as caught:
        await act(hass, "get_products")
    assert caught.value.translation_key == "no_site"


class TestRunningTotal:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"running_total": True, "currency": "KRW"}

    async def test_the_total_follows_each_update_of_a_session(
        self, hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == []  # no session, nothing shown
        say("basket/1/status", "start")
        await hass.async_block_till_done(wait_background_tasks=True)
        say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        totals = [payload.split('"totalprice":')[1] for _, payload in sent(mqtt_mock)]
        assert totals == ["10800}}", "21600}}", "21600}}"]

    async def test_of_a_burst_the_last_total_is_told(
        self, hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/status", "start")
        for count in range(1, 9):
            say("basket/1/update", f'{{"id":1,"list":{{"MLON":{count}}}}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":86400}}')]

    async def test_nothing_is_told_without_every_price(
        self, hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/status", "start")
        say("basket/1/update", '{"id":1,"list":{"MLON":1,"XXXX":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == []
        await act(hass, "set_product", code="XXXX", price=200)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":11000}}')]

    async def test_a_new_price_is_no_problem_while_its_total_is_on_the_way(
        self, hass: HomeAssistant, say: Say, show: Show, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/status", "start")
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        mqtt_mock.async_publish.side_effect = HomeAssistantError("no echo yet")
        await act(hass, "set_product", code="MLON", price=500)
        assert show("sensor.basket_1_total_price").state == "450"
        assert show("binary_sensor.basket_1_problem").state == "off"

    async def test_a_total_that_is_not_taken_is_no_fault(
        self, hass: HomeAssistant, say: Say, mqtt_mock: MqttMockHAClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        mqtt_mock.async_publish.side_effect = HomeAssistantError("not connected")
        say("basket/1/status", "start")
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        assert "ERROR" not in caplog.text
        mqtt_mock.async_publish.side_effect = None
        say("basket/1/update", '{"id":1,"list":{"MLON":2}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        assert len(mqtt_mock.async_publish.call_args_list) == 2

    async def test_a_basket_that_is_deleted_is_told_nothing_more(
        self, hass: HomeAssistant, say: Say, site: MockConfigEntry, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/status", "start")
        await hass.async_block_till_done(wait_background_tasks=True)
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        assert site.runtime_data.remove("basket:basket/1")
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == []
        # We would hear our own command, and take the basket for one that is there.
        assert site.runtime_data.baskets.by_root == {}

    async def test_a_total_that_the_broker_missed_is_told_when_it_is_back(
        self, hass: HomeAssistant, say: Say, site: MockConfigEntry, mqtt_mock: MqttMockHAClient
    ) -> None:
        say("basket/1/status", "start")
        say("basket/2/status", "start")
        say("basket/2/update", '{"id":2,"list":{"WTMN":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        mqtt_mock.async_publish.side_effect = HomeAssistantError("not connected")
        say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
        await hass.async_block_till_done(wait_background_tasks=True)
        site.runtime_data._on_connection(False)
        mqtt_mock.async_publish.side_effect = None
        mqtt_mock.async_publish.reset_mock()
        site.runtime_data._on_connection(True)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":10800}}')]


async def test_a_running_total_that_is_switched_on_reaches_the_baskets_in_use(
    hass: HomeAssistant, say: Say, site: MockConfigEntry, mqtt_mock: MqttMockHAClient
) -> None:
    say("basket/1/status", "start")
    say("basket/1/update", '{"id":1,"list":{"MLON":1}}')
    say("basket/2/update", '{"id":2,"list":{"MLON":1}}')
    await hass.async_block_till_done()
    hass.config_entries.async_update_entry(site, options={"running_total": True})
    await hass.config_entries.async_reload(site.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert sent(mqtt_mock) == [("basket/1/status", '{"msg":"total","payload":{"basketid":1,"totalprice":10800}}')]


async def test_an_unreachable_client_is_offline(
    hass: HomeAssistant, say: Say, freezer: FrozenDateTimeFactory, site: MockConfigEntry, show: Show
) -> None:
    freezer.tick(1)
    say("basket/1/update", '{"id":1,"list":{}}')
    await hass.async_block_till_done()
    with patch.object(MQTT, "connected", False, create=True):
        site.runtime_data._on_connection(False)
        assert show("sensor.basket_1_items").state == "unavailable"
        with pytest.raises(ServiceValidationError):
            await act(hass, "start", entity_id="sensor.basket_1_items", only_if_online=True)
    site.runtime_data._on_connection(True)
    assert show("sensor.basket_1_items").state == "0"
