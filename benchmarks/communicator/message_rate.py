"""How many messages a second one client receives and sends on, on each path, in one interleaved run.

    .venv/bin/python -m benchmarks.communicator.message_rate [--messages 20000] [--rounds 3]

A sender publishes with QoS 1; the client under test receives each message, publishes it on another topic with QoS 1 and
acknowledges it when the broker has taken that: the work of a bridge. Plain paho does the same with its own
callbacks. What counts is the ratio to plain paho in the same run, and processor time of the client's own thread.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from development.mosquitto import Mosquitto

PAYLOAD = b'{"header":{"UUID":"550e8400"},"payload":{"Equip.Tag":"GPS001","Message.ID":"GLL001","VALUE":37.5665}}'
TOPICS = 20


@dataclass(frozen=True)
class Result:
    """One client's run: messages a second, and microseconds of processor time a message in its network thread."""

    rate: float
    microseconds: float


class Meter:
    """Counts messages that are through, and the processor time of the thread that says so."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = threading.Event()
        self.count = 0
        self.first = 0.0
        self.last = 0.0

    def through(self) -> None:
        """Count one; called in the network thread of the client under test."""
        self.count += 1
        if self.count == 1:
            self.first = time.thread_time()
        elif self.count == self.total:
            self.last = time.thread_time()
            self.done.set()


def ours(port: int, meter: Meter, *, fast: bool, version: str) -> Callable[[], None]:
    """Start our client; return what stops it."""
    client = MQTTProtocol(
        "127.0.0.1",
        port=port,
        fast_path=fast,
        protocol_version="5.0" if version == "5.0" else "3.1.1",
        publish_queue_maxsize=1_000_000,
    )
    out = [client.prepare(f"out/{number}") for number in range(TOPICS)]

    def through(delivery: int, _code: int) -> None:
        client.acknowledge(delivery)
        meter.through()

    def handle(_topic: str, payload: bytes, delivery: int) -> None:
        client.publish_prepared(out[meter.count % TOPICS], payload, through, delivery)

    client.route("in/#", handle)
    client.connect()
    return client.disconnect


def plain(port: int, meter: Meter) -> Callable[[], None]:
    """Start plain paho with its own thread; return what stops it."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5, manual_ack=True)
    client.max_inflight_messages = 1_000
    waiting: dict[int, int] = {}
    ready = threading.Event()

    def handle(_client: Client, _data: object, message: MQTTMessage) -> None:
        waiting[client.publish(f"out/{meter.count % TOPICS}", message.payload, 1).mid] = message.mid

    def through(_client: Client, _data: object, identifier: int, *_: object) -> None:
        client.ack(waiting.pop(identifier), 1)
        meter.through()

    client.on_message = handle
    client.on_publish = through
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe("in/#", 1)
    client.loop_start()
    ready.wait(10)

    def stop() -> None:
        client.disconnect()
        client.loop_stop()

    return stop


def run(start: Callable[[int, Meter], Callable[[], None]], total: int) -> Result:
    """Send `total` messages through one client behind a broker of its own."""
    meter = Meter(total)
    with (
        tempfile.TemporaryDirectory() as directory,
        Mosquitto(Path(directory), persistence=False, settings=("max_queued_messages 0",)) as broker,
    ):
        stop = start(broker.port, meter)
        with MQTTProtocol("127.0.0.1", port=broker.port, mode="blocking", publish_queue_maxsize=total) as sender:
            sender.publish("ready", "", qos=1)
            prepared = [sender.prepare(f"in/{number}") for number in range(TOPICS)]
            started = time.perf_counter()
            for number in range(total):
                sender.publish_prepared(prepared[number % TOPICS], PAYLOAD)
            if not meter.done.wait(300):
                raise SystemExit(f"only {meter.count} of {total} messages came through")
            seconds = time.perf_counter() - started
        stop()
    return Result(total / seconds, (meter.last - meter.first) / total * 1e6)


def main() -> None:
    """Run every client in turn, so that all see the same machine, and print the medians."""
    parser = argparse.ArgumentParser(description="message rate of the MQTT client's paths")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    clients: dict[str, Callable[[int, Meter], Callable[[], None]]] = {
        "plain paho, MQTT 5.0": plain,
        "stock path, MQTT 5.0": lambda port, meter: ours(port, meter, fast=False, version="5.0"),
        "fast path, MQTT 3.1.1": lambda port, meter: ours(port, meter, fast=True, version="3.1.1"),
        "fast path, MQTT 5.0": lambda port, meter: ours(port, meter, fast=True, version="5.0"),
    }
    results: dict[str, list[Result]] = {name: [] for name in clients}
    for _ in range(chosen.rounds):
        for name, start in clients.items():
            results[name].append(run(start, chosen.messages))
    baseline = statistics.median(result.rate for result in results["plain paho, MQTT 5.0"])
    print(f"{'client':24}{'messages/s':>12}{'ratio':>8}{'us/message':>12}")
    for name, measured in results.items():
        rate = statistics.median(result.rate for result in measured)
        microseconds = statistics.median(result.microseconds for result in measured)
        print(f"{name:24}{rate:12,.0f}{rate / baseline:8.1f}{microseconds:12.1f}")


if __name__ == "__main__":
    main()
