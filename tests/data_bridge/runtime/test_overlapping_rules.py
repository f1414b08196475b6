"""A topic rule beside an ingress of envelopes: a message goes both ways, and is tried again on that where it failed."""

import time

import orjson
import pytest

from data_bridge.dead_letters.store import DeadLetterStore
from tests.data_bridge.running import WAIT_SECONDS, BridgeProcess, Listener

RULE = "  - {topic: iot/+, path: payload.EXTRA, object: Extra, value_type: integer}\n"
MENDED = RULE.replace("integer", 'integer, enum: {"wet": 1}')


def envelope(trace: str | None) -> bytes:
    payload = {"Equip.Tag": "GPS001", "Message.ID": "GLL001", "VALUE": 37.5, "EXTRA": "wet"}
    return orjson.dumps({"header": {"UUID": trace} if trace else {}, "payload": payload})


@pytest.fixture
def overlapping(stopped_bridge: BridgeProcess) -> BridgeProcess:
    bridge = stopped_bridge
    mappings, devices = bridge.folder / "mappings.yaml", bridge.folder / "devices.yaml"
    mappings.write_text(mappings.read_text() + RULE)
    devices.write_text(devices.read_text().replace("objects:\n", "objects:\n  Extra: [VM-B]\n", 1))
    return bridge


def wait_for_letters(bridge: BridgeProcess, count: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    store = DeadLetterStore(bridge.folder / "data" / "dead-letters.sqlite", 100, 1024 * 1024)
    while store.count() != count:
        assert time.monotonic() < deadline, f"{store.count()} letters"
        time.sleep(0.02)
    store.close()


@pytest.mark.parametrize("trace", ["u1", None])
@pytest.mark.parametrize("protocol", ["5.0", "3.1.1"])
def test_a_letter_of_a_rule_is_replayed_by_that_rule_and_by_nothing_else(
    overlapping: BridgeProcess, listener: Listener, trace: str | None, protocol: str
) -> None:
    bridge = overlapping
    bridge.environment = {**bridge.environment, "IOT_DATA_BRIDGE_BROKER_PROTOCOL": protocol}
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    listener.publish("iot/ingress", envelope(trace))
    listener.wait("devices/vm-a/ingress")
    wait_for_letters(bridge, 1)
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text().replace(RULE, MENDED))
    assert listener.command(bridge.root, {"id": "r", "action": "reload"})["ok"]
    result = listener.command(bridge.root, {"id": "p", "action": "replay"})
    assert result["data"] == {"replayed": 1, "failed_again": 0, "already_delivered": 0, "open": 0}
    wait_for_letters(bridge, 0)
    assert listener.wait("devices/vm-b/ingress") == b'{"object":"Extra","value":1}'
    listener.publish("iot/ingress", envelope("u2"))
    listener.wait("devices/vm-b/ingress", lambda _: len(listener.on("devices/vm-b/ingress")) == 2)
    assert len(listener.on("devices/vm-a/ingress")) == 2


def test_try_shows_every_way_of_a_message(overlapping: BridgeProcess) -> None:
    done = overlapping.run("try", envelope("u1").decode())
    steps = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [name for name, _ in steps] == [
        "IngressEvent",
        "MappedEvent",
        "ResolvedEvent",
        "Delivery",
        "Delivery",
        "IngressEvent",
        "Skipped",
    ]
    assert done.returncode == 1


def test_the_letters_of_a_shared_ingress_are_replayed(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    bridge = stopped_bridge
    bridge.environment = {**bridge.environment, "IOT_DATA_BRIDGE_INGRESS_TOPICS": "$share/g/iot/ingress"}
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    listener.envelope("ENG001", "MOD001", 9, "u1")
    wait_for_letters(bridge, 1)
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text().replace("2: automatic", "2: automatic, 9: service"))
    assert listener.command(bridge.root, {"id": "r", "action": "reload"})["ok"]
    result = listener.command(bridge.root, {"id": "p", "action": "replay"})
    assert result["data"] == {"replayed": 1, "failed_again": 0, "already_delivered": 0, "open": 0}
    assert listener.wait("devices/vm-b/ingress") == b'{"object":"Engine1.Mode","value":"service"}'


def test_a_shared_topic_rule_maps_what_it_is_given(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    bridge = stopped_bridge
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(
        mappings.read_text() + '  - {topic: "$share/g/jobs/+", object: GPS.Latitude, value_type: float}\n'
    )
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    listener.publish("jobs/1", "5.5")
    assert listener.wait("devices/vm-a/ingress") == b'{"object":"GPS.Latitude","value":5.5}'
    done = bridge.run("try", "6.5", "--topic", "jobs/2")
    assert '"value":6.5' in done.stdout
