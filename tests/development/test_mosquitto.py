"""The broker that every other test relies on."""

from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from development.mosquitto import Mosquitto
from development.program import ProgramFailedError


def connect(port: int, username: str | None = None, password: str | None = None) -> str:
    """Connect, and return the reason that the broker gave."""
    reasons: list[str] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.username_pw_set(username, password)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: reasons.append(str(reason))
    client.connect("127.0.0.1", port)
    while not reasons and client.loop(1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass
    client.disconnect()
    return reasons[0]


def test_only_named_users_may_connect(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, users={"bridge": "correct horse"}) as broker:
        assert connect(broker.port, "bridge", "correct horse") == "Success"
        assert connect(broker.port, "bridge", "wrong") == "Not authorized"
        assert connect(broker.port) == "Not authorized"
    assert "correct horse" not in (tmp_path / "users").read_text()


def test_a_restart_keeps_the_port(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        port = broker.port
        broker.kill()
        assert not broker.running
        broker.start()
        assert broker.port == port
        assert connect(port) == "Success"


def test_a_taken_port_is_named_with_the_brokers_own_words(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "first") as first,
        pytest.raises(ProgramFailedError, match=rf"port {first.port}: .*Address already in use"),
    ):
        Mosquitto(tmp_path / "second", port=first.port).start()
