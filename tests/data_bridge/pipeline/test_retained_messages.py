"""Messages that the broker has kept: each topic rule takes or ignores them."""

from pathlib import Path

import pytest

from data_bridge.reasons import Reason
from development.mosquitto import Mosquitto
from tests.data_bridge.carried import Carried
from tests.data_bridge.running import BridgeProcess, Listener

MAPPINGS = """\
mappings:
  - {topic: both, object: Taken, value_type: text}
  - {topic: both, object: Ignored, value_type: text, retained: ignore}
  - {topic: ignored, object: Ignored, value_type: text, retained: ignore}
  - {topic: taken, object: Taken, value_type: text, retained: take}
"""
DEVICES = "objects: {Taken: [A], Ignored: [A]}\n"


@pytest.fixture
def carried(tmp_path: Path) -> Carried:
    return Carried(tmp_path, MAPPINGS, DEVICES)


async def test_unless_told_otherwise_a_kept_message_is_taken(carried: Carried) -> None:
    carried.connection.retained = True
    assert carried.topic(b"x", "taken").payloads == [b'{"object":"Taken","value":"x"}']


async def test_a_rule_that_ignores_kept_messages_hinders_no_other(carried: Carried) -> None:
    carried.connection.retained = True
    assert carried.topic(b"x", "both").payloads == [b'{"object":"Taken","value":"x"}']
    assert carried.reasons == {}


async def test_a_kept_message_that_every_rule_ignores_is_counted_and_acknowledged(carried: Carried) -> None:
    carried.connection.retained = True
    carried.topic(b"x", "ignored", delivery=7)
    assert carried.payloads == []
    assert carried.reasons == {Reason.RETAINED: 1}
    assert carried.details == []
    assert carried.connection.acknowledged == [7]


async def test_a_new_message_is_no_kept_one(carried: Carried) -> None:
    assert carried.topic(b"x", "ignored").payloads == [b'{"object":"Ignored","value":"x"}']


def test_what_the_broker_kept_is_not_taken_at_a_restart(
    broker: Mosquitto, stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    del broker
    (stopped_bridge.folder / "mappings.yaml").write_text(MAPPINGS)
    (stopped_bridge.folder / "devices.yaml").write_text(DEVICES)
    listener.client.publish("ignored", "kept", 1, retain=True).wait_for_publish(20)
    listener.client.publish("taken", "kept", 1, retain=True).wait_for_publish(20)
    stopped_bridge.start()
    listener.wait("devices/a/ingress", lambda payload: b'"Taken"' in payload)
    listener.publish("ignored", "new")
    listener.wait("devices/a/ingress", lambda payload: b'"Ignored"' in payload)
    assert [each for each in listener.on("devices/a/ingress") if b'"Ignored"' in each] == [
        b'{"object":"Ignored","value":"new"}'
    ]
