"""Names that a rule makes of a topic: what reaches the object, and what is refused."""

from pathlib import Path

from data_bridge.reasons import Reason
from tests.data_bridge.carried import Carried

MAPPINGS = """\
mappings:
  - {topic: a/+, object: "{1}.V", value_type: float}
  - {topic: b/+, object: "{1}.V", value_type: text}
"""
DEVICES = """\
objects:
  x.V: {devices: [A], value_type: float}
  y.V: {devices: [A], value_type: text}
"""


async def test_each_rule_feeds_the_objects_of_its_type(tmp_path: Path) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    carried.topic(b"1.50", "a/x").topic(b"1.50", "b/y")
    assert carried.payloads == [b'{"object":"x.V","value":1.5}', b'{"object":"y.V","value":"1.50"}']


async def test_a_value_of_another_type_than_is_announced_does_not_go_out(tmp_path: Path) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    carried.topic(b"1.5", "a/y").topic(b"warm", "b/x")
    assert carried.payloads == []
    assert carried.reasons == {Reason.UNKNOWN_OBJECT: 2}
    assert carried.details == [
        "the device catalog knows y.V as text, and the rule makes float",
        "the device catalog knows x.V as float, and the rule makes text",
    ]


async def test_a_name_that_the_device_catalog_lacks_is_told(tmp_path: Path) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES).topic(b"1.5", "a/z")
    assert carried.details == ["the device catalog does not know z.V"]
