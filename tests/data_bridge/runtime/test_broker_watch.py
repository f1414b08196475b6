"""What the broker refuses, cannot do or drops is an event, a number and, while it lasts, a problem in the metrics."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from development.mosquitto import Mosquitto
from tests.communicator.certificates import Authority
from tests.data_bridge.conftest import EXAMPLES
from tests.data_bridge.proxy import Proxy
from tests.data_bridge.running import BridgeProcess, Listener, log_lines, wait_for_log, wait_until

QUICK = {
    "IOT_DATA_BRIDGE_CATALOGS_WATCH": "0.1",
    "IOT_DATA_BRIDGE_ANNOUNCEMENTS_METRICS_INTERVAL": "0.2",
    "IOT_DATA_BRIDGE_BROKER_RECONNECT_MINIMUM": "0.1",
    "IOT_DATA_BRIDGE_BROKER_RECONNECT_MAXIMUM": "0.3",
}


@contextmanager
def running(folder: Path, broker: Mosquitto, **environment: str) -> Iterator[tuple[BridgeProcess, Listener]]:
    """A bridge on the example catalogs that was not started yet, and who listens to its broker."""
    shutil.copytree(EXAMPLES, folder)
    bridge = BridgeProcess(folder, broker, {**QUICK, **environment})
    listener = Listener(broker.port)
    try:
        yield bridge, listener
    finally:
        listener.close()
        bridge.close()


def started(bridge: BridgeProcess, listener: Listener) -> None:
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")


def event(bridge: BridgeProcess, listener: Listener, kind: str) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(
        listener.wait(f"{bridge.root}/events", lambda payload: orjson.loads(payload)["type"] == kind)
    )
    return found


def problem(bridge: BridgeProcess, listener: Listener, kind: str) -> str:
    """Return the text of a problem that the metrics tell of."""

    def has(payload: bytes) -> bool:
        return any(each["type"] == kind for each in orjson.loads(payload)["problems"])

    problems = orjson.loads(listener.wait(f"{bridge.root}/metrics", has))["problems"]
    return next(str(each["text"]) for each in problems if each["type"] == kind)


def metrics_after(bridge: BridgeProcess, listener: Listener) -> dict[str, object]:
    listener.messages[:] = [each for each in listener.messages if not each[0].endswith("/metrics")]
    found: dict[str, object] = orjson.loads(listener.wait(f"{bridge.root}/metrics"))
    return found


class DynamicSecurity:
    """Mosquitto's plug-in, which lets anonymous clients subscribe everything but some topics."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "dynamic-security.json"
        self.settings = (
            "plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
            f"plugin_opt_config_file {self._path}",
        )

    def deny(self, *filters: str) -> None:
        everything = {"publishClientSend": True, "publishClientReceive": True, "subscribe": True, "unsubscribe": True}
        acls = [{"acltype": "subscribeLiteral", "topic": each, "allow": False} for each in filters]
        roles = [{"rolename": "reader", "acls": acls}]
        groups = [{"groupname": "all", "roles": [{"rolename": "reader"}]}]
        self._path.write_text(
            json.dumps({"defaultACLAccess": everything, "roles": roles, "groups": groups, "anonymousGroup": "all"})
        )


def test_a_refused_subscription_is_told_until_it_is_granted(tmp_path: Path) -> None:
    security = DynamicSecurity(tmp_path)
    security.deny("iot/ingress", "sensors/+/climate", "$SYS/broker/publish/messages/dropped")
    broker = Mosquitto(tmp_path / "broker", settings=security.settings)
    with broker, running(tmp_path / "bridge", broker) as (bridge, listener):
        started(bridge, listener)
        text = problem(bridge, listener, "subscription_refused")
        assert text == (
            "the broker refuses to subscribe 'iot/ingress', 'sensors/+/climate' (reason code 0x87, not authorised):"
            " what is published there does not arrive"
        )
        assert event(bridge, listener, "subscription_refused")["text"] == text
        assert wait_for_log(bridge, "subscription_refused")["text"] == text
        assert metrics_after(bridge, listener)["subscriptions_refused"] == 3
        # A reload that reads a topic no more ends what is said of it.
        mappings = bridge.folder / "mappings.yaml"
        mappings.write_text(mappings.read_text().replace("topic: sensors/+/climate", "topic: rooms/+/climate"))
        wait_until(lambda: "'sensors" not in str(log_lines(bridge, "subscription_refused")[-1]["text"]))
        # Asked again at each connection, which is when rights that were given come to be known.
        security.deny()
        broker.restart()
        assert wait_for_log(bridge, "problem_solved")["problem"] == "subscription_refused"
        assert len(log_lines(bridge, "subscription_refused")) == 2


def test_an_authority_that_was_replaced_on_disk_is_read_at_the_next_connection_and_the_outage_told(
    tmp_path: Path,
) -> None:
    old, new = Authority(tmp_path / "old", "authority"), Authority(tmp_path / "new", "authority")
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(old.file.read_bytes())
    broker = Mosquitto(tmp_path / "broker", certificate=old.server())
    shutil.copytree(EXAMPLES, tmp_path / "bridge")
    tls = orjson.dumps({"enabled": True, "ca_certs": str(trusted)}).decode()
    bridge = BridgeProcess(tmp_path / "bridge", broker, {**QUICK, "IOT_DATA_BRIDGE_BROKER_TLS": tls})
    with broker:
        try:
            bridge.start()
            wait_for_log(bridge, "connected")
            broker.stop()
            broker.certificate = new.server()
            broker.start()
            failed = wait_for_log(bridge, "reconnect_failed")
            wait_until(lambda: "certificate is not accepted" in bridge.run("health").stdout)
            assert failed["attempts"] == 1
            replacement = tmp_path / "replacement.crt"
            replacement.write_bytes(new.file.read_bytes())
            replacement.replace(trusted)
            reconnected = wait_for_log(bridge, "reconnected")
            assert "certificate is not accepted" in str(reconnected["error"])
            assert bridge.end() == 0
        finally:
            bridge.close()


