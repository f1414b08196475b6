from collections.abc import Iterator
from pathlib import Path

import pytest

from communicator.protocols.mqtt.configuration import MQTTSettings
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from development.mosquitto import Mosquitto
from tests.communicator.waiting import MakeClient


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture(params=["fast", "stock"])
def fast_path(request: pytest.FixtureRequest) -> bool:
    chosen: str = request.param
    return chosen == "fast"


@pytest.fixture
def make_client(broker: Mosquitto, fast_path: bool) -> Iterator[MakeClient]:
    """A function that makes clients of the broker, all of which are disconnected at the end."""
    made: list[MQTTProtocol] = []

    def make(**settings: object) -> MQTTProtocol:
        given: MQTTSettings = {"broker_address": "127.0.0.1", "port": broker.port, "timeout": 10.0, **settings}  # type: ignore[typeddict-item]  # any setting
        client = MQTTProtocol(fast_path=fast_path, **given)
        made.append(client)
        return client

    yield make
    for client in made:
        client.disconnect()
