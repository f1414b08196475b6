"""The ways of a message: what the hot path does is what they say, and a letter goes on by the rules that it came to."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_bridge.catalog.loader import load
from data_bridge.dead_letters.letter import DeadLetter, Origin, OriginKind
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.explain import Delivery, Skipped, explain
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.pipeline.ways import Refusal, TopicWay
from data_bridge.reasons import Reason
from data_bridge.settings import CatalogSettings, DeduplicationSettings, IngressSettings, Settings
from tests.data_bridge.connections import ScriptedConnection

MAPPINGS = """\
mappings:
  - {equip_tag: T, message_id: M, object: Number, value_type: float}
  - {equip_tag: T, message_id: "5", object: Nowhere, value_type: text}
  - {topic: iot/+, path: payload.EXTRA, object: "Extra.{1}", value_type: integer}
  - {topic: iot/+, path: payload.VALUE, object: Text, value_type: text}
  - {topic: a/+, path: x, object: Both, value_type: integer}
  - {topic: a/+, path: y, object: Both, value_type: integer}
  - {topic: +/b, path: z, object: Other, value_type: integer}
  - {topic: one/path, path: payload.VALUE, object: Path, value_type: float}
  - {topic: one/text, object: Plain, value_type: text}
  - {topic: one/none, path: payload, object: Nowhere, value_type: text}
"""
DEVICES = """\
objects:
  Number: [A, C]
  Nowhere: []
  Extra.ingress: [A]
  Text: [T]
  Both: [A]
  Other: [A]
  Path: [A, C]
  Plain: [A]
devices:
  T: {mqtt: {topic: "t/{object}", qos: 0, payload: "v={value}"}}
