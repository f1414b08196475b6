"""A real bridge process on a real Mosquitto, and somebody who listens to everything."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from development.mosquitto import Mosquitto

WAIT_SECONDS = 20.0


class Listener:
    """Subscribed to everything; remembers what came, and waits for what should."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._note
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("#", 1)
        assert subscribed.wait(WAIT_SECONDS)

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, bytes(message.payload), message.retain))
            self._changed.notify_all()

    def publish(self, topic: str, payload: bytes | str, qos: int = 1) -> None:
        """Publish, and return when the broker has it."""
        self.client.publish(topic, payload, qos).wait_for_publish(WAIT_SECONDS)

    def envelope(self, tag: str, message_id: str, value: object, trace: str | None = None) -> None:
        """Publish an envelope."""
        header = {} if trace is None else {"UUID": trace}
        payload = {"Equip.Tag": tag, "Message.ID": message_id, "VALUE": value}
        self.publish("iot/ingress", orjson.dumps({"header": header, "payload": payload}))

    def on(self, topic: str) -> list[bytes]:
        """Return the payloads that came on a topic."""
        with self._changed:
            return [payload for given, payload, _ in self.messages if given == topic]

    def wait(self, topic: str, condition: Callable[[bytes], bool] = bool, seconds: float = WAIT_SECONDS) -> bytes:
        """Return the first payload on a topic that meets a condition, waiting for it."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for given, payload, _ in self.messages:
                    if given == topic and condition(payload):
                        return payload
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise AssertionError(f"nothing fitting on {topic}; there was {self.on(topic)[-3:]}")

    def command(self, root: str, content: dict[str, object]) -> dict[str, object]:
        """Send a command and return its result."""
        self.publish(f"{root}/command", orjson.dumps(content))
        payload = self.wait(f"{root}/result", lambda payload: orjson.loads(payload)["id"] == content.get("id"))
        result: dict[str, object] = orjson.loads(payload)
        return result

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@dataclass(slots=True)
class BridgeProcess:
    """`python -m data_bridge run` with files in a folder; its output is in `log`."""

    folder: Path
    broker: Mosquitto
    environment: Mapping[str, str] = field(default_factory=dict)
    root: str = "iot_data_bridge/main"
    user: int | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Return the file with everything it printed."""
        return self.folder / "bridge.log"

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a `data_bridge` command with this bridge's settings."""
        return [sys.executable, "-m", "data_bridge", *arguments, "--config", str(self.folder / "bridge.yaml")]

    def environ(self) -> dict[str, str]:
        """Return its environment."""
        return {**os.environ, "IOT_DATA_BRIDGE_BROKER_PORT": str(self.broker.port), **self.environment}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the same settings, and return what it printed."""
        return subprocess.run(  # noqa: S603 -- our own program
            self.command(*arguments),
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            user=self.user,
        )

    def start(self) -> None:
        """Start it; it is up when `availability` says so."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program
                self.command("run"),
                env=self.environ(),
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )

    @property
    def process_id(self) -> int:
        """Return its process id."""
        assert self._process is not None
        return self._process.pid

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.terminate(number)
        return self.wait()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        assert self._process is not None
        code = self._process.wait(30)
        self._process = None
        return code

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def log_lines(bridge: BridgeProcess, event: str) -> list[dict[str, object]]:
    """Return what it logged as this event."""
    printed = bridge.log.read_bytes().splitlines()
    lines: list[dict[str, object]] = [orjson.loads(line) for line in printed if line.startswith(b"{")]
    return [line for line in lines if line["event"] == event]


def wait_for_log(bridge: BridgeProcess, event: str) -> dict[str, object]:
    """Return the last line of an event, waiting for the first."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if lines := log_lines(bridge, event):
            return lines[-1]
        time.sleep(0.02)
    raise AssertionError(bridge.log.read_text())
