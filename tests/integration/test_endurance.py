"""What baskets are put through: payloads that nobody should send, and two hours of a busy shop.

The full numbers take minutes: IOT_DATA_BRIDGE_PAYLOADS=1000000 and IOT_DATA_BRIDGE_REPLAY_SECONDS=7200 with
IOT_DATA_BRIDGE_REPLAY_BASKETS=200 run them.
"""

import json
import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import Event, EventStateChangedData, EventStateReportedData, HomeAssistant, callback
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.iot_data_bridge.device_collection import Handler
from custom_components.iot_data_bridge.devices.topics import Channel
from custom_components.iot_data_bridge.hub import Hub

PAYLOADS = int(os.environ.get("IOT_DATA_BRIDGE_PAYLOADS", "20000"))
REPLAY_SECONDS = int(os.environ.get("IOT_DATA_BRIDGE_REPLAY_SECONDS", "120"))
REPLAY_BASKETS = int(os.environ.get("IOT_DATA_BRIDGE_REPLAY_BASKETS", "20"))

SEEDS = (
    b'{"id":1,"list":{"MLON":2,"WTMN":1}}',
    b'{"id":"1","list":{},"weight":1250.5,"battery":81,"rssi":-58,"location":"A3","error":"E1"}',
    b"start",
    b"end",
    b'{"msg":"start"}',
    b'{"msg":"end"}',
    b'{"msg":"total","payload":{"basketid":1,"totalprice":15000}}',
    b'{"msg":"total","payload":{"basketId":1,"totalPrice":"15000.5"}}',
    b"online",
    b"offline",
    b'{"state":"active","since":"2026-11-21T09:00:46Z","id":1}',
    b'{"state":"idle","since":null,"id":"1"}',
    b"",
)
PIECES = (
    b"null",
    b"-1",
    b"1e308",
    b"1e999999999",
    b'"1e-999999999"',
    b"9" * 400,
    b"NaN",
    b'"',
    b"{",
    b"}",
    b"[" * 50,
    b"\xff",
    b"\x00",
    "가".encode(),
    b"\\ud800",
)


def payloads(count: int) -> Iterator[bytes]:
    """Yield random bytes, and messages in which bytes were changed, cut, doubled or replaced."""
    source = random.Random(5)  # noqa: S311 -- repeatable, not secret
    for _ in range(count):
        kind = source.random()
        if kind < 0.2:
            yield source.randbytes(source.randrange(64))
            continue
        message = bytearray(source.choice(SEEDS))
        for _ in range(source.randrange(4)):
            place = source.randrange(len(message) + 1)
            match source.randrange(4):
                case 0:
                    message[place : place + 1] = source.randbytes(1)
                case 1:
                    del message[place : place + source.randrange(8)]
                case 2:
                    message[place:place] = message[place : place + source.randrange(16)]
                case _:
                    message[place : place + source.randrange(4)] = source.choice(PIECES)
        yield bytes(message)


