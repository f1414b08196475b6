"""Kill the bridge and the broker while messages pass, and count what arrives.

The whole proof, 200,000 messages with ten kills of the bridge and five of the broker, takes minutes:

    IOT_DATA_BRIDGE_PROOF=full scripts/test tests/data_bridge/test_nothing_lost.py -s

Without the variable a short one runs. The source behaves as sources must that cannot lose: after a crash of the broker
it sends again what the broker may have forgotten, with the same trace ids.
"""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from development.mosquitto import Mosquitto
from tests.data_bridge.conftest import EXAMPLES
from tests.data_bridge.running import BridgeProcess, Listener

FULL = os.environ.get("IOT_DATA_BRIDGE_PROOF") == "full"
MESSAGES = 200_000 if FULL else 6_000
BRIDGE_KILLS = 10 if FULL else 2
BROKER_KILLS = 5 if FULL else 1
KEYS = 4
"""Messages of one trace, which must keep their order."""
WINDOW = 100
"""Messages on their way at once: so few that the broker hands each to the receiver's socket before it confirms it."""
IN_FLIGHT = 20
"""Deliveries without an answer, which the bridge is set to: that many outcomes a kill can leave unknown."""
SILENCE_SECONDS = 15.0


class Receiver:
    """Counts the values that arrive; its session outlives connections.

    It subscribes at QoS 0: the broker then writes each value to this socket before it confirms it to the bridge, and
    there is no answer of ours whose failing to be sent would end the connection before all was read.
    """

    def __init__(self, port: int) -> None:
        self.order: list[int] = []
        self.seen: Counter[int] = Counter()
        self.arrived = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="receiver", clean_session=False)
        self.client.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type]  # fractions work; back before the bridge is
        self.client.on_message = self._note
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("devices/#", 0)
        assert subscribed.wait(20)

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        number = orjson.loads(message.payload)["value"]
        with self.arrived:
            self.seen[number] += 1
            if self.seen[number] == 1:
                self.order.append(number)
            self.arrived.notify_all()