def test_an_outage_is_an_event_and_a_number_once_it_is_over(broker: Mosquitto, tmp_path: Path) -> None:
    # Of the bridge alone: who listens stays connected.
    with Proxy(broker.port) as proxy:
        port = proxy.port
        with running(tmp_path / "bridge", broker, IOT_DATA_BRIDGE_BROKER_PORT=str(port)) as (bridge, listener):
            started(bridge, listener)
            proxy.close()
            wait_for_log(bridge, "reconnect_failed")
            with Proxy(broker.port, port):
                told = event(bridge, listener, "reconnected")
                assert int(str(told["attempts"])) >= 1
                assert told["error"] == "Connection refused"
                numbers = metrics_after(bridge, listener)
                assert numbers["connections_lost"] == 1
                assert int(str(numbers["connection_attempts_failed"])) >= 1


def test_two_bridges_of_one_id_say_what_is_wrong(broker: Mosquitto, tmp_path: Path) -> None:
    with (
        running(tmp_path / "one", broker) as (one, listener),
        running(tmp_path / "two", broker) as (two, _),
    ):
        started(one, listener)
        two.start()
        for bridge in (one, two):
            text = str(wait_for_log(bridge, "bridge_id_in_use")["text"])
            assert "the client id iot_data_bridge-main" in text
            assert "need bridge_ids of their own" in text
        assert "need bridge_ids" in str(event(one, listener, "bridge_id_in_use")["text"])
        two.end(signal.SIGKILL)
        assert "need bridge_ids" in problem(one, listener, "bridge_id_in_use")


@pytest.mark.parametrize(
    ("limits", "types"),
    [
        (("retain_available false",), {"broker_without_retained"}),
        (("max_qos 0",), {"broker_without_qos_1"}),
        (("max_qos 0", "retain_available false"), {"broker_without_qos_1", "broker_without_retained"}),
    ],
)
def test_a_broker_that_can_do_less_is_used_and_said_to_lose(
    tmp_path: Path, limits: tuple[str, ...], types: set[str]
) -> None:
    broker = Mosquitto(tmp_path / "broker", listener_settings=limits)
    with broker, running(tmp_path / "bridge", broker) as (bridge, listener):
        started(bridge, listener)
        listener.publish("iot/ingress", envelope("u1", 37.5), 0)
        assert orjson.loads(listener.wait("devices/vm-a/ingress")) == {"object": "GPS.Latitude", "value": 37.5}
        listener.wait(f"{bridge.root}/state/VM-A")
        assert listener.wait(f"{bridge.root}/hello")
        for kind in types:
            assert "nothing is lost does not hold here" in problem(bridge, listener, kind)
            assert "nothing is lost does not hold here" in str(event(bridge, listener, kind)["text"])
        numbers = metrics_after(bridge, listener)
        assert numbers["lossless"] is False
        assert (numbers["delivered"], numbers["dead_letters"]) == (1, 0)
        listener.messages.clear()
        bridge.end(signal.SIGKILL)
        # The last will was taken as far as the broker supports it.
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline")


def test_a_whole_broker_is_lossless(broker: Mosquitto, tmp_path: Path) -> None:
    with running(tmp_path / "bridge", broker) as (bridge, listener):
        started(bridge, listener)
        numbers = metrics_after(bridge, listener)
        assert (numbers["lossless"], numbers["problems"]) == (True, [])


def test_messages_that_the_broker_dropped_while_the_bridge_was_away_are_told(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker", settings=("sys_interval 1", "max_queued_messages 20"))
    with broker, running(tmp_path / "bridge", broker) as (bridge, listener):
        started(bridge, listener)
        # Once the bridge has seen the counter, a later one says what was dropped since.
        wait_until((bridge.folder / "data" / "broker.json").exists)
        assert bridge.end() == 0
        for number in range(100):
            listener.publish("iot/ingress", envelope(f"u{number}", number))
        counters = Counters(broker.port)
        dropped = counters.wait_above(0)
        assert dropped >= 50
        listener.messages.clear()
        started(bridge, listener)
        told = event(bridge, listener, "broker_dropped_messages")
        assert told["count"] == dropped
        assert "max_queued_messages" in problem(bridge, listener, "broker_drops_messages")
        assert metrics_after(bridge, listener)["broker_dropped"] == dropped
        counters.close()


class Counters:
    """Reads the broker's own counter of messages that it dropped."""

    def __init__(self, port: int) -> None:
        self._values: list[int] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _data, message: self._values.append(int(message.payload))
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("$SYS/broker/publish/messages/dropped")
        self._client.loop_start()

    def wait_above(self, number: int) -> int:
        wait_until(lambda: any(value > number for value in self._values))
        return self._values[-1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def envelope(trace: str, value: float) -> bytes:
    return orjson.dumps(
        {"header": {"UUID": trace}, "payload": {"Equip.Tag": "GPS001", "Message.ID": "GLL001", "VALUE": value}}
    )