@pytest.mark.timeout(3600)
async def test_no_payload_on_any_basket_topic_is_an_exception(
    hass: HomeAssistant, site: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    hub: Hub = site.runtime_data
    topics = {
        "basket/1/update": Channel.BASKET_UPDATE,
        "basket/1/status": Channel.BASKET_COMMAND,
        "basket/1/availability": Channel.BASKET_AVAILABILITY,
        "basket/1/session": Channel.BASKET_SESSION,
    }
    refused = hub.refusals.counts
    accepted = 0
    for number, payload in enumerate(payloads(PAYLOADS)):
        for topic, channel in topics.items():
            before = refused.total()
            # A defect of a handler is logged as an error.
            hub.dispatch(channel, ReceiveMessage(topic, payload, 1, False, topic, 0.0))
            accepted += refused.total() == before
        if number % 5000 == 0:
            await hass.async_block_till_done()
    await hass.async_block_till_done()
    # Both kinds were really there, and what was written could be written.
    assert accepted > PAYLOADS / 20
    assert refused.total() > PAYLOADS
    assert "Traceback" not in caplog.text
    assert "ERROR" not in caplog.text


class BusyShop:
    """Shoppers, controllers that repeat themselves, and servers that do too."""

    def __init__(self, hub: Hub) -> None:
        self.contents: list[dict[str, int]] = [{} for _ in range(REPLAY_BASKETS)]
        self._update, self._command, self._availability, self._session = hub.baskets.handlers().values()
        self._random = random.Random(5)  # noqa: S311 -- repeatable, not secret
        self._shelves = [f"P{number:03}" for number in range(30)] + ["MLON"]

    def open(self) -> None:
        """Let every basket speak once."""
        for number in range(REPLAY_BASKETS):
            self._say(self._update, f"basket/{number}/update", b'{"list":{}}')

    def pass_second(self) -> None:
        """Let every basket publish, most of them nothing new."""
        choice = self._random.choice
        for number, basket in enumerate(self.contents):
            chance = self._random.random()
            if chance < 0.002:
                self._say(self._command, f"basket/{number}/status", choice((b"start", b"end", b'{"msg":"start"}')))
            elif chance < 0.004:
                self._say(self._availability, f"basket/{number}/availability", choice((b"online", b"offline")))
            elif chance < 0.005:
                session = (
                    b'{"state":"' + choice((b"active", b"idle")) + b'","since":null,"id":' + str(number).encode() + b"}"
                )
                self._say(self._session, f"basket/{number}/session", session)
            elif chance < 0.006:
                total = b'{"msg":"total","payload":{"totalprice":' + choice((b"12000", b"0")) + b"}}"
                self._say(self._command, f"basket/{number}/status", total)
            elif chance < 0.05:
                code = choice(self._shelves)
                if basket.pop(code, None) is None:
                    basket[code] = self._random.randrange(1, 4)
            self._say(self._update, f"basket/{number}/update", json.dumps({"id": number, "list": basket}).encode())

    def _say(self, handle: Handler, topic: str, payload: bytes) -> None:
        handle(ReceiveMessage(topic, payload, 0, False, "", 0.0))


class Writes:
    """Counts what reaches the state machine."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.changed = 0
        self.unchanged = 0
        self._stops = (
            hass.bus.async_listen("state_changed", self._on_change),
            hass.bus.async_listen("state_reported", self._on_report, callback(lambda _: True)),
        )

    def stop(self) -> None:
        """Count no more."""
        for stop in self._stops:
            stop()

    @callback
    def _on_change(self, event: Event[EventStateChangedData]) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        if old is not None and new is not None and (old.state, old.attributes) == (new.state, new.attributes):
            self.unchanged += 1
        else:
            self.changed += 1

    @callback
    def _on_report(self, _: Event[EventStateReportedData]) -> None:
        self.unchanged += 1


@pytest.mark.timeout(3600)
async def test_a_busy_shop_writes_no_state_that_did_not_change(
    hass: HomeAssistant,
    site: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    record_property: Callable[[str, object], None],
) -> None:
    await hass.services.async_call("iot_data_bridge", "set_product", {"code": "MLON", "price": 12000}, blocking=True)
    shop = BusyShop(site.runtime_data)
    shop.open()
    await hass.async_block_till_done()
    writes = Writes(hass)
    for second in range(REPLAY_SECONDS):
        shop.pass_second()
        freezer.tick(timedelta(seconds=1))
        if second % 5 == 0:
            async_fire_time_changed(hass)
            await hass.async_block_till_done()
    await hass.async_block_till_done()
    writes.stop()
    record_property("states_written", writes.changed)
    assert writes.changed > REPLAY_SECONDS / 10
    assert writes.unchanged == 0
    shown = hass.states.get("sensor.basket_0_items")
    assert shown is not None
    assert shown.state == str(sum(shop.contents[0].values()))
