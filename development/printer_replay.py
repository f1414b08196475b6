"""A 3D printer: plays what a real OctoPrint with the FACTOR plugin published during one print, over and over.

    MQTT_PORT=… MQTT_USER=… MQTT_PASS=… python -m development.printer_replay [--speed FACTOR]

Each line of the capture is one message: `{"t": seconds, "topic", "retain", "qos", "payload"}`.
"""

import argparse
import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from development.connection import BrokerAccount

CAPTURE = Path(__file__).parent / "captures" / "factor-octoprint-print.jsonl"

# The capture also holds what a server sent to the printer; a printer does not say that.
FROM_THE_PRINTER = ("octoprint/status/", "camera/")
TO_THE_PRINTER = "/cmd"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded message; `seconds` counts from the capture's start."""

    seconds: float
    topic: str
    payload: str
    qos: int
    retain: bool


def recorded_messages(capture: Path = CAPTURE) -> Iterator[Recorded]:
    """Yield what the printer published, in order."""
    with capture.open() as lines:
        for line in lines:
            message = json.loads(line)
            topic = message["topic"]
            if topic.startswith(FROM_THE_PRINTER) and not topic.endswith(TO_THE_PRINTER):
                yield Recorded(message["t"], topic, message["payload"], message["qos"], message["retain"])


def main() -> None:
    """Play until asked to end."""
    parser = argparse.ArgumentParser(description="Replay a recorded print.")
    parser.add_argument("--speed", type=float, default=1.0, help="how many recorded seconds pass in one (default 1)")
    speed: float = parser.parse_args().speed
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    client = BrokerAccount.from_environment().client()
    client.connect()
    messages = list(recorded_messages())
    while not stop.is_set():
        now = 0.0
        for message in messages:
            if stop.wait((message.seconds - now) / speed):
                break
            now = message.seconds
            client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
    client.disconnect()


if __name__ == "__main__":
    main()
