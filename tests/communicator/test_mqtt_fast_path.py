"""The fast path against paho's own: the same messages however the bytes come, and at worst a closed connection."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.packettypes import PacketTypes

from communicator.common.exception import ProtocolValidationError
from communicator.protocols.mqtt import links
from communicator.protocols.mqtt.configuration import MQTTConfig, MQTTSettings, ProtocolVersion
from communicator.protocols.mqtt.fast_client import FastClient
from communicator.protocols.mqtt.fast_link import FastLink
from communicator.protocols.mqtt.frames import (
    decode_length,
    encode_length,
    encode_publish,
    prepare_publish,
    with_topic_alias,
)
from communicator.protocols.mqtt.link import new_client
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, ReceivedMessage
from communicator.protocols.mqtt.paho_contract import misfits
from communicator.protocols.mqtt.properties import decode_properties, read_properties
from communicator.protocols.mqtt.session import Session
from development.mosquitto import Mosquitto
from tests.communicator.certificates import Authority
from tests.communicator.waiting import Collected

# ---------------------------------------------------------------------- with a real broker, through a wire that cuts


class CuttingWire:
    """A TCP relay that passes everything from the broker on byte by byte."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.sockets: list[socket.socket] = [self.listener]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.sockets += [near, far]
                near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.carry, args=(far, near, 1), daemon=True).start()
                threading.Thread(target=self.carry, args=(near, far, 4096), daemon=True).start()

    @staticmethod
    def carry(source: socket.socket, target: socket.socket, size: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                for start in range(0, len(data), size):
                    target.sendall(data[start : start + size])
            target.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        for opened in self.sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()


@pytest.fixture(params=["tcp", "tls"])
def cut_wire(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[MQTTSettings, MQTTSettings]]:
    """Settings of a client behind the cutting wire, and of one that talks to the broker directly."""
    authority = Authority(tmp_path, "authority") if request.param == "tls" else None
    with Mosquitto(tmp_path / "broker", certificate=authority.server() if authority else None) as broker:
        wire = CuttingWire(broker.port)
        common: MQTTSettings = {"broker_address": "127.0.0.1", "timeout": 20, "mode": "blocking"}
        if authority:
            common["ca_certs"] = str(authority.file)
        yield {**common, "port": wire.port}, {**common, "port": broker.port}
        wire.stop()


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_both_paths_receive_the_same_from_packets_split_at_every_byte(
    cut_wire: tuple[MQTTSettings, MQTTSettings], version: ProtocolVersion
) -> None:
    behind, direct = cut_wire
    behind["protocol_version"] = direct["protocol_version"] = version
    messages = [
        (f"plant/{'온도' * (number % 3)}/{number}", bytes(range(256))[: number * 7 % 300], number % 3)
        for number in range(24)
    ] + [("plant/large", b"x" * 3000, 1), ("plant/empty", b"", 1)]
    received = {}
    sender = MQTTProtocol(**direct)
    receivers = {path: MQTTProtocol(**behind, fast_path=path == "fast") for path in ("fast", "stock")}
    sender.connect()
    sender.publish("plant/retained", "from before", qos=1, retain=True)
    for path, receiver in receivers.items():
        received[path] = Collected[ReceivedMessage]()
        receiver.connect()
        receiver.observe("plant/#", received[path].add, qos=2)
    for topic, payload, qos in messages:
        sender.publish(topic, payload, qos=qos, user_properties=[("a", "b")] if qos else [])
    for path, receiver in receivers.items():
        received[path].wait(len(messages) + 1, 60)
        receiver.disconnect()
    sender.disconnect()

    def sorted_by_qos(path: str) -> list[list[ReceivedMessage]]:
        return [[message for message in received[path].items if message.qos == qos] for qos in (0, 1, 2)]

    assert sorted_by_qos("fast") == sorted_by_qos("stock")
    fresh = [(message.topic, message.payload, message.qos) for message in received["fast"].items if not message.retain]
    assert sorted(fresh) == sorted(messages)
    assert sum(map(len, sorted_by_qos("fast"))) == len(messages) + 1


# ---------------------------------------------------------------------- the parser alone, with every way to cut


class Fed(FastLink):
    """A link that reads from a list, with a socket that is open and silent."""

    def __init__(self, config: MQTTConfig, session: Session, version5: bool) -> None:
        super().__init__(config, session, new_client(FastClient, config, "fed", version5))
        self.parts: list[bytes] = []
        self.near, self.far = socket.socketpair()
        self._fast._sock = self.near
        session.link = self
        session.stood = True

    def _read(self) -> bytes:
        return self.parts.pop(0) if self.parts else b""

    def feed(self, parts: Sequence[bytes], limit: int = 500) -> None:
        self.parts = list(parts)
        more = False
        while (self.parts or more) and self.is_open():
            more = self.receive(limit)

    def end(self) -> None:
        self.close()
        self.far.close()


def fed(version5: bool, aliases: int = 0) -> tuple[Fed, list[tuple[str, bytes]]]:
    config = MQTTConfig("127.0.0.1", topic_alias_maximum=aliases)
    session = Session(config, links.fast_link)
    messages: list[tuple[str, bytes]] = []
    session.subscribe("#", 2, lambda subscription: subscription.callbacks.append(lambda t, p: messages.append((t, p))))
    return Fed(config, session, version5), messages


# Control characters and non-characters are refused before anything is sent; test_mqtt_poison.py shows that.
CHARACTERS = st.characters(exclude_characters="+#", exclude_categories=["Cc", "Cn", "Cs"])
TOPICS = st.text(CHARACTERS, min_size=1, max_size=40).filter(lambda topic: not topic.startswith("$"))
MESSAGES = st.lists(st.tuples(TOPICS, st.binary(max_size=400), st.integers(0, 2)), min_size=1, max_size=8)


def encode(messages: list[tuple[str, bytes, int]], version5: bool) -> bytes:
    wire = b""
    for number, (topic, payload, qos) in enumerate(messages, 1):
        identifier = number.to_bytes(2) if qos else b""
        expiry = number if number % 2 else None
        wire += encode_publish(
            prepare_publish(topic, qos, False, message_expiry=expiry), payload, identifier, version5, False
        )
    return wire


@given(MESSAGES, st.booleans(), st.lists(st.integers(1, 50), min_size=1), st.integers(1, 5))
@settings(deadline=None)
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[tuple[str, bytes, int]], version5: bool, cuts: list[int], limit: int
) -> None:
    wire = encode(messages, version5)
    parts, position, turn = [], 0, 0
    while position < len(wire):
        parts.append(wire[position : position + cuts[turn % len(cuts)]])
        position += len(parts[-1])
        turn += 1
    link, received = fed(version5)
    link.feed(parts, limit)
    link.end()
    assert received == [(topic, payload) for topic, payload, _ in messages]


