"""The rendered configuration, read and kept by a real Mosquitto."""

import getpass
import json
import os
import queue
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from broker.health import Broker, UnhealthyError, round_trip
from broker.mosquitto import password_line
from broker.options import HEALTHCHECK_USER
from broker.prepare import Layout, prepare
from development.mosquitto import free_port
from development.program import Program, find_program

SECONDS = 10.0


@pytest.fixture
def broker(layout: Layout) -> Iterator[Program]:
    """Start Mosquitto with the rendered files, as the container does."""
    prepare(layout)
    with started(layout) as program:
        yield program


@contextmanager
def started(layout: Layout) -> Iterator[Program]:
    rendered = layout.runtime / "mosquitto" / "mosquitto.conf"
    # Started by root it would become the user mosquitto, who may not read this test's folder.
    rendered.write_text(f"user {getpass.getuser()}\n{rendered.read_text()}")
    program = Program("mosquitto", [find_program("mosquitto"), "-c", str(rendered)], layout.data / "mosquitto.log")
    program.start()
    deadline = time.monotonic() + SECONDS
    # An open port and not its word, which log level error keeps back; the health check's listener is the first.
    while not is_open(layout.public.port):
        program.check()
        assert time.monotonic() < deadline, program.said()
        time.sleep(0.01)
    yield program
    assert program.stop() == 0


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Peer:
    """A client that keeps the reasons and messages it gets."""

    def __init__(
        self,
        port: int,
        username: str | None,
        password: str | None,
        client_id: str = "peer",
        *,
        keep_session: bool = False,
    ) -> None:
        self.reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=not keep_session,
            protocol=MQTTv311,
        )
        self.client.username_pw_set(username, password)
        self.client.on_connect = lambda _client, _data, _flags, reason, _properties: self.reasons.put(str(reason))
        self.client.on_subscribe = lambda _client, _data, _id, reasons, _properties: self.reasons.put(str(reasons[0]))
        self.client.on_message = lambda _client, _data, message: self.messages.put((message.topic, message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.reason = self.reasons.get(timeout=SECONDS)

    def subscribe(self, topic: str) -> str:
        self.client.subscribe(topic, qos=1)
        return self.reasons.get(timeout=SECONDS)

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(SECONDS)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def connected(layout: Layout, username: str | None, password: str | None, client_id: str = "peer") -> Iterator[Peer]:
    peer = Peer(layout.public.port, username, password, client_id)
    try:
        yield peer
    finally:
        peer.close()


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        ("sensor", "correct: horse ", "Success"),
        ("ha", "pässwörd", "Success"),
        ("sensor", "correct", "Not authorized"),
        ("sensor", "correct: horse", "Not authorized"),
        ("sensor", "", "Not authorized"),
        ("sensor", None, "Not authorized"),
        ("nobody", "correct: horse ", "Not authorized"),
        ("bridge", "", "Not authorized"),
        (None, None, "Not authorized"),
    ],
)
@pytest.mark.usefixtures("broker")
def test_a_configured_user_connects_and_nobody_else(
    layout: Layout, username: str | None, password: str | None, reason: str
) -> None:
    with connected(layout, username, password) as peer:
        assert peer.reason == reason


@pytest.mark.usefixtures("broker")
def test_the_bridge_connects_with_its_kept_password(layout: Layout) -> None:
    peer = Peer(layout.internal.port, "bridge", layout.bridge_password.read_text())
    peer.close()
    assert peer.reason == "Success"


@pytest.mark.usefixtures("broker")
def test_a_message_of_one_user_reaches_another(layout: Layout) -> None:
    with (
        connected(layout, "sensor", "correct: horse ", "a") as sender,
        connected(layout, "ha", "pässwörd", "b") as reader,
    ):
        assert reader.subscribe("devices/#") == "Granted QoS 1"
        sender.publish("devices/vm-a/ingress", b"1")
        assert reader.messages.get(timeout=SECONDS) == ("devices/vm-a/ingress", b"1")


