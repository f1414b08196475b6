"""An app in a folder of its own."""

import getpass
import json
from pathlib import Path

import pytest

from broker.mosquitto import Listener
from broker.prepare import Layout
from development.mosquitto import free_port

OPTIONS: dict[str, object] = {
    "users": [{"username": "sensor", "password": "correct: horse "}, {"username": "ha", "password": "pässwörd"}],
    "bridge_id": "main",
    "bridge_name": "IoT Data Bridge",
    "ingress_topics": ["iot/ingress"],
    "log_level": "info",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an app that was never started, with two users in its options."""
    made = Layout(
        data=tmp_path / "data",
        catalogs=tmp_path / "config",
        catalog_seeds=Path("addon/rootfs/usr/share/iot-data-bridge/catalogs").resolve(),
        runtime=tmp_path / "run",
        broker_owner=getpass.getuser(),
        bridge_owner=getpass.getuser(),
        public=Listener(free_port(), "127.0.0.1"),
        internal=Listener(free_port(), "127.0.0.1"),
    )
    made.data.mkdir()
    made.catalogs.mkdir()
    made.options.write_text(json.dumps(OPTIONS))
    return made
