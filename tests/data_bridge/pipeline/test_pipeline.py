"""A message's way through the layers against a broker that the test plays: what is sent, and what acknowledged."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.casts import Value
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.reasons import Reason
from data_bridge.settings import (
    DeadLetterSettings,
    DeduplicationSettings,
    DeliverySettings,
    EgressSettings,
    IngressSettings,
    Settings,
)
from data_bridge.settings_loader import load_settings
from tests.data_bridge.connections import ScriptedConnection

MAPPINGS = """\
mappings:
  - {equip_tag: GPS001, message_id: GLL001, object: GPS.Latitude, value_type: float}
  - {equip_tag: "7", message_id: "1", object: Engine.Speed, value_type: integer}
  - {equip_tag: ENG, message_id: RUN, object: Engine.Running, value_type: boolean}
  - {equip_tag: LOST, message_id: L, object: Nobody.Wants, value_type: text}
  - {equip_tag: SIG, message_id: S, object: Signal.Only, value_type: text}
  - {equip_tag: TPL, message_id: T, object: Templated, value_type: text}
  - {topic: sensors/+/climate, path: data.temperature, object: "{1}.Temperature", value_type: float, scale: 0.1}
  - {topic: sensors/+/climate, path: data.humidity, object: "{1}.Humidity", value_type: integer}
  - {topic: plain/#, object: Plain, value_type: text}
"""
DEVICES = """\
objects:
  GPS.Latitude: [VM-A, VM-C]
  Engine.Speed: [VM-A]
  Engine.Running: [VM-A]
  Signal.Only: [SIG-1]
  Templated: [VM-T]
  hall.Temperature: [VM-A]
  hall.Humidity: [VM-A]
  Plain: [VM-A]
devices:
  SIG-1: {signalr: {group: g}}
  VM-T: {mqtt: {topic: "t/{device}/{object}", qos: 0, payload: '{"v":{value},"by":"{trace_id}"}'}}
"""


@dataclass
class Harness:
    """A pipeline, its broker, and what was dead-lettered."""

    connection: ScriptedConnection
    pipeline: Pipeline
    letters: list[tuple[DeadLetter, Callable[[], None]]] = field(default_factory=list)
    delivery: int = 0

    def envelope(self, tag: object, message_id: object, value: object, trace: object = None) -> int:
        header = {} if trace is None else {"UUID": trace}
        payload = {"Equip.Tag": tag, "Message.ID": message_id, "VALUE": value}
        return self.raw(orjson.dumps({"header": header, "payload": payload}))

    def raw(self, payload: bytes, topic: str = "iot/ingress") -> int:
        self.delivery += 1
        self.connection.deliver(topic, payload, self.delivery)
        return self.delivery

    @property
    def skipped(self) -> dict[str, int]:
        return self.pipeline.skipped()


type MakeHarness = Callable[..., Harness]


@pytest.fixture
def make(tmp_path: Path) -> MakeHarness:
    (tmp_path / "mappings.yaml").write_text(MAPPINGS)
    (tmp_path / "devices.yaml").write_text(DEVICES)

    def make_harness(**changes: object) -> Harness:
        settings = Settings(data_directory=tmp_path / "data").model_copy(
            update={
                "deduplication": DeduplicationSettings(persist=False),
                "delivery": DeliverySettings(backoff=0.001),
                "catalogs": Settings().catalogs.model_copy(
                    update={"mappings": tmp_path / "mappings.yaml", "devices": tmp_path / "devices.yaml"}
                ),
                **changes,
            }
        )
        connection = ScriptedConnection()
        letters: list[tuple[DeadLetter, Callable[[], None]]] = []
        pipeline = Pipeline(
            connection,
            settings,
            load(settings.catalog_files()),
            lambda letter, on_stored: letters.append((letter, on_stored)),
            LimitedLog(lambda *_: None),
        )
        pipeline.start()
        return Harness(connection, pipeline, letters)

    return make_harness


@pytest.fixture
async def bridge(make: MakeHarness) -> Harness:
    return make()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- the condition has no event
            await asyncio.sleep(0.001)


async def test_an_envelope_goes_to_each_device_of_its_object(bridge: Harness) -> None:
    bridge.envelope("GPS001", "GLL001", 37.5665, "u1")
    assert [(each.topic, each.payload, each.qos) for each in bridge.connection.sent] == [
        ("devices/vm-a/ingress", b'{"object":"GPS.Latitude","value":37.5665}', 1),
        ("devices/vm-c/ingress", b'{"object":"GPS.Latitude","value":37.5665}', 1),
    ]


async def test_the_input_is_acknowledged_after_the_last_delivery_is(bridge: Harness) -> None:
    delivery = bridge.envelope("GPS001", "GLL001", 1, "u1")
    first, second = bridge.connection.take()
    first.answer(0)
    assert bridge.connection.acknowledged == []
    second.answer(0)
    assert bridge.connection.acknowledged == [delivery]


async def test_a_trace_counts_as_seen_only_once_it_is_delivered(bridge: Harness) -> None:
    bridge.envelope("7", "1", 5, "u1")
    assert "u1" not in bridge.pipeline.deduplication.current
    bridge.connection.take()[0].answer(0)
    assert "u1" in bridge.pipeline.deduplication.current


async def test_a_repeated_trace_is_dropped_and_acknowledged_at_once(bridge: Harness) -> None:
    bridge.envelope("7", "1", 5, "u1")
    bridge.connection.take()[0].answer(0)
    again = bridge.envelope("7", "1", 6, "u1")
    assert bridge.connection.sent == []
    assert bridge.connection.acknowledged[-1] == again
    assert bridge.skipped == {"duplicate": 1}


async def test_a_repeat_of_what_is_under_way_is_acknowledged_together_with_it(bridge: Harness) -> None:
    first = bridge.envelope("7", "1", 5, "u1")
    again = bridge.envelope("7", "1", 5, "u1")
    (sent,) = bridge.connection.take()
    assert bridge.connection.acknowledged == []
    sent.answer(0)
    assert bridge.connection.acknowledged == [first, again]


async def test_messages_without_a_trace_are_all_delivered(bridge: Harness) -> None:
    for _ in range(3):
        bridge.envelope("7", "1", 5)
    assert len(bridge.connection.sent) == 3


async def test_numbers_serve_as_ids_and_as_a_trace(bridge: Harness) -> None:
    bridge.envelope(7, 1, "5", 99)
    bridge.connection.take()[0].answer(0)
    assert "99" in bridge.pipeline.deduplication.current


async def test_a_very_long_trace_costs_little_memory(bridge: Harness) -> None:
    bridge.envelope("7", "1", 5, "u" * 100_000)
    bridge.connection.take()[0].answer(0)
    (remembered,) = bridge.pipeline.deduplication.current
    assert len(remembered) == 32
    bridge.envelope("7", "1", 5, "u" * 100_000)
    assert bridge.skipped == {"duplicate": 1}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b" ", Reason.INVALID_JSON),
        (b"{", Reason.INVALID_JSON),
        (b"\x00\xff\xfe", Reason.INVALID_JSON),
        (b'{"header":{},"payload":{"Equip.Tag":"7","Message.ID":"1","VALUE":NaN}}', Reason.INVALID_JSON),
        (b'{"header":{},"payload":{"Equip.Tag":"7","Message.ID":"1","VALUE":1e999}}', Reason.INVALID_JSON),
        (b"[" * 100_000, Reason.INVALID_JSON),
        (b"[1]", Reason.WRONG_SHAPE),
        (b"null", Reason.WRONG_SHAPE),
        (b'"text"', Reason.WRONG_SHAPE),
        (b"5", Reason.WRONG_SHAPE),
        (b'{"header":{}}', Reason.MISSING_FIELD),
        (b'{"header":{},"payload":[]}', Reason.WRONG_SHAPE),
        (b'{"header":{},"payload":"x"}', Reason.WRONG_SHAPE),
        (b'{"header":{},"payload":{}}', Reason.MISSING_FIELD),
        (b'{"header":[],"payload":{"Equip.Tag":"7","Message.ID":"1"}}', Reason.MISSING_FIELD),
        (b'{"header":{},"payload":{"Equip.Tag":null,"Message.ID":"1","VALUE":1}}', Reason.MISSING_FIELD),
        (b'{"header":{},"payload":{"Equip.Tag":[],"Message.ID":"1","VALUE":1}}', Reason.WRONG_SHAPE),
        (b'{"header":{},"payload":{"Equip.Tag":true,"Message.ID":"1","VALUE":1}}', Reason.WRONG_SHAPE),
        (b'{"header":{},"payload":{"Equip.Tag":"7","Message.ID":"2","VALUE":1}}', Reason.UNKNOWN_KEY),
        (b'{"header":{},"payload":{"Equip.Tag":"LOST","Message.ID":"L","VALUE":"x"}}', Reason.NO_DEVICE),
    ],
)
async def test_what_is_no_use_is_counted_by_reason_and_stored_before_it_is_acknowledged(
    bridge: Harness, payload: bytes, reason: Reason
) -> None:
    delivery = bridge.raw(payload)
    assert bridge.skipped == {reason: 1}
    assert bridge.connection.acknowledged == []
    assert bridge.connection.sent == []
    ((letter, on_stored),) = bridge.letters
    assert (letter.reason, letter.payload, letter.cut) == (reason, payload, 0)
    on_stored()
    assert bridge.connection.acknowledged == [delivery]


async def test_null_loses_nothing_so_it_is_only_counted(bridge: Harness) -> None:
    delivery = bridge.envelope("7", "1", None)
    assert bridge.skipped == {"null_value": 1}
    assert bridge.connection.acknowledged == [delivery]
    assert bridge.letters == []


async def test_a_reason_that_is_not_to_be_kept_is_only_counted(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep=(Reason.CAST_FAILED,)))
    delivery = bridge.envelope("nobody", "knows", 5)
    assert bridge.skipped == {"unknown_key": 1}
    assert bridge.connection.acknowledged == [delivery]
    assert bridge.letters == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [("x", Reason.CAST_FAILED), (1.5, Reason.CAST_FAILED), ("nan", Reason.NOT_FINITE), (10**19, Reason.OUT_OF_RANGE)],
)
async def test_a_value_that_cannot_be_cast_is_stored_before_it_is_acknowledged(
    bridge: Harness, value: object, reason: Reason
) -> None:
    delivery = bridge.envelope("7", "1", value, "u1")
    assert bridge.skipped == {reason: 1}
    assert bridge.connection.acknowledged == []
    ((letter, on_stored),) = bridge.letters
    assert (letter.reason, letter.device, letter.topic) == (reason, "", "iot/ingress")
    assert orjson.loads(letter.payload)["header"]["UUID"] == "u1"
    on_stored()
    assert bridge.connection.acknowledged == [delivery]


async def test_a_flood_of_bad_values_fills_no_disk(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_per_second=5))
    for _ in range(100):
        bridge.envelope("7", "1", "x")
    assert len(bridge.letters) in range(5, 11)
    assert bridge.skipped == {"cast_failed": 100}
    assert bridge.pipeline.rejections.not_kept == 100 - len(bridge.letters)


async def test_a_flood_of_one_kind_hides_no_other(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_per_second=5))
    for _ in range(100):
        bridge.raw(b"rubbish")
    bridge.envelope("7", "1", "x", "u1")
    assert bridge.letters[-1][0].reason is Reason.CAST_FAILED


async def test_a_flood_of_large_rubbish_is_bounded_in_bytes(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_bytes_per_second=10_000))
    for _ in range(50):
        bridge.raw(b"x" * 3_000)
    assert len(bridge.letters) in range(3, 7)


async def test_while_the_disk_refuses_what_nobody_holds_back_takes_no_memory_without_end(
    bridge: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_bridge.dead_letters.rate_limit._MOST_BYTES_WAITING", 1000)
    for _ in range(10):
        bridge.pipeline.input.receive_envelope("iot/ingress", b"x" * 300, 0)
    assert len(bridge.letters) == 3
    bridge.letters[0][1]()
    bridge.pipeline.input.receive_envelope("iot/ingress", b"x" * 300, 0)
    assert len(bridge.letters) == 4


async def test_of_a_message_above_the_limit_the_beginning_is_kept(make: MakeHarness) -> None:
    bridge = make(ingress=IngressSettings(maximum_bytes=100), dead_letters=DeadLetterSettings(too_large_bytes=10))
    bridge.raw(b"{" * 101)
    assert bridge.skipped == {"too_large": 1}
    ((letter, _),) = bridge.letters
    assert (letter.payload, letter.cut) == (b"{" * 10, 91)


async def test_a_fault_of_the_bridge_itself_costs_one_message_and_stores_it(
    bridge: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bridge.pipeline.input, "_map", fail)
    bridge.envelope("7", "1", 5, "u1")
    assert bridge.skipped == {"internal_error": 1}
    assert bridge.letters[0][0].detail == "RuntimeError: a bug"


# ---------------------------------------------------------------- topic rules


async def test_a_topic_feeds_several_objects_from_one_message(bridge: Harness) -> None:
    delivery = bridge.raw(b'{"data":{"temperature":215,"humidity":40}}', "sensors/hall/climate")
    sent = bridge.connection.take()
    assert [each.payload for each in sent] == [
        b'{"object":"hall.Temperature","value":21.5}',
        b'{"object":"hall.Humidity","value":40}',
    ]
    for each in sent:
        assert bridge.connection.acknowledged == []
        each.answer(0)
    assert bridge.connection.acknowledged == [delivery]


async def test_a_part_that_fails_does_not_stop_the_rest(bridge: Harness) -> None:
    bridge.raw(b'{"data":{"temperature":"warm","humidity":40}}', "sensors/hall/climate")
    assert [each.payload for each in bridge.connection.sent] == [b'{"object":"hall.Humidity","value":40}']
    assert bridge.skipped == {"cast_failed": 1}


async def test_a_part_that_would_be_lost_is_stored_before_the_message_is_acknowledged(bridge: Harness) -> None:
    delivery = bridge.raw(b'{"data":{"temperature":"warm","humidity":40}}', "sensors/hall/climate")
    ((letter, on_stored),) = bridge.letters
    assert (letter.reason, letter.object, letter.device) == (Reason.CAST_FAILED, "hall.Temperature", "")
    bridge.connection.take()[0].answer(0)
    assert bridge.connection.acknowledged == []
    on_stored()
    assert bridge.connection.acknowledged == [delivery]


async def test_a_part_that_is_not_there_is_only_counted(bridge: Harness) -> None:
    bridge.raw(b'{"data":{"humidity":40}}', "sensors/hall/climate")
    assert bridge.skipped == {"missing_field": 1}
    assert bridge.letters == []


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("sensors/hall/climate", b'{"data":{}}', Reason.MISSING_FIELD),
        ("sensors/attic/climate", b'{"data":{"temperature":1}}', Reason.UNKNOWN_OBJECT),
        ("plain/x", b"\xff\xfe", Reason.NOT_TEXT),
        ("sensors/hall/climate", b'{"data":{"temperature":null}}', Reason.NULL_VALUE),
    ],
)
async def test_a_topic_message_without_use_is_counted(
    bridge: Harness, topic: str, payload: bytes, reason: Reason
) -> None:
    bridge.raw(payload, topic)
    assert reason in bridge.skipped
    assert bridge.connection.sent == []


async def test_a_topic_message_that_comes_again_after_its_delivery_is_dropped(bridge: Harness) -> None:
    for delivery, identifier, marked in [(1, 7, False), (2, 7, True), (3, 8, False), (4, 9, True)]:
        bridge.connection.transmissions[delivery] = (identifier, marked)
        bridge.raw(b"5", "plain/x")
        for sent in bridge.connection.take():
            sent.answer(0)
    # A reading that is only repeated is none, and one that was marked but never delivered is not either.
    assert bridge.pipeline.transport.completion.finished == 3
    assert bridge.connection.acknowledged == [1, 2, 3, 4]
    assert bridge.skipped == {"duplicate": 1}


async def test_a_topic_message_that_comes_again_on_its_way_is_acknowledged_with_it(bridge: Harness) -> None:
    bridge.connection.transmissions = {1: (7, False), 2: (7, True)}
    bridge.raw(b"5", "plain/x")
    bridge.raw(b"5", "plain/x")
    (sent,) = bridge.connection.take()
    assert bridge.connection.acknowledged == []
    sent.answer(0)
    assert bridge.connection.acknowledged == [1, 2]
    assert bridge.pipeline.redeliveries.in_flight == {}


async def test_a_plain_payload_is_taken_as_text(bridge: Harness) -> None:
    bridge.raw("23 °C".encode(), "plain/a/b")
    assert bridge.connection.sent[0].payload == '{"object":"Plain","value":"23 °C"}'.encode()


async def test_a_device_may_have_its_own_topic_and_payload(bridge: Harness) -> None:
    delivery = bridge.envelope("TPL", "T", 'a "quote"', "u1")
    (sent,) = bridge.connection.take()
    assert (sent.topic, sent.qos) == ("t/vm-t/Templated", 0)
    assert orjson.loads(sent.payload) == {"v": 'a "quote"', "by": "u1"}
    # Nobody answers at QoS 0.
    assert bridge.connection.acknowledged == [delivery]


# ---------------------------------------------------------------- failures


async def test_a_refused_delivery_is_tried_three_times_and_then_dead_lettered(bridge: Harness) -> None:
    delivery = bridge.envelope("7", "1", 5, "u1")
    for _ in range(3):
        await until(lambda: bool(bridge.connection.sent))
        bridge.connection.take()[0].answer(0x97)
    ((letter, on_stored),) = bridge.letters
    assert (letter.reason, letter.attempts, letter.device, letter.object, letter.trace_id) == (
        Reason.REFUSED,
        3,
        "VM-A",
        "Engine.Speed",
        "u1",
    )
    assert letter.payload == b'{"object":"Engine.Speed","value":5}'
    assert "0x97" in letter.detail
    assert bridge.connection.acknowledged == []
    on_stored()
    assert bridge.connection.acknowledged == [delivery]
    assert "u1" in bridge.pipeline.deduplication.current


async def test_a_delivery_that_succeeds_at_last_is_no_dead_letter(bridge: Harness) -> None:
    delivery = bridge.envelope("7", "1", 5, "u1")
    bridge.connection.take()[0].answer(0x97)
    await until(lambda: bool(bridge.connection.sent))
    bridge.connection.take()[0].answer(0)
    assert bridge.letters == []
    assert bridge.connection.acknowledged == [delivery]
    assert bridge.pipeline.transport.failures.retried == 1


async def test_values_of_a_device_without_transport_become_dead_letters(bridge: Harness) -> None:
    bridge.envelope("SIG", "S", "x", "u1")
    ((letter, _),) = bridge.letters
    assert (letter.reason, letter.device) == (Reason.NO_TRANSPORT, "SIG-1")


async def test_a_flood_for_devices_without_transport_fills_no_disk(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_per_second=5))
    deliveries = [bridge.envelope("SIG", "S", "x", f"u{number}") for number in range(100)]
    kept = len(bridge.letters)
    assert kept in range(5, 11)
    assert bridge.pipeline.transport.failures.not_kept == 100 - kept
    # Nothing waits for what is not kept.
    assert len(bridge.connection.acknowledged) == 100 - kept
    for _, on_stored in bridge.letters:
        on_stored()
    assert sorted(bridge.connection.acknowledged) == deliveries
    assert bridge.pipeline.transport.completion.open == 0


async def test_a_flood_of_what_the_broker_never_takes_fills_no_disk(make: MakeHarness) -> None:
    bridge = make(egress=EgressSettings(qos=0), dead_letters=DeadLetterSettings(keep_per_second=5))
    bridge.connection.largest = 10
    for _ in range(100):
        bridge.envelope("7", "1", 5)
    kept = len(bridge.letters)
    assert kept in range(5, 11)
    assert bridge.pipeline.transport.failures.not_kept == 100 - kept


async def test_a_flood_of_rubbish_hides_no_delivery(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_bytes_per_second=1_000))
    for _ in range(10):
        bridge.raw(b"x" * 900)
    bridge.envelope("SIG", "S", "x", "u1")
    assert bridge.letters[-1][0].reason is Reason.NO_TRANSPORT


async def test_objects_of_the_same_devices_share_the_way_there_and_nothing_else(bridge: Harness) -> None:
    routes = bridge.pipeline.catalog.fanouts
    speed, running, latitude = (routes[name] for name in ("Engine.Speed", "Engine.Running", "GPS.Latitude"))
    assert speed.targets is running.targets
    assert (speed.object, speed.head) == ("Engine.Speed", b'{"object":"Engine.Speed","value":')
    assert (running.object, running.head) == ("Engine.Running", b'{"object":"Engine.Running","value":')
    assert [each.device for each in latitude.outputs] == ["VM-A", "VM-C"]
    assert latitude.outputs[0] is speed.outputs[0]


async def test_what_is_asked_for_by_itself_is_kept_whatever_floods_there_are(make: MakeHarness) -> None:
    bridge = make(dead_letters=DeadLetterSettings(keep_per_second=1))
    route = bridge.pipeline.catalog.fanouts["Signal.Only"]
    told: list[bool] = []
    for _ in range(20):
        bridge.pipeline.transport.deliver_all([(route, "x")], None, "t", 0, 1, told.append)
    for _, on_stored in bridge.letters:
        on_stored()
    # A replayed input is gone from the store when its deliveries are letters.
    assert (len(bridge.letters), told) == (20, [False] * 20)


async def test_a_full_queue_holds_the_input_back_and_loses_nothing(bridge: Harness) -> None:
    bridge.connection.refuse = True
    bridge.envelope("GPS001", "GLL001", 1, "u1")
    bridge.envelope("7", "1", 2, "u2")
    assert bridge.pipeline.transport.backlog == 3
    held_back = bridge.connection.paused
    bridge.connection.refuse = False
    await until(lambda: len(bridge.connection.sent) == 3)
    assert (held_back, bridge.connection.paused) == (True, False)
    assert [each.topic for each in bridge.connection.sent] == [
        "devices/vm-a/ingress",
        "devices/vm-c/ingress",
        "devices/vm-a/ingress",
    ]


# ---------------------------------------------------------------- order


@pytest.fixture
async def ordered(make: MakeHarness) -> Harness:
    return make(deduplication=DeduplicationSettings(persist=False, identity="trace_and_key"))


async def test_messages_of_one_trace_are_sent_one_after_the_other(ordered: Harness) -> None:
    ordered.envelope("7", "1", 1, "u1")
    ordered.envelope("ENG", "RUN", True, "u1")
    ordered.envelope("ENG", "RUN", False, "u2")
    first, other = ordered.connection.take()
    assert first.payload == b'{"object":"Engine.Speed","value":1}'
    assert other.payload == b'{"object":"Engine.Running","value":false}'
    first.answer(0)
    (second,) = ordered.connection.take()
    assert second.payload == b'{"object":"Engine.Running","value":true}'


async def test_order_holds_while_a_message_of_the_trace_is_retried(ordered: Harness) -> None:
    ordered.envelope("7", "1", 1, "u1")
    ordered.envelope("ENG", "RUN", True, "u1")
    ordered.connection.take()[0].answer(0x80)
    await until(lambda: bool(ordered.connection.sent))
    (again,) = ordered.connection.take()
    assert again.payload == b'{"object":"Engine.Speed","value":1}'
    again.answer(0)
    assert ordered.connection.take()[0].payload == b'{"object":"Engine.Running","value":true}'


async def test_keys_of_one_trace_are_deduplicated_each(ordered: Harness) -> None:
    ordered.envelope("7", "1", 1, "u1")
    ordered.envelope("7", "1", 1, "u1")
    ordered.envelope("ENG", "RUN", True, "u1")
    ordered.connection.take()[0].answer(0)
    ordered.connection.take()[0].answer(0)
    assert ordered.connection.take() == []
    assert ordered.connection.acknowledged == [1, 2, 3]
    assert ordered.pipeline.transport.completion.open == 0


async def test_messages_of_one_topic_keep_their_order_while_one_is_retried(bridge: Harness) -> None:
    for value in (b"1", b"2", b"3"):
        bridge.raw(value, "plain/x")
    bridge.raw(b"9", "plain/y")
    first, other = bridge.connection.take()
    assert (first.payload, other.payload) == (b'{"object":"Plain","value":"1"}', b'{"object":"Plain","value":"9"}')
    first.answer(0x97)
    await until(lambda: bool(bridge.connection.sent))
    order = []
    for _ in range(3):
        (sent,) = bridge.connection.take()
        order.append(orjson.loads(sent.payload)["value"])
        sent.answer(0)
    assert order == ["1", "2", "3"]
    assert bridge.connection.acknowledged == [1, 2, 3]


async def test_a_topic_goes_on_after_a_message_that_became_a_dead_letter(bridge: Harness) -> None:
    bridge.raw(b"1", "plain/x")
    bridge.raw(b"2", "plain/x")
    for _ in range(3):
        await until(lambda: bool(bridge.connection.sent))
        bridge.connection.take()[0].answer(0x97)
    assert bridge.connection.take() == []
    ((_, on_stored),) = bridge.letters
    on_stored()
    assert [each.payload for each in bridge.connection.take()] == [b'{"object":"Plain","value":"2"}']


@pytest.mark.parametrize("template", [None, '{"v":{value}}'])
async def test_a_message_that_meets_a_fault_does_not_keep_its_topic_waiting(
    make: MakeHarness, monkeypatch: pytest.MonkeyPatch, template: str | None
) -> None:
    """With a template a message takes the general path, without the short one."""

    def fail(value: Value) -> bytes:
        if value != "1":
            raise RuntimeError("a bug")
        return orjson.dumps(value)

    bridge = make()
    if template is not None:
        catalogs = bridge.pipeline._settings.catalogs
        catalogs.devices.write_text(f"{DEVICES}  VM-A: {{mqtt: {{payload: '{template}'}}}}\n")
        bridge.pipeline.swap(bridge.pipeline.prepare(load(CatalogFiles(catalogs.mappings, catalogs.devices))))
    bridge.raw(b"0", "plain/x")
    monkeypatch.setattr("data_bridge.pipeline.transport.dumps", fail)
    monkeypatch.setattr("data_bridge.pipeline.transport.encode", lambda _, value: fail(value))
    for value in (b"2", b"1"):
        bridge.raw(value, "plain/x")
    bridge.connection.take()[0].answer(0)
    expected = b'{"v":"1"}' if template else b'{"object":"Plain","value":"1"}'
    assert [each.payload for each in bridge.connection.take()] == [expected]
    assert [letter.reason for letter, _ in bridge.letters] == [Reason.INTERNAL_ERROR]


async def test_a_topics_order_may_be_given_up_for_speed(make: MakeHarness) -> None:
    bridge = make(delivery=DeliverySettings(topic_order=False))
    bridge.raw(b"1", "plain/x")
    bridge.raw(b"2", "plain/x")
    assert len(bridge.connection.sent) == 2


async def test_a_thousand_held_messages_of_one_trace_follow_at_qos_0(make: MakeHarness) -> None:
    ordered = make(deduplication=DeduplicationSettings(persist=False, identity="trace_and_key"))
    ordered.envelope("7", "1", 1, "u1")
    (first,) = ordered.connection.take()
    for number in range(1000):
        ordered.pipeline.transport.deliver_all(
            [(ordered.pipeline.catalog.fanouts["Templated"], str(number))], None, "u1", 100 + number, 1
        )
    first.answer(0)
    assert [orjson.loads(each.payload)["v"] for each in ordered.connection.sent] == [str(n) for n in range(1000)]
    assert ordered.connection.acknowledged == [1, *range(100, 1100)]
    assert (ordered.pipeline.transport.completion.open, ordered.pipeline.transport.backlog) == (0, 0)


async def test_a_resent_dead_letter_does_not_end_the_turn_of_its_trace(ordered: Harness) -> None:
    ordered.envelope("7", "1", 1, "u1")
    ordered.envelope("ENG", "RUN", True, "u1")
    first, *_ = ordered.connection.take()
    letter = DeadLetter(Reason.REFUSED, "", "u1", "VM-A", "Plain", "devices/vm-a/ingress", 1, False, b"old", 3)
    ordered.pipeline.transport.resend(letter, 7, lambda _: None)
    (resent,) = ordered.connection.take()
    resent.answer(0)
    assert ordered.connection.take() == []
    first.answer(0)
    assert [each.payload for each in ordered.connection.take()] == [b'{"object":"Engine.Running","value":true}']


# ---------------------------------------------------------------- whatever comes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=4,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "header": json_values | st.fixed_dictionaries({}, optional={"UUID": json_values}),
        "payload": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "Equip.Tag": st.sampled_from(["GPS001", "7", 7, "ENG", "TPL"]) | json_values,
                "Message.ID": st.sampled_from(["GLL001", "1", 1, "RUN", "T"]) | json_values,
                "VALUE": json_values,
            },
        ),
    },
)


@given(st.lists(envelopes.map(orjson.dumps) | st.binary(max_size=60), min_size=1, max_size=12))
def test_every_message_is_delivered_or_counted_and_acknowledged_once(payloads: list[bytes]) -> None:
    asyncio.run(_carry(payloads))


async def _carry(payloads: list[bytes]) -> None:
    settings = Settings().model_copy(update={"deduplication": DeduplicationSettings(persist=False)})
    connection = ScriptedConnection()
    letters: list[Callable[[], None]] = []
    pipeline = Pipeline(
        connection, settings, _CATALOG, lambda _, stored: letters.append(stored), LimitedLog(lambda *_: None)
    )
    for number, payload in enumerate(payloads, 1):
        pipeline.input.receive_envelope("iot/ingress", payload, number)
    for sent in connection.take():
        sent.answer(0)
    for stored in letters:
        stored()
    assert sorted(connection.acknowledged) == list(range(1, len(payloads) + 1))
    assert pipeline.transport.completion.open == 0
    assert pipeline.transport.in_flight == {}
    assert pipeline.transport.completion.finished + sum(pipeline.skipped().values()) == len(payloads)
    pipeline.transport.close()


def _catalog() -> Catalog:
    with tempfile.TemporaryDirectory() as folder:
        files = CatalogFiles(Path(folder) / "m.yaml", Path(folder) / "d.yaml")
        files.mappings.write_text(MAPPINGS)
        files.devices.write_text(DEVICES)
        return load(files)


_CATALOG = _catalog()


# ---------------------------------------------------------------- QoS 0


@pytest.fixture
async def unanswered(make: MakeHarness) -> Harness:
    return make(egress=EgressSettings(qos=0))


async def test_at_qos_0_a_message_is_done_when_it_is_handed_over(unanswered: Harness) -> None:
    delivery = unanswered.envelope("GPS001", "GLL001", 1.5, "u1")
    assert [(each.payload, each.qos) for each in unanswered.connection.sent] == [
        (b'{"object":"GPS.Latitude","value":1.5}', 0),
        (b'{"object":"GPS.Latitude","value":1.5}', 0),
    ]
    assert unanswered.connection.acknowledged == [delivery]
    assert "u1" in unanswered.pipeline.deduplication.current


async def test_at_qos_0_too_a_connection_that_takes_nothing_loses_nothing(unanswered: Harness) -> None:
    unanswered.connection.refuse = True
    delivery = unanswered.envelope("GPS001", "GLL001", 1.5, "u1")
    assert unanswered.connection.acknowledged == []
    assert "u1" not in unanswered.pipeline.deduplication.current
    unanswered.connection.refuse = False
    await until(lambda: len(unanswered.connection.sent) == 2)
    assert unanswered.connection.acknowledged == [delivery]
    assert "u1" in unanswered.pipeline.deduplication.current
    assert unanswered.pipeline.transport.completion.open == 0


async def test_what_the_broker_never_takes_is_a_dead_letter_and_holds_up_nothing(unanswered: Harness) -> None:
    unanswered.connection.largest = 100
    large = unanswered.raw(b"x" * 200, "plain/x")
    assert [(letter.reason, letter.device) for letter, _ in unanswered.letters] == [(Reason.REFUSED, "VM-A")]
    assert "bytes on devices/vm-a/ingress are too many" in unanswered.letters[0][0].detail
    small = unanswered.raw(b"5", "plain/x")
    assert not unanswered.connection.paused
    # The order of a topic: the small one waits until the large one is safe.
    assert unanswered.connection.acknowledged == []
    unanswered.letters[0][1]()
    assert [each.payload for each in unanswered.connection.sent] == [b'{"object":"Plain","value":"5"}']
    assert unanswered.connection.acknowledged == [large, small]


async def test_an_envelope_that_the_broker_never_takes_is_a_dead_letter_of_each_device(make: MakeHarness) -> None:
    bridge = make(egress=EgressSettings(qos=0))
    bridge.connection.largest = 10
    delivery = bridge.envelope("GPS001", "GLL001", 1.5, "u1")
    assert [letter.device for letter, _ in bridge.letters] == ["VM-A", "VM-C"]
    assert not bridge.connection.paused
    for _, on_stored in bridge.letters:
        assert bridge.connection.acknowledged == []
        on_stored()
    assert bridge.connection.acknowledged == [delivery]
    assert bridge.pipeline.transport.completion.open == 0


async def test_what_waits_for_a_broker_that_then_never_takes_it_lets_the_others_go(unanswered: Harness) -> None:
    unanswered.connection.refuse = True
    unanswered.raw(b"x" * 200, "plain/x")
    unanswered.envelope("GPS001", "GLL001", 1.5)
    assert unanswered.connection.paused
    unanswered.connection.largest = 100
    unanswered.connection.refuse = False
    await until(lambda: len(unanswered.connection.sent) == 2)
    assert [letter.reason for letter, _ in unanswered.letters] == [Reason.REFUSED]
    assert not unanswered.connection.paused


# ---------------------------------------------------------------- overlapping filters


async def test_a_message_that_two_filters_match_is_one_and_answered_when_all_of_it_is(tmp_path: Path) -> None:
    (tmp_path / "mappings.yaml").write_text(
        "mappings:\n"
        "  - {topic: a/+/c, object: One, value_type: integer}\n"
        "  - {topic: +/b/c, object: Two, value_type: integer}\n"
    )
    (tmp_path / "devices.yaml").write_text("objects: {One: [D], Two: [D]}\n")
    settings = load_settings(None, {"IOT_DATA_BRIDGE_DEDUPLICATION_PERSIST": "false"}).model_copy(
        update={"data_directory": tmp_path}
    )
    connection = ScriptedConnection()
    files = CatalogFiles(tmp_path / "mappings.yaml", tmp_path / "devices.yaml")
    pipeline = Pipeline(connection, settings, load(files), lambda *_: None, LimitedLog(lambda *_: None))
    pipeline.start()
    connection.deliver("a/b/c", b"5", 1)
    sent = connection.take()
    assert sorted(each.payload for each in sent) == [b'{"object":"One","value":5}', b'{"object":"Two","value":5}']
    for each in sent:
        assert connection.acknowledged == []
        each.answer(0)
    assert connection.acknowledged == [1]


async def test_a_filter_that_takes_anothers_place_is_subscribed_before_that_one_ends(make: MakeHarness) -> None:
    bridge = make()
    catalogs = bridge.pipeline._settings.catalogs
    catalogs.mappings.write_text(MAPPINGS.replace("plain/#", "plain/+"))
    del bridge.connection.asked[:]
    bridge.pipeline.swap(bridge.pipeline.prepare(load(CatalogFiles(catalogs.mappings, catalogs.devices))))
    # The other way round, what is published between the two is lost.
    assert bridge.connection.asked == [("subscribe", "plain/+"), ("unsubscribe", "plain/#")]
    assert set(bridge.pipeline.ways.table.subscribed) == {"iot/ingress", "sensors/+/climate", "plain/+"}


async def test_each_message_may_be_watched(make: MakeHarness) -> None:
    settings = make().pipeline._settings
    connection = ScriptedConnection()
    seen: list[tuple[str, bytes]] = []
    pipeline = Pipeline(
        connection,
        settings,
        load(settings.catalog_files()),
        lambda *_: None,
        LimitedLog(lambda *_: None),
        lambda topic, payload: seen.append((topic, payload)),
    )
    pipeline.start()
    connection.deliver("iot/ingress", b"{")
    connection.deliver("plain/x", b"text")
    assert seen == [("iot/ingress", b"{"), ("plain/x", b"text")]
