"""An empty payload, which removes a retained message: it is no value, and no loss."""

from pathlib import Path

import pytest

from data_bridge.pipeline.explain import Skipped, explain
from tests.data_bridge.carried import Carried

MAPPINGS = """mappings:
  - {equip_tag: t, message_id: m, object: Value, value_type: float}
  - {topic: in, object: Value, value_type: float}
  - {topic: text, object: Text, value_type: text}
  - {topic: json, path: a, object: Value, value_type: float}
"""
DEVICES = "objects: {Value: [D], Text: [D]}\n"


@pytest.mark.parametrize("topic", ["in", "text", "json", "iot/ingress"])
async def test_an_empty_payload_is_counted_as_cleared_and_delivers_and_stores_nothing(
    tmp_path: Path, topic: str
) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    carried.connection.deliver(topic, b"", 7)
    assert carried.payloads == []
    assert carried.reasons == {"cleared": 1}
    assert carried.details == []
    assert carried.said == []
    assert carried.connection.acknowledged == [7]


@pytest.mark.parametrize("topic", ["in", "text", "json", "iot/ingress"])
async def test_try_says_so_too(tmp_path: Path, topic: str) -> None:
    ways = Carried(tmp_path, MAPPINGS, DEVICES).pipeline.ways.of_topic(topic)
    (step,) = explain(ways, topic, b"", maximum_bytes=100)
    assert isinstance(step, Skipped)
    assert (step.layer, step.reason) == ("input", "cleared")


async def test_an_empty_text_in_json_is_a_value(tmp_path: Path) -> None:
    assert Carried(tmp_path, MAPPINGS, DEVICES).topic(b'""', "text").value == ""
