"""What a broker would end every connection for is refused before it is sent, not sent again after each reconnect."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from communicator.common.exception import ProtocolError, ProtocolValidationError
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from development.mosquitto import Mosquitto


@pytest.fixture
def client() -> MQTTProtocol:
    return MQTTProtocol(broker_address="127.0.0.1", port=1, timeout=5)


@pytest.mark.parametrize("topic", ["a\nb", "a\x7fb", "a\uffffb", "a\0b"])
def test_control_characters_in_a_topic_are_refused(client: MQTTProtocol, topic: str) -> None:
    with pytest.raises(ProtocolValidationError):
        client.publish(topic, b"x", qos=1)
    with pytest.raises(ProtocolValidationError):
        client.subscribe(f"{topic}/#", lambda _topic, _payload: None, qos=1)


def test_control_characters_in_properties_are_refused(client: MQTTProtocol) -> None:
    with pytest.raises(ProtocolValidationError):
        client.publish("t", b"x", qos=1, user_properties=[("key", "line1\nline2")])
    with pytest.raises(ProtocolValidationError):
        client.publish("t", b"x", qos=1, content_type="a\0b")


@pytest.mark.parametrize("qos", [0, 1])
def test_a_text_that_has_no_utf_8_is_refused_as_a_payload(client: MQTTProtocol, qos: int) -> None:
    with pytest.raises(ProtocolValidationError, match="no lone surrogate; there is one at 4"):
        client.publish("t", "half\ud83d", qos=qos)
    with pytest.raises(ProtocolValidationError, match="lone surrogate"):
        client.set_will("t", "half\ud83d")


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a\nb"])
def test_what_is_no_filter_cannot_be_left(client: MQTTProtocol, topic_filter: str) -> None:
    with pytest.raises(ProtocolValidationError):
        client.unsubscribe(topic_filter)


def test_a_message_larger_than_mqtt_allows_does_not_stay_in_flight(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port)
        client.connect()
        try:
            with pytest.raises(ProtocolError):
                client.publish("t", bytes(268_435_456), qos=1)
            assert client.statistics().in_flight == 0
        finally:
            client.disconnect()


def test_each_connect_to_a_silent_server_waits_for_its_own_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = MQTTProtocol(broker_address="127.0.0.1", port=silent.getsockname()[1], timeout=0.3)
        for _ in range(3):
            with pytest.raises(ProtocolError, match=r"did not answer( CONNECT)? within 0.3 s"):
                client.connect()


async def test_two_connects_at_once_are_one(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port, timeout=5)
        try:
            assert all(await asyncio.gather(client.connect_async(), client.connect_async()))
            assert client.is_connected
        finally:
            await client.disconnect_async()


async def test_a_connect_right_after_a_disconnect_connects(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port, timeout=5)
        try:
            await client.connect_async()
            for _ in range(5):
                client.disconnect()
                assert await client.connect_async()
                await asyncio.sleep(0)
                assert client.is_connected
        finally:
            await client.disconnect_async()


@pytest.mark.parametrize(
    ("setting", "qos", "retain", "text"),
    [
        ("max_qos 1", 2, False, "takes QoS 1 at most, not 2"),
        ("retain_available false", 1, True, "keeps no retained messages"),
    ],
)
def test_what_a_broker_said_it_does_not_support_is_refused_and_holds_up_nothing(
    tmp_path: Path, setting: str, qos: int, retain: bool, text: str
) -> None:
    # A setting of the listener, so it comes after it.
    with Mosquitto(tmp_path, listener_settings=(setting,)) as broker:
        client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port, timeout=5)
        # Taken while nobody knew what the broker supports.
        assert client.publish("early", b"x", qos=qos, retain=retain)
        client.connect()
        try:
            with pytest.raises(ProtocolValidationError, match=text):
                client.publish("t", b"x", qos=qos, retain=retain)
            arrived = threading.Event()
            client.subscribe("ok", lambda _topic, _payload: arrived.set(), qos=1)
            client.publish("ok", b"x", qos=1)
            assert arrived.wait(5)
            statistics = client.statistics()
            assert (statistics.refused, statistics.connections_lost) == (1, 0)
        finally:
            client.disconnect()


@pytest.mark.parametrize(
    ("setting", "size", "retain", "text"),
    [
        ("max_packet_size 1000", 2000, False, "takes packets of 1000 bytes"),
        ("retain_available false", 1, True, "keeps no retained messages"),
    ],
)
def test_of_what_was_not_taken_at_qos_0_one_can_ask_whether_it_ever_will_be(
    tmp_path: Path, setting: str, size: int, retain: bool, text: str
) -> None:
    of_the_listener = setting.startswith("retain")
    with Mosquitto(
        tmp_path,
        settings=() if of_the_listener else (setting,),
        listener_settings=(setting,) if of_the_listener else (),
    ) as broker:
        client = MQTTProtocol(broker_address="127.0.0.1", port=broker.port, timeout=5)
        impossible, possible = client.prepare("t", 0, retain), client.prepare("t", 0)
        assert not client.publish_prepared(possible, b"x")
        # Not now, for there is no connection.
        assert client.refusal(possible, b"x") is None
        client.connect()
        try:
            assert not client.publish_prepared(impossible, bytes(size))
            assert text in str(client.refusal(impossible, bytes(size)))
            assert client.refusal(possible, b"x") is None
        finally:
            client.disconnect()
