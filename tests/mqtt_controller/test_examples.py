"""The examples run, and the documentation names what there is."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mqtt_controller.readers.simulated import read_script
from mqtt_controller.settings import _parser, read_settings
from tests.mqtt_controller.conftest import PATIENCE, Shop, wait_for

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DOCUMENTATION = ROOT / "docs" / "basket-controller"


def example(shop: Shop, name: str) -> tuple[subprocess.Popen[bytes], Path]:
    output = shop.directory / f"{name}.out"
    with output.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 -- ours
            [sys.executable, str(EXAMPLES / name)],
            env={
                **os.environ,
                "MQTT_HOST": "127.0.0.1",
                "MQTT_PORT": str(shop.broker.port),
                "MQTT_TOPIC": "quick/start",
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    shop.stack.callback(process.wait)
    shop.stack.callback(process.kill)
    return process, output


def test_the_subscriber_prints_what_the_publisher_sends(shop: Shop) -> None:
    subscriber, heard = example(shop, "subscriber.py")
    wait_for("the subscriber", lambda: "waiting for quick/start" in heard.read_text())
    publisher, said = example(shop, "publisher.py")
    wait_for("a message", lambda: "Received 'message 2' from quick/start" in heard.read_text())
    assert "Sent 'message 1' to quick/start" in said.read_text()
    for process, output in ((publisher, said), (subscriber, heard)):
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in output.read_text()


def test_the_example_script_can_be_played() -> None:
    assert [step.seconds for step in read_script(EXAMPLES / "shopping.script")] == [1, 3, 6, 9, 12]


def test_the_units_settings_and_flags_are_the_programs() -> None:
    lines = (EXAMPLES / "systemd" / "mqtt-controller.env").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    unit = (EXAMPLES / "systemd" / "mqtt-controller.service").read_text()
    command = re.search(r"^ExecStart=\S+ -m mqtt_controller (.*)$", unit, re.MULTILINE)
    assert command is not None
    settings = read_settings(command[1].split(), environment, in_terminal=False)
    assert (settings.root, settings.reader, settings.display) == ("basket/unit0001", "serial", "i2c")
    assert set(environment) == {"MQTT_HOST", "MQTT_PORT", "MQTT_TOPIC", "MQTT_USER", "MQTT_PASS", "BASKET_ID"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze checks the unit, and is not here")
def test_systemd_has_no_objection_to_the_unit(tmp_path: Path) -> None:
    unit = (EXAMPLES / "systemd" / "mqtt-controller.service").read_text()
    copy = tmp_path / "mqtt-controller.service"
    # The program is not installed at its place here, and systemd looks.
    copy.write_text(unit.replace("/opt/iot-data-bridge/bin/python", sys.executable))
    verified = subprocess.run(  # noqa: S603 -- ours
        [shutil.which("systemd-analyze") or "", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0
    assert [line for line in verified.stderr.splitlines() if "mqtt-controller" in line] == []


def test_the_documentation_names_every_flag_and_no_other() -> None:
    flags = {flag for action in _parser()._actions for flag in action.option_strings} - {"-h", "--help"}
    rows = [line for line in (DOCUMENTATION / "README.md").read_text().splitlines() if line.startswith("| ")]
    named = {flag for row in rows for flag in re.findall(r"`(--[a-z-]+)", row.split("|")[2])}
    assert named == flags


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_documentations_links_lead_somewhere(name: str) -> None:
    page = DOCUMENTATION / name
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link