"""


TOPICS = ["iot/ingress", "iot/x", "a/b", "a/c", "one/path", "one/text", "one/none"]


class Bridge:
    """A pipeline against a broker that the test plays, and what became dead letters."""

    def __init__(self, folder: Path, mappings: str = MAPPINGS) -> None:
        (folder / "mappings.yaml").write_text(mappings)
        (folder / "devices.yaml").write_text(DEVICES)
        self.settings = Settings(
            catalogs=CatalogSettings(mappings=folder / "mappings.yaml", devices=folder / "devices.yaml"),
            deduplication=DeduplicationSettings(persist=False),
            ingress=IngressSettings(topics=("iot/ingress",), maximum_bytes=500),
            data_directory=folder,
        )
        self.connection = ScriptedConnection()
        self.letters: list[DeadLetter] = []
        self.pipeline = Pipeline(
            self.connection,
            self.settings,
            load(self.settings.catalog_files()),
            self._store,
            LimitedLog(lambda *_: None),
        )
        self.pipeline.start()
        self.delivery = 0

    def _store(self, letter: DeadLetter, on_stored: Callable[[], None]) -> None:
        self.letters.append(letter)
        on_stored()

    def take(self, topic: str, payload: bytes) -> list[tuple[str, bytes]]:
        """Let the bridge take a message, and return what it sent."""
        self.delivery += 1
        self.connection.deliver(topic, payload, self.delivery)
        sent = self.connection.take()
        for each in sent:
            if each.qos:
                each.answer(0)
        return [(each.topic, each.payload) for each in sent]


type Make = Callable[..., Bridge]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return partial(Bridge, tmp_path)


scalars = st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats(allow_nan=False) | st.sampled_from("TMx5")
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.sampled_from("TMxyz"), scalars, max_size=2)
bodies = st.dictionaries(
    st.sampled_from(["Equip.Tag", "Message.ID", "VALUE", "EXTRA"]), st.sampled_from(["T", "M", 5, "5"]) | values
)
likely = st.fixed_dictionaries(
    {"Equip.Tag": st.sampled_from(["T", "T", "x"]), "Message.ID": st.sampled_from(["M", 5]), "VALUE": values},
    optional={"EXTRA": values},
)
headers = st.fixed_dictionaries({}, optional={"UUID": values | st.text(max_size=70)}) | values
envelopes = st.fixed_dictionaries({}, optional={"header": headers, "payload": likely | bodies | values})
# Not by orjson, which writes no more than 64 bits.
payloads = (envelopes | values).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=520)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(payload=payloads, topic=st.sampled_from(TOPICS))
async def test_what_is_sent_and_skipped_is_what_is_explained(tmp_path: Path, payload: bytes, topic: str) -> None:
    bridge = Bridge(tmp_path)
    ways = bridge.pipeline.ways.of_topic(topic)
    steps = explain(ways, topic, payload, maximum_bytes=bridge.settings.ingress.maximum_bytes)
    sent = bridge.take(topic, payload)
    assert sorted(sent) == sorted((each.topic, each.payload.encode()) for each in steps if isinstance(each, Delivery))
    explained = [each.reason for each in steps if isinstance(each, Skipped)]
    if explained == [Reason.TOO_LARGE]:
        explained *= len(ways)
    counted = [reason for reason, count in bridge.pipeline.skipped().items() for _ in range(count)]
    assert sorted(counted) == sorted(explained)
    # Nothing hangs: what was not delivered is a letter, or only counted.
    assert bridge.connection.acknowledged.count(bridge.delivery) == len(ways)


async def test_a_message_takes_all_of_its_ways(make: Make) -> None:
    bridge = make()
    payload = orjson.dumps({"payload": {"Equip.Tag": "T", "Message.ID": "M", "VALUE": 1.5, "EXTRA": 3}})
    assert sorted(bridge.take("iot/ingress", payload)) == [
        ("devices/a/ingress", b'{"object":"Extra.ingress","value":3}'),
        ("devices/a/ingress", b'{"object":"Number","value":1.5}'),
        ("devices/c/ingress", b'{"object":"Number","value":1.5}'),
        ("t/Text", b"v=1.5"),
    ]


# ---------------------------------------------------------------- letters


def rules(bridge: Bridge, letter: DeadLetter) -> list[tuple[str, str | None]] | str:
    """Return filters and paths of the rules by which a letter goes on."""
    way = bridge.pipeline.ways.of_letter(letter)
    return [(rule.topic_filter, rule.rule.path) for rule in way.rules] if isinstance(way, TopicWay) else "envelope"


async def test_a_letter_remembers_the_rules_that_it_came_to(make: Make) -> None:
    bridge = make()
    bridge.take("iot/ingress", orjson.dumps({"payload": {"Equip.Tag": "T", "Message.ID": "M", "VALUE": "wet"}}))
    bridge.take("a/c", b'{"x":1,"y":"wet"}')
    bridge.take("iot/x", b"rubbish")
    of_envelope, of_part, of_topic = bridge.letters
    assert of_envelope.origin == Origin(OriginKind.ENVELOPE)
    assert of_part.origin == Origin(OriginKind.TOPIC, ("a/+",), "y")
    assert of_topic.origin == Origin(OriginKind.TOPIC, ("iot/+",))
    assert rules(bridge, of_envelope) == "envelope"
    # The other rule of the same object has delivered what it found.
    assert rules(bridge, of_part) == [("a/+", "y")]
    assert rules(bridge, of_topic) == [("iot/+", "payload.EXTRA"), ("iot/+", "payload.VALUE")]


LETTER = DeadLetter(Reason.CAST_FAILED, "", "", "", "", "a/b", 1, False, b"{}", 0)


def of(letter: DeadLetter, kind: OriginKind, *filters: str, path: str | None = None) -> DeadLetter:
    return replace(letter, origin=Origin(kind, filters, path))


async def test_of_two_copies_a_letter_holds_its_own(make: Make) -> None:
    bridge = make()
    assert rules(bridge, of(LETTER, OriginKind.TOPIC, "+/b")) == [("+/b", "z")]
    assert rules(bridge, of(LETTER, OriginKind.TOPIC, "a/+")) == [("a/+", "x"), ("a/+", "y")]


async def test_a_rule_whose_filter_or_path_was_mended_takes_its_letters(make: Make) -> None:
    bridge = make(
        MAPPINGS.replace("topic: +/b, path: z", "topic: +/b/#, path: w").replace(
            "iot/+, path: payload.EXTRA", "iot/+, path: payload.MORE"
        )
    )
    assert rules(bridge, replace(of(LETTER, OriginKind.TOPIC, "+/b", path="z"), object="Other")) == [("+/b/#", "w")]
    part = replace(of(LETTER, OriginKind.TOPIC, "iot/+", path="payload.EXTRA"), topic="iot/x", object="Extra.x")
    assert rules(bridge, part) == [("iot/+", "payload.MORE")]


async def test_a_letter_whose_rule_is_gone_is_refused(make: Make) -> None:
    bridge = make()
    ambiguous = replace(of(LETTER, OriginKind.TOPIC, "a/+", path="gone"), object="Both")
    for letter in (replace(LETTER, topic="none"), ambiguous, replace(LETTER, object="None")):
        with pytest.raises(Refusal) as caught:
            bridge.pipeline.ways.of_letter(letter)
        assert caught.value.reason is Reason.UNKNOWN_KEY


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"trace_id": "u1"}, "envelope"),
        ({"reason": Reason.INVALID_JSON, "payload": b"{"}, "envelope"),
        ({"reason": Reason.WRONG_SHAPE, "payload": b"[]"}, "envelope"),
        ({"reason": Reason.MISSING_FIELD, "payload": b'{"header":{}}'}, "envelope"),
        ({"reason": Reason.MISSING_FIELD, "payload": b'{"payload":{}}'}, "topic"),
        ({"reason": Reason.CAST_FAILED}, "topic"),
        ({"reason": Reason.NOT_TEXT}, "topic"),
        ({"reason": Reason.INVALID_JSON, "object": "Text"}, "topic"),
    ],
)
async def test_a_letter_of_an_earlier_version_goes_on_by_the_way_that_it_must_have_come(
    make: Make, changes: dict[str, object], kind: str
) -> None:
    bridge = make()
    letter = replace(LETTER, topic="iot/ingress", **changes)  # type: ignore[arg-type]  # fields of a letter
    assert (rules(bridge, letter) == "envelope") == (kind == "envelope")
    assert rules(bridge, replace(letter, topic="a/b", object="")) != "envelope"