def test_a_wire_cut_at_each_single_place_gives_the_same() -> None:
    messages = [("a/b", b"x" * 200, 1), ("온도", b"", 2), ("c", b"y" * 20_000, 0), ("d", b"z", 1)]
    for version5 in (False, True):
        wire = encode(messages, version5)
        for place in [*range(1, 260), *range(len(wire) - 60, len(wire))]:
            link, received = fed(version5)
            link.feed([wire[:place], wire[place:]])
            link.end()
            assert received == [(topic, payload) for topic, payload, _ in messages], place


@given(st.binary(max_size=200), st.booleans(), st.lists(st.integers(1, 30), min_size=1))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_garbage_closes_the_connection_or_waits_for_more_and_raises_nothing(
    garbage: bytes, version5: bool, cuts: list[int]
) -> None:
    parts, position = [], 0
    while position < len(garbage):
        parts.append(garbage[position : position + cuts[position % len(cuts)]])
        position += len(parts[-1])
    link, _ = fed(version5)
    link.feed(parts)
    link.end()


@given(MESSAGES, st.booleans(), st.integers(0, 500), st.binary(min_size=1, max_size=3))
@settings(deadline=None)
def test_a_damaged_wire_raises_nothing(
    messages: list[tuple[str, bytes, int]], version5: bool, place: int, damage: bytes
) -> None:
    wire = bytearray(encode(messages, version5))
    place %= len(wire)
    wire[place : place + len(damage)] = damage
    link, _ = fed(version5)
    link.feed([bytes(wire)])
    link.end()


