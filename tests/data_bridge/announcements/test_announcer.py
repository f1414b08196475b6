"""Retained states: sent when due, never in a loop without end, and the last one before the bridge goes."""

import json
from dataclasses import dataclass
from typing import override

from communicator.protocols.mqtt.mqtt_protocol import PreparedPublish
from data_bridge.announcements.announcer import Announcer
from data_bridge.catalog.casts import ValueType
from data_bridge.own_topics import OwnTopics
from data_bridge.pipeline.device_state import DeviceState
from data_bridge.settings import AnnouncementSettings
from tests.data_bridge.connections import ScriptedConnection, refused_nothing


@dataclass(slots=True)
class NarrowConnection(ScriptedConnection):
    """Has room for so many messages, and counts the attempts after."""

    room: int = 1
    attempts: int = 0

    @override
    def publish_prepared(
        self, prepared: PreparedPublish, payload: bytes, *arguments: object, **options: object
    ) -> bool:
        self.attempts += 1
        if self.attempts > 1000:
            raise AssertionError("it tries without end")
        self.refuse = self.attempts > self.room
        return ScriptedConnection.publish_prepared(self, prepared, payload)


def state(device: str, value: float) -> DeviceState:
    changed = DeviceState(device, {"GPS.Latitude": ValueType.FLOAT})
    changed.values["GPS.Latitude"] = value
    changed.dirty = True
    return changed


def test_a_full_queue_ends_the_turn_and_keeps_the_states() -> None:
    connection = NarrowConnection(room=1)
    announcer = Announcer(connection, OwnTopics("main"), "Main", AnnouncementSettings(), refused_nothing)
    states = {f"VM-{number}": state(f"VM-{number}", number) for number in range(5)}
    announcer.tick(states.values(), states)
    assert len(connection.sent) == 1
    assert announcer.waiting == 4


def test_the_last_value_is_announced_before_the_bridge_goes() -> None:
    connection = ScriptedConnection()
    announcer = Announcer(connection, OwnTopics("main"), "Main", AnnouncementSettings(), refused_nothing)
    device = state("VM-A", 1.0)
    announcer.tick([device], {"VM-A": device})
    device.values["GPS.Latitude"] = 2.0
    announcer.tick([device], {"VM-A": device})
    assert [json.loads(sent.payload)["values"] for sent in connection.take()] == [{"GPS.Latitude": 1.0}]
    announcer.flush([], {"VM-A": device})
    assert [json.loads(sent.payload)["values"] for sent in connection.take()] == [{"GPS.Latitude": 2.0}]


def test_what_the_broker_refuses_is_said_once_and_again_only_after_it_was_taken() -> None:
    connection = ScriptedConnection(largest=80)
    said: list[str] = []
    announcer = Announcer(
        connection, OwnTopics("main"), "Main", AnnouncementSettings(), lambda topic, _: said.append(topic)
    )
    topic = "iot_data_bridge/main/catalog"
    for message, complaints in [(b"x" * 100, 1), (b"y" * 100, 1), (b"small", 1), (b"z" * 100, 2)]:
        announcer.use(message, frozenset())
        announcer.announce_catalog()
        for sent in connection.take():
            sent.answer(0)
        assert said == [topic] * complaints


def test_a_state_that_the_broker_refuses_is_tried_again_only_when_it_changes() -> None:
    connection = ScriptedConnection(largest=10)
    said: list[str] = []
    announcer = Announcer(
        connection, OwnTopics("main"), "Main", AnnouncementSettings(), lambda topic, _: said.append(topic)
    )
    device = state("VM-A", 1.0)
    announcer.tick([device], {"VM-A": device})
    assert (announcer.waiting, announcer.states_sent, said) == (0, 0, ["iot_data_bridge/main/state/VM-A"])
