"""Protocols by name, those of other packages too."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from communicator.common.exception import ProtocolValidationError
from communicator.interfaces.protocol import BaseProtocol, PubSubProtocol, ReqResProtocol
from communicator.manager.protocol_manager import ProtocolManager
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from communicator.protocols.stream.tcp_protocol import TCPProtocol

OURS = {"mqtt", "tcp", "serial", "modbus-tcp", "modbus-rtu"}


def test_every_protocol_of_ours_is_made_from_a_mapping() -> None:
    manager = ProtocolManager()
    assert set(manager.names) >= OURS
    mqtt = manager.create({"protocol": "mqtt", "broker_address": "127.0.0.1", "port": 1884, "keepalive": 30})
    assert isinstance(mqtt, MQTTProtocol)
    assert isinstance(mqtt, PubSubProtocol)
    assert (mqtt.config.port, mqtt.config.keepalive) == (1884, 30)
    framing = {"kind": "delimiter", "delimiter": "\n"}
    assert isinstance(manager.create({"protocol": "tcp", "host": "h", "port": 7, "framing": framing}), TCPProtocol)
    for configuration in (
        {"protocol": "serial", "port": "/dev/null", "baudrate": 115_200},
        {"protocol": "modbus-tcp", "host": "h"},
        {"protocol": "modbus-rtu", "port": "/dev/null"},
    ):
        assert isinstance(manager.create(configuration), ReqResProtocol)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    manager = ProtocolManager()
    with pytest.raises(ProtocolValidationError, match=r"unknown protocol 'mqqt'; known are .*modbus-rtu.*mqtt.*tcp"):
        manager.create({"protocol": "mqqt"})
    with pytest.raises(ProtocolValidationError, match=r'"protocol" is missing; known are .*mqtt'):
        manager.create({})


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        ({"protocol": "tcp", "host": "h", "port": 1, "colour": "red"}, "colour"),
        ({"protocol": "tcp", "host": "h"}, "port"),
        ({"protocol": "mqtt", "broker_address": "h", "colour": "red"}, "no setting colour"),
        ({"protocol": "mqtt"}, "broker_address is missing"),
    ],
)
def test_a_setting_that_is_unknown_or_missing_is_named(configuration: dict[str, object], text: str) -> None:
    with pytest.raises(ProtocolValidationError, match=text):
        ProtocolManager().create(configuration)


def test_an_application_registers_a_protocol_of_its_own() -> None:
    class Silent(BaseProtocol):
        def connect(self) -> bool:
            return True

        def disconnect(self) -> None:
            pass

    manager = ProtocolManager()
    manager.register("silent", Silent)
    assert "silent" in manager.names
    assert isinstance(manager.create({"protocol": "silent"}), Silent)


def build(tmp_path: Path) -> Path:
    """Build the third party's wheel and unpack it, which is what installing it means."""
    source = Path(__file__).parent / "third_party"
    subprocess.run(  # noqa: S603 -- our own program and arguments
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_a_package_of_a_third_party_adds_a_protocol(tmp_path: Path) -> None:
    program = """
from communicator.manager.protocol_manager import ProtocolManager

manager = ProtocolManager()
print(",".join(manager.names))
with manager.create({"protocol": "loopback", "times": 2}) as protocol:
    protocol.send(b"ab")
    print(protocol.receive())
"""
    ended = subprocess.run(  # noqa: S603 -- our own program and arguments
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(build(tmp_path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    names, answer = ended.stdout.splitlines()
    assert set(names.split(",")) == OURS | {"loopback"}
    assert answer == "b'abab'"


def test_a_protocol_whose_package_is_missing_says_so(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["serial"] = None
from communicator.common.exception import ProtocolValidationError
from communicator.manager.protocol_manager import ProtocolManager

try:
    ProtocolManager().create({"protocol": "serial", "port": "x"})
except ProtocolValidationError as error:
    print(error)
"""
    ended = subprocess.run(  # noqa: S603 -- our own program and arguments
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "protocol 'serial' cannot be loaded" in ended.stdout