@pytest.mark.usefixtures("broker")
def test_the_health_check_is_seen_by_nobody_and_sees_nothing(layout: Layout) -> None:
    password = layout.healthcheck_password.read_text()
    with connected(layout, "ha", "pässwörd", "a") as reader, connected(layout, HEALTHCHECK_USER, password, "b") as spy:
        reader.subscribe("#")
        spy.subscribe("#")
        round_trip(Broker("127.0.0.1", layout.internal.port, HEALTHCHECK_USER, password), SECONDS)
        reader.publish("healthcheck/forged", b"forged")
        reader.publish("devices/vm-a/ingress", b"last")
        assert reader.messages.get(timeout=SECONDS) == ("devices/vm-a/ingress", b"last")
        topic, _ = spy.messages.get(timeout=SECONDS)
        assert topic.startswith("healthcheck/")
        assert topic != "healthcheck/forged"
        spy.publish("healthcheck/end")
        assert spy.messages.get(timeout=SECONDS) == ("healthcheck/end", b"x")
        assert reader.reasons.empty(), "a refused message must not cost the connection"


@pytest.mark.usefixtures("broker")
def test_an_unhealthy_broker_is_told_from_a_healthy_one(layout: Layout) -> None:
    right = Broker("127.0.0.1", layout.internal.port, HEALTHCHECK_USER, layout.healthcheck_password.read_text())
    round_trip(right, SECONDS)
    with pytest.raises(UnhealthyError, match="refused the health check: Not authorized"):
        round_trip(replace(right, password="wrong"), SECONDS)
    with pytest.raises(UnhealthyError, match=r"cannot be reached: .*refused"):
        round_trip(replace(right, port=free_port()), SECONDS)


def test_a_broker_that_hangs_is_unhealthy() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(UnhealthyError, match=r"no answer .* within 0.1 s"),
    ):
        round_trip(Broker("127.0.0.1", silent.getsockname()[1], HEALTHCHECK_USER, "any"), 0.1)


def test_only_the_two_listeners_are_open(layout: Layout, broker: Program) -> None:
    opened = re.findall(r"Opening ipv[46] listen socket on port (\d+)", broker.said())
    assert opened == [str(layout.internal.port), str(layout.public.port)]


def test_retained_messages_and_sessions_outlive_a_restart(layout: Layout) -> None:
    prepare(layout)
    with started(layout):
        sleeper = Peer(layout.public.port, "ha", "pässwörd", "sleeper", keep_session=True)
        sleeper.subscribe("orders/#")
        sleeper.close()
        with connected(layout, "sensor", "correct: horse ") as sender:
            sender.publish("orders/1", b"while away")
            sender.publish("state/1", b"kept", retain=True)
    prepare(layout)
    with started(layout):
        woken = Peer(layout.public.port, "ha", "pässwörd", "sleeper", keep_session=True)
        assert woken.messages.get(timeout=SECONDS) == ("orders/1", b"while away")
        woken.subscribe("state/#")
        assert woken.messages.get(timeout=SECONDS) == ("state/1", b"kept")
        woken.close()


@pytest.mark.parametrize(
    ("level", "connections", "packets"),
    [("debug", True, True), ("info", True, False), ("warning", False, False), ("error", False, False)],
)
def test_the_log_level_decides_what_the_broker_says(
    layout: Layout, level: str, connections: bool, packets: bool
) -> None:
    options = json.loads(layout.options.read_text())
    layout.options.write_text(json.dumps({**options, "log_level": level}))
    prepare(layout)
    with started(layout) as broker:
        with connected(layout, "ha", "pässwörd", "reader"):
            pass
        assert ("as reader" in broker.said()) == connections
        assert ("Sending CONNACK to reader" in broker.said()) == packets


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100))
def test_any_password_works(layout: Layout, broker: Program, password: str) -> None:
    users = layout.runtime / "mosquitto" / "passwords"
    users.write_text(password_line("ha", password))
    os.kill(broker.process_id, signal.SIGHUP)
    deadline = time.monotonic() + SECONDS
    while True:
        with connected(layout, "ha", password) as peer:
            if peer.reason == "Success":
                break
        assert time.monotonic() < deadline