@pytest.mark.parametrize(
    "wire",
    [
        b"\x30\x00",  # no topic length
        b"\x30\x02\x00\x00",  # an empty topic
        b"\x30\x03\x00\x05a",  # a topic longer than its packet
        b"\x32\x04\x00\x01a\x00",  # half a packet identifier
        b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
        b"\x30\x03\x00\x01\xff",  # not UTF-8
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x40\x01\x00",  # PUBACK without an identifier
        b"\x50\x00",  # PUBREC without
        b"\x00\x00",  # no packet type
        b"\xf0\x00",  # AUTH, which was not asked for
        b"\x90\x05\x00\x01\x02\x2a\x01",  # SUBACK with another packet's property
    ],
)
def test_a_malformed_packet_closes_the_connection_and_is_counted(wire: bytes) -> None:
    link, received = fed(wire[0] == 0x90)
    link.feed([wire])
    assert not link.is_open()
    assert received == []
    assert link._session.counters.malformed == 1 or wire[0] in (0x00, 0xF0)
    link.end()


def test_a_topic_alias_names_its_topic_on_this_connection_only() -> None:
    link, received = fed(True, aliases=2)
    prepared = prepare_publish("a/b", 0, False, message_expiry=5)
    first = encode_publish(with_topic_alias(prepared, 1, named=True), b"1", b"", True, False)
    second = encode_publish(with_topic_alias(prepared, 1, named=False), b"2", b"", True, False)
    link.feed([first + second])
    assert received == [("a/b", b"1"), ("a/b", b"2")]
    link.feed([encode_publish(with_topic_alias(prepared, 3, named=True), b"3", b"", True, False)])
    assert not link.is_open()
    link.end()
    link, received = fed(True, aliases=2)
    link.feed([second])
    assert not link.is_open()
    assert received == []
    link.end()


def test_a_qos_2_message_is_delivered_once() -> None:
    link, received = fed(False)
    wire = encode_publish(prepare_publish("a", 2, False), b"x", b"\x00\x07", False, False)
    again = bytes((wire[0] | 0x08,)) + wire[1:]
    link.feed([wire, again, b"\x62\x02\x00\x07", wire])
    assert received == [("a", b"x"), ("a", b"x")]
    assert link._session.counters.received_duplicates == 1
    assert list(link._frames) == [b"\x50\x02\x00\x07", b"\x50\x02\x00\x07", b"\x70\x02\x00\x07", b"\x50\x02\x00\x07"]
    link.end()


@given(st.integers(0, 268_435_455))
def test_a_length_comes_out_as_it_went_in(length: int) -> None:
    encoded = encode_length(length)
    assert decode_length(encoded, 0, len(encoded)) == (length, len(encoded))
    assert decode_length(encoded[:-1], 0, len(encoded) - 1) is None


def test_a_length_that_is_too_long_is_refused() -> None:
    with pytest.raises(ProtocolValidationError, match="268435456"):
        encode_length(268_435_456)


def test_an_alias_keeps_the_other_properties() -> None:
    prepared = prepare_publish("a", 0, False, message_expiry=7, user_properties=[("k", "v")])
    aliased = with_topic_alias(prepared, 9, named=True)
    properties = decode_properties(PacketTypes.PUBLISH, aliased.properties_part)
    assert getattr(properties, "TopicAlias", None) == 9
    assert read_properties(properties).message_expiry == 7
    assert read_properties(properties).user_properties == (("k", "v"),)


# ---------------------------------------------------------------------- the contract with paho


def test_the_pinned_paho_has_every_private_name_the_fast_path_stands_on() -> None:
    assert misfits(new_client(Client, MQTTConfig("h"), "id", True)) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda patch: patch.delattr(Client, "_packet_handle"), r"_packet_handle\(\) is missing"),
        (lambda patch: patch.setattr(Client, "_mid_generate", decode_length), "has other parameters"),
        (lambda patch: patch.setattr("communicator.protocols.mqtt.paho_contract.ATTRIBUTES", ("_gone",)), "_gone"),
        (lambda patch: patch.setattr("communicator.protocols.mqtt.paho_contract.IN_PACKET", ("x",)), "_in_packet"),
    ],
)
def test_another_paho_gets_its_public_interface_and_a_warning(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None], text: str
) -> None:
    with monkeypatch.context() as patch:
        change(patch)
        session = Session(MQTTConfig("127.0.0.1", port=broker.port), links.fast_link)
        with pytest.warns(RuntimeWarning, match=text):
            link = links.fast_link(session, True)
        assert not isinstance(link, FastLink)