class Source:
    """Publishes numbered messages, KEYS to a trace, never more than WINDOW ahead of what arrived."""

    def __init__(self, port: int, receiver: Receiver) -> None:
        self.port = port
        self.receiver = receiver
        self.sent = 0
        self.client = self._connected()

    def _connected(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id="source", clean_session=False)
        client.max_inflight_messages_set(200)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        return client

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def begin_again(self) -> None:
        """Connect without what the last client still had to send.

        By itself it would send what the broker had not confirmed before what the broker confirmed and forgot: out of
        order, and no bridge could know.
        """
        self.client = self._connected()

    def publish(self, number: int) -> None:
        payload = {"Equip.Tag": f"T{number % KEYS}", "Message.ID": "M", "VALUE": number}
        header = {"UUID": f"trace-{number // KEYS}"}
        self.client.publish("iot/ingress", orjson.dumps({"header": header, "payload": payload}), 1)

    def send_until(self, end: int) -> None:
        """Send up to the number `end`, waiting where too many are on their way."""
        while self.sent < end:
            with self.receiver.arrived:
                room = self.receiver.arrived.wait_for(
                    lambda: self.sent - len(self.receiver.seen) < WINDOW, SILENCE_SECONDS
                )
            assert room, f"only {len(self.receiver.seen)} of {self.sent} arrived"
            for number in range(self.sent, min(end, self.sent + 20)):
                self.publish(number)
            self.sent = min(end, self.sent + 20)

    def send_again(self) -> None:
        """Send once more what a broker that crashed may have taken with it."""
        for number in range(max(0, self.sent - 2 * WINDOW) // KEYS * KEYS, self.sent):
            self.publish(number)


@pytest.fixture
def proof(tmp_path: Path) -> BridgeProcess:
    folder = tmp_path / "bridge"
    folder.mkdir()
    shutil.copyfile(EXAMPLES / "bridge.yaml", folder / "bridge.yaml")
    rules = "".join(
        f"  - {{equip_tag: T{key}, message_id: M, object: Key{key}, value_type: integer}}\n" for key in range(KEYS)
    )
    (folder / "mappings.yaml").write_text("mappings:\n" + rules)
    (folder / "devices.yaml").write_text("objects:\n" + "".join(f"  Key{key}: [D]\n" for key in range(KEYS)))
    # The broker saves its sessions once, when nothing is on its way: a later save could bring back what was delivered
    # since. And it hands everything to the receiver's socket at once: what it confirmed to the bridge and still had in
    # its memory would go down with it, which no bridge could know.
    settings = ("max_queued_messages 0", "max_inflight_messages 0", "autosave_interval 0")
    broker = Mosquitto(tmp_path / "broker", settings=settings)
    return BridgeProcess(
        folder,
        broker,
        {
            "IOT_DATA_BRIDGE_DEDUPLICATION_IDENTITY": "trace_and_key",
            "IOT_DATA_BRIDGE_BROKER_RECONNECT_MINIMUM": "1",
            "IOT_DATA_BRIDGE_BROKER_RECONNECT_MAXIMUM": "1",
            "IOT_DATA_BRIDGE_BROKER_RECEIVE_MAXIMUM": str(IN_FLIGHT),
            "IOT_DATA_BRIDGE_BROKER_MAX_INFLIGHT": str(IN_FLIGHT),
        },
    )


@pytest.mark.timeout(1800 if FULL else 180)
def test_every_message_arrives_whatever_is_killed(proof: BridgeProcess) -> None:
    broker = proof.broker
    broker.start()
    receiver = Receiver(broker.port)
    source = Source(broker.port, receiver)
    proof.start()
    listener = Listener(broker.port)
    listener.wait(f"{proof.root}/availability", lambda payload: payload == b"online")
    listener.close()
    try:
        source.send_until(WINDOW)
        _until_all_arrived(receiver, WINDOW)
        # Now every session is there and nothing is on its way: this is what the broker will remember.
        os.kill(broker.process_id, signal.SIGUSR1)
        _until((broker.directory / "mosquitto.db").exists)
        kills = BRIDGE_KILLS + BROKER_KILLS
        for kill in range(kills):
            source.send_until(WINDOW + (MESSAGES - WINDOW) * (kill + 1) // (kills + 1))
            if kill % 3 == 2:
                broker.kill()
                source.close()
                broker.start()
                _until(receiver.client.is_connected)
                source.begin_again()
                source.send_again()
            else:
                proof.end(signal.SIGKILL)
                proof.start()
        source.send_until(MESSAGES)
        _until_all_arrived(receiver, MESSAGES)
    finally:
        source.close()
        receiver.client.disconnect()
        receiver.client.loop_stop()
        proof.close()
        broker.stop()
    assert set(receiver.seen) == set(range(MESSAGES)), "a message was lost"
    twice = [number for number, count in receiver.seen.items() if count > 1]
    print(f"\n{MESSAGES} messages, {kills} kills: none lost, {len(twice)} twice")  # noqa: T201 -- the proof's result
    assert len(twice) <= kills * IN_FLIGHT, "more came twice than a kill can leave unknown"
    place = {number: index for index, number in enumerate(receiver.order)}
    for first in range(0, MESSAGES, KEYS):
        places = [place[number] for number in range(first, first + KEYS)]
        assert places == sorted(places), f"trace {first // KEYS} lost its order"


def _until_all_arrived(receiver: Receiver, count: int) -> None:
    last = -1
    while len(receiver.seen) < count:
        missing = sorted(set(range(count)) - set(receiver.seen))
        assert len(receiver.seen) > last, f"{len(missing)} of {count} did not arrive: {missing[:50]}"
        last = len(receiver.seen)
        with receiver.arrived:
            receiver.arrived.wait_for(lambda: len(receiver.seen) >= count, SILENCE_SECONDS)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SILENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
