"""A shop for the tests: a real Mosquitto, a server that hears everything, and baskets as real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from development.mosquitto import Mosquitto

PATIENCE = 15.0


def wait_for[Result](what: str, look: Callable[[], Result | None]) -> Result:
    """Return what `look` finds as soon as it is neither None nor False."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.01)


class Server:
    """A client of the broker that hears everything and comes back after a broker's restart."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self.messages: list[MQTTMessage] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._ready = False
        self._client.on_subscribe = lambda *_: setattr(self, "_ready", True)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.wait_until_connected()

    @staticmethod
    def _subscribe(
        client: Client, _data: object, _flags: ConnectFlags, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        client.subscribe("#", 1)

    def wait_until_connected(self) -> None:
        wait_for("the server's connection", lambda: self._ready)

    def lost(self) -> None:
        """Expect a new connection."""
        self._ready = False

    def send(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE)

    def shout(self, topic: str, payload: str | bytes) -> None:
        """Send without waiting for anything."""
        self._client.publish(topic, payload, 0)

    def wait(self, topic: str, accepts: Callable[[bytes], bool], *, after: int = 0) -> MQTTMessage:
        """Return the first accepted message on a topic; `after` skips that many messages of all topics."""
        return wait_for(
            f"{topic} among {[(message.topic, message.payload) for message in self.messages[after:]]}",
            lambda: next(
                (m for m in self.messages[after:] if m.topic == topic and accepts(m.payload)),
                None,
            ),
        )

    def wait_contents(self, root: str, contents: dict[str, int], *, after: int = 0) -> MQTTMessage:
        return self.wait(f"{root}/update", lambda payload: orjson.loads(payload)["list"] == contents, after=after)

    def contents(self, root: str) -> list[dict[str, int]]:
        return [orjson.loads(m.payload)["list"] for m in list(self.messages) if m.topic == f"{root}/update"]

    def availability(self, root: str) -> list[tuple[bytes, bool]]:
        return [(m.payload, m.retain) for m in list(self.messages) if m.topic == f"{root}/availability"]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class BasketProcess:
    """`python -m mqtt_controller` as a process."""

    root: str
    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def display(self) -> list[str]:
        """Return what the LCD showed, one entry a change."""
        return [line.removeprefix("LCD ") for line in self.output.read_text().splitlines() if line.startswith("LCD ")]

    def wait_display(self, text: str) -> None:
        wait_for(f"{text!r} on the LCD, not {self.display()}; {self.log.read_text()}", lambda: text in self.display())

    def type(self, keys: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@dataclass
class Shop:
    """One broker, its server, and the baskets that a test starts."""

    broker: Mosquitto
    directory: Path
    stack: ExitStack
    baskets: list[BasketProcess] = field(default_factory=list)
    _server: Server | None = None

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = Server(self.broker.port)
            self.stack.callback(self._server.close)
        return self._server

    def run(
        self, *flags: str, root: str = "basket/unit0001", terminal: int | None = None, **environment: str
    ) -> BasketProcess:
        """Start a basket, and do not wait for it; `terminal` is a descriptor for its input and output."""
        number = len(self.baskets)
        output, log = self.directory / f"basket{number}.out", self.directory / f"basket{number}.err"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MQTT_", "BASKET_"))}
        settings = {"MQTT_HOST": "127.0.0.1", "MQTT_PORT": str(self.broker.port), "MQTT_TOPIC": root, **environment}
        with output.open("wb") as output_file, log.open("wb") as log_file:
            process = subprocess.Popen(  # noqa: S603 -- ours
                [sys.executable, "-m", "mqtt_controller", "--cycle", "0.05", *flags],
                env={**kept, **settings},
                stdin=subprocess.PIPE if terminal is None else terminal,
                stdout=output_file if terminal is None else terminal,
                stderr=log_file,
            )
        basket = BasketProcess(root, process, output, log)
        self.baskets.append(basket)
        self.stack.callback(self._clean_up, basket)
        return basket

    def open(
        self, *flags: str, root: str = "basket/unit0001", terminal: int | None = None, **environment: str
    ) -> BasketProcess:
        """Start a basket and wait until it is online."""
        after = len(self.server.messages)
        basket = self.run(*flags, root=root, terminal=terminal, **environment)
        self.server.wait(f"{root}/availability", lambda payload: payload == b"online", after=after)
        return basket

    @staticmethod
    def _clean_up(basket: BasketProcess) -> None:
        # Whatever a test put it through, a basket can still be ended in order.
        try:
            if basket.process.poll() is None:
                assert basket.end() == 0
        finally:
            basket.process.kill()
            basket.process.wait()
        if basket.process.stdin is not None:
            basket.process.stdin.close()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path / "broker"))
        yield Shop(broker, tmp_path, stack)
