"""From the wire to Home Assistant and back, with every part real: what a user gets after one command."""

import asyncio
import json

import pytest

from development.data_source import INGRESS, envelope
from development.home_assistant_api import Json, JsonObject
from development.stack import BASKETS, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

BASKET = BASKETS[0][0]


class States:
    """Every state of the entities of one device from now on, so that a fast change cannot be missed."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()

    def record(self, event: JsonObject) -> None:
        data = event["data"]
        assert isinstance(data, dict)
        state = data["new_state"]
        if isinstance(state, dict):
            self._seen.add((str(state["entity_id"]), str(state["state"])))
            self._changed.set()

    async def wait_for(self, entity_id: str, state: str) -> None:
        async with asyncio.timeout(10):
            while (entity_id, state) not in self._seen:
                self._changed.clear()
                await self._changed.wait()


async def entities(stack: Stack, identifier: str) -> dict[str, str]:
    """Return the entity ids of the device with an identifier, by the part of their unique id after it."""
    devices = await stack.api.call("config/device_registry/list")
    assert isinstance(devices, list)
    device = next(device for device in devices if isinstance(device, dict) and identifier in str(device["identifiers"]))
    registry = await stack.api.call("config/entity_registry/list")
    assert isinstance(registry, list)
    found: dict[str, str] = {}
    for entity in registry:
        assert isinstance(entity, dict)
        if entity["device_id"] == device["id"]:
            found[str(entity["translation_key"] or entity["unique_id"])] = str(entity["entity_id"])
    return found


async def test_start_reaches_the_basket_and_its_next_update_is_the_entitys_state(stack: Stack) -> None:
    basket = await entities(stack, BASKET)
    states = States()
    async with stack.api.subscribe("subscribe_events", states.record, event_type="state_changed"):
        with (
            stack.observer.expect(f"{BASKET}/status") as command,
            stack.observer.expect(f"{BASKET}/update") as update,
        ):
            await stack.api.action("iot_data_bridge", "start", {}, {"entity_id": basket["session"]})
            payload = await stack.observer.within(10, command, "the basket was sent no command")
            contents = json.loads(await stack.observer.within(20, update, "the basket sent no update"))
        assert payload in (b"start", b'{"msg":"start"}')
        await states.wait_for(basket["session"], "active")
        await states.wait_for(basket["items"], str(sum(contents["list"].values())))


async def test_end_reaches_the_basket(stack: Stack) -> None:
    basket = await entities(stack, BASKET)
    with stack.observer.expect(f"{BASKET}/status", lambda payload: b"end" in payload) as command:
        await stack.api.action("iot_data_bridge", "end", {}, {"entity_id": basket["session"]})
        await stack.observer.within(10, command, "the basket was sent no command")
    await stack.api.wait_for_state(basket["session"].replace(".", r"\."), lambda state: state == "idle")


async def test_total_is_sent_in_the_form_that_fielded_controllers_read(stack: Stack) -> None:
    basket = await entities(stack, BASKET)
    with stack.observer.expect(f"{BASKET}/status", lambda payload: b"total" in payload) as command:
        await stack.api.action("iot_data_bridge", "total", {"total_price": 12345}, {"entity_id": basket["session"]})
        payload = await stack.observer.within(10, command, "the basket was sent no command")
    assert json.loads(payload) == {"msg": "total", "payload": {"basketid": 1, "totalprice": 12345}}


async def test_a_printer_shows_its_progress(stack: Stack) -> None:
    def printing(state: str) -> bool:
        return state not in {"unknown", "unavailable"} and 0 < float(state) < 100

    await stack.api.wait_for_state(r"sensor\..*_progress", printing, timeout=60)


async def test_an_envelope_arrives_at_its_device_and_as_its_sensor(stack: Stack) -> None:
    # Its own readings would come after ours and replace them before the bridge's next announcement.
    stack.programs["source"].stop()
    states = States()
    async with stack.api.subscribe("subscribe_events", states.record, event_type="state_changed"):
        with stack.observer.expect("devices/vm-a/ingress", lambda payload: b"12.3456" in payload) as delivered:
            stack.observer.publish(INGRESS, envelope("GPS001", "GLL001", 12.3456))
            payload: Json = json.loads(await stack.observer.within(10, delivered, "nothing was delivered"))
        assert isinstance(payload, dict)
        assert (payload["object"], payload["value"]) == ("GPS.Latitude", 12.3456)
        sensor = next(entity for entity in await stack.api.states() if "vm_a" in entity and "latitude" in entity)
        await states.wait_for(sensor, "12.3456")
