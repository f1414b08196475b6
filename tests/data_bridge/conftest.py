import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import data_bridge
from development.mosquitto import Mosquitto
from tests.data_bridge.running import BridgeProcess, Listener

EXAMPLES = Path(data_bridge.__file__).parent / "examples"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    listening = Listener(broker.port)
    yield listening
    listening.close()


@pytest.fixture
def stopped_bridge(broker: Mosquitto, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge on the example catalogs that was not started yet."""
    folder = tmp_path / "bridge"
    shutil.copytree(EXAMPLES, folder)
    process = BridgeProcess(folder, broker, {"IOT_DATA_BRIDGE_CATALOGS_WATCH": "0.1"})
    yield process
    process.close()


@pytest.fixture
def bridge(stopped_bridge: BridgeProcess, listener: Listener) -> BridgeProcess:
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    return stopped_bridge
