"""A broker that takes no packet above a size: what can never pass is a dead letter, and everything else goes on."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from development.mosquitto import Mosquitto
from tests.data_bridge.running import BridgeProcess, Listener, wait_for_log

LIMIT = 20_000
# Each quotation mark is two bytes in JSON, so that what just came in is too large to go out.
LARGE = b'"' * 15_000
MAPPINGS = """\
mappings:
  - {topic: in/+, object: Text, value_type: text, qos: QOS}
"""
DEVICES = """\
objects: {Text: [D]}
devices: {D: {mqtt: {topic: out/d, qos: QOS}}}
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", settings=(f"max_packet_size {LIMIT}",)) as running:
        yield running


@pytest.fixture(params=[0, 1])
def limited(
    request: pytest.FixtureRequest, stopped_bridge: BridgeProcess, listener: Listener
) -> Iterator[BridgeProcess]:
    folder = stopped_bridge.folder
    (folder / "mappings.yaml").write_text(MAPPINGS.replace("QOS", str(request.param)))
    (folder / "devices.yaml").write_text(DEVICES.replace("QOS", str(request.param)))
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    yield stopped_bridge
    stopped_bridge.close()


def value_is(value: str) -> dict[str, str]:
    return {"object": "Text", "value": value}


def test_a_delivery_above_the_brokers_limit_is_a_dead_letter_and_the_others_go_on(
    limited: BridgeProcess, listener: Listener
) -> None:
    listener.publish("in/a", "before", 0)
    listener.publish("in/a", LARGE, 0)
    listener.publish("in/a", "after", 0)
    listener.wait("out/d", lambda payload: orjson.loads(payload) == value_is("after"))
    assert [orjson.loads(payload) for payload in listener.on("out/d")] == [value_is("before"), value_is("after")]
    letters = listener.command(limited.root, {"id": "l", "action": "dead_letters"})["data"]
    assert isinstance(letters, dict)
    (letter,) = letters["dead_letters"]
    assert (letter["reason"], letter["device"], letter["object"]) == ("refused", "D", "Text")
    metrics = listener.command(limited.root, {"id": "m", "action": "metrics"})["data"]
    assert isinstance(metrics, dict)
    assert (metrics["queue_depth"], metrics["backlog"]) == (0, 0)


def test_a_state_above_the_brokers_limit_is_said_once_and_announced_when_it_fits(
    limited: BridgeProcess, listener: Listener
) -> None:
    for number in range(3):
        listener.publish("in/a", LARGE + b"%d" % number, 0)
        listener.publish("in/a", LARGE, 0)
    complaint = wait_for_log(limited, "announcement_refused")
    assert str(complaint["last"]).startswith(f"{limited.root}/state/D: the broker takes packets of {LIMIT} bytes")
    listener.publish("in/a", "small", 0)
    listener.wait(f"{limited.root}/state/D", lambda payload: orjson.loads(payload)["values"] == {"Text": "small"})
    assert limited.log.read_text().count("announcement_refused") == 1
