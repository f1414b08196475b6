"""From the wire to Home Assistant and back, with every part real: what a user gets after one command."""

import asyncio
import json
import os
import re
import signal

import pytest

from development.data_source import INGRESS, envelope
from development.home_assistant_api import Json, JsonObject
from development.stack import BASKETS, BRIDGE_ID, PRINTER_TOPIC, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

BASKET = BASKETS[0][0]
PRINTER = PRINTER_TOPIC.rsplit("/", 1)[1]


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


async def entity(stack: Stack, unique_id: str) -> str:
    """Return the entity id of an entity of ours."""
    registry = await stack.api.call("config/entity_registry/list")
    assert isinstance(registry, list)
    return next(
        str(entry["entity_id"])
        for entry in registry
        if isinstance(entry, dict) and (entry["platform"], entry["unique_id"]) == ("iot_data_bridge", unique_id)
    )


async def test_start_reaches_the_basket_and_its_next_update_is_the_entitys_state(stack: Stack) -> None:
    session = await entity(stack, f"basket:{BASKET}:session")
    states = States()
    async with stack.api.subscribe("subscribe_events", states.record, event_type="state_changed"):
        async with (
            stack.observer.expect(f"{BASKET}/status") as command,
            stack.observer.expect(f"{BASKET}/update") as update,
        ):
            await stack.api.action("iot_data_bridge", "start", {}, {"entity_id": session})
            payload = await stack.observer.within(10, command, "the basket was sent no command")
            contents = json.loads(await stack.observer.within(20, update, "the basket sent no update"))
        assert payload in (b"start", b'{"msg":"start"}')
        await states.wait_for(session, "active")
        items = await entity(stack, f"basket:{BASKET}:items")
        await states.wait_for(items, str(sum(contents["list"].values())))


async def test_total_is_on_the_baskets_display(stack: Stack) -> None:
    session = await entity(stack, f"basket:{BASKET}:session")
    async with stack.observer.expect(f"{BASKET}/status", lambda payload: b"total" in payload) as command:
        await stack.api.action("iot_data_bridge", "total", {"total_price": 12345}, {"entity_id": session})
        payload = await stack.observer.within(10, command, "the basket was sent no command")
    assert json.loads(payload) == {"msg": "total", "payload": {"basketid": 1, "totalprice": 12345}}
    async with asyncio.timeout(10):
        while "LCD Total Price: / 12,345 원" not in stack.programs["basket-1"].said():
            await stack.observer.settle()


async def test_a_restart_of_home_assistant_in_the_middle_of_a_session_loses_nothing(stack: Stack) -> None:
    keys = ("session", "items", "distinct_products", "session_started")
    facts = [await entity(stack, f"basket:{BASKET}:{key}") for key in keys]
    # Nothing on the basket's wire is retained, and it says nothing new in between.
    os.kill(stack.programs["basket-1"].process_id, signal.SIGSTOP)
    try:
        await stack.observer.settle()
        before = await stack.api.states()
        await stack.restart_home_assistant()
        for fact in facts:
            expected = str(before[fact]["state"])
            await stack.api.wait_for_state(re.escape(fact), expected.__eq__)
    finally:
        os.kill(stack.programs["basket-1"].process_id, signal.SIGCONT)


async def test_end_reaches_the_basket(stack: Stack) -> None:
    session = await entity(stack, f"basket:{BASKET}:session")
    async with stack.observer.expect(f"{BASKET}/status", lambda payload: b"end" in payload) as command:
        await stack.api.action("iot_data_bridge", "end", {}, {"entity_id": session})
        await stack.observer.within(10, command, "the basket was sent no command")
    await stack.api.wait_for_state(re.escape(session), lambda state: state == "idle")


async def test_a_printer_shows_its_progress(stack: Stack) -> None:
    def printing(state: str) -> bool:
        return state not in {"unknown", "unavailable"} and 0 < float(state) < 100

    progress = await entity(stack, f"printer:{PRINTER}:progress")
    await stack.api.wait_for_state(re.escape(progress), printing, timeout=60)


async def test_an_envelope_arrives_at_its_device_and_as_its_sensor(stack: Stack) -> None:
    # Its own readings would come after ours and replace them before the bridge's next announcement.
    stack.programs["source"].stop()
    states = States()
    async with stack.api.subscribe("subscribe_events", states.record, event_type="state_changed"):
        async with stack.observer.expect("devices/vm-a/ingress", lambda payload: b"12.3456" in payload) as delivered:
            stack.observer.publish(INGRESS, envelope("GPS001", "GLL001", 12.3456))
            payload: Json = json.loads(await stack.observer.within(10, delivered, "nothing was delivered"))
        assert isinstance(payload, dict)
        assert (payload["object"], payload["value"]) == ("GPS.Latitude", 12.3456)
        sensor = await entity(stack, f"bridged:{BRIDGE_ID}/VM-A/GPS.Latitude")
        await states.wait_for(sensor, "12.3456")
