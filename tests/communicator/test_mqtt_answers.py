"""What a client's program is told of the broker: answers to subscriptions, failed attempts, limits, another client."""

import json
import socket
import threading
from pathlib import Path

from communicator.protocols.mqtt.configuration import MQTTSettings
from communicator.protocols.mqtt.mqtt_protocol import BrokerLimits, MQTTProtocol
from development.mosquitto import Mosquitto
from tests.communicator.certificates import Authority
from tests.communicator.waiting import Collected, MakeClient, Messages, wait_for

QUICK: MQTTSettings = {"reconnect_initial_delay": 0.05, "reconnect_max_delay": 0.2}


def client_of(broker: Mosquitto, fast_path: bool, **settings: object) -> MQTTProtocol:
    given: MQTTSettings = {"broker_address": "127.0.0.1", "port": broker.port, "timeout": 10.0, **QUICK, **settings}  # type: ignore[typeddict-item]  # any setting
    return MQTTProtocol(fast_path=fast_path, **given)


def test_the_answer_to_each_subscription_is_told(tmp_path: Path, fast_path: bool) -> None:
    rules = tmp_path / "dynamic-security.json"
    allowed = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    role = {"rolename": "reader", "acls": [{"acltype": "subscribePattern", "topic": "open/#", "allow": True}]}
    group = {"groupname": "all", "roles": [{"rolename": "reader"}]}
    rules.write_text(
        json.dumps({"defaultACLAccess": allowed, "roles": [role], "groups": [group], "anonymousGroup": "all"})
    )
    plugin = ("plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so", f"plugin_opt_config_file {rules}")
    answers: Collected[tuple[str, int, int]] = Collected()
    with Mosquitto(tmp_path / "broker", settings=plugin) as broker, client_of(broker, fast_path) as client:
        client.callbacks.subscribed = lambda topic_filter, qos, code: answers.add((topic_filter, qos, code))
        client.subscribe("secret/#", Messages(), qos=1)
        client.subscribe("open/a", Messages(), qos=1)
        assert sorted(answers.wait(2)) == [("open/a", 1, 1), ("secret/#", 1, 0x87)]
        broker.restart()
        # Asked again at each connection: what was refused may be allowed by now.
        assert sorted(answers.wait(4)[2:]) == [("open/a", 1, 1), ("secret/#", 1, 0x87)]


def test_an_attempt_that_failed_is_told_with_its_reason(broker: Mosquitto, make_client: MakeClient) -> None:
    reasons: Collected[str] = Collected()
    client = make_client(**QUICK)
    client.callbacks.attempt_failed = reasons.add
    client.connect()
    broker.kill()
    assert "refused" in reasons.wait(2)[1]
    broker.start()
    wait_for(lambda: client.is_connected)


def test_that_another_client_took_the_client_id_is_told() -> None:
    # CONNACK and DISCONNECT of MQTT 5.0, as brokers send them that say why; Mosquitto 2.0 just closes.
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        taken: Collected[str] = Collected()
        port: int = listening.getsockname()[1]
        client = MQTTProtocol(broker_address="127.0.0.1", port=port, timeout=5, reconnect_initial_delay=30)
        client.callbacks.taken_over = lambda: taken.add("taken over")
        client.connect()
        assert taken.wait(1) == ["taken over"]
        client.disconnect()
        thread.join()


def test_an_authority_that_was_replaced_on_disk_is_read_at_the_next_connection(tmp_path: Path, fast_path: bool) -> None:
    old, new = Authority(tmp_path / "old", "authority"), Authority(tmp_path / "new", "authority")
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(old.file.read_bytes())
    broker = Mosquitto(tmp_path / "broker", certificate=old.server())
    reasons: Collected[str] = Collected()
    with broker, client_of(broker, fast_path, ca_certs=str(trusted)) as client:
        client.callbacks.attempt_failed = reasons.add
        broker.stop()
        broker.certificate = new.server()
        broker.start()
        reasons.wait_until(lambda given: any("certificate is not accepted" in each for each in given))
        trusted.write_text("no certificate")
        reasons.wait_until(lambda given: f"ca_certs {str(trusted)!r} cannot be used" in given[-1])
        replacement = tmp_path / "replacement.crt"
        replacement.write_bytes(new.file.read_bytes())
        replacement.replace(trusted)
        wait_for(lambda: client.is_connected)
    broker.stop()


def test_the_brokers_limits_can_be_asked_for(tmp_path: Path, fast_path: bool) -> None:
    with (
        Mosquitto(tmp_path, listener_settings=("max_qos 0", "retain_available false")) as broker,
        client_of(broker, fast_path) as client,
    ):
        assert client.limits == BrokerLimits(maximum_qos=0, retain_available=False)


def test_what_a_broker_does_not_support_is_sent_without_it_where_that_was_asked_for(
    tmp_path: Path, fast_path: bool
) -> None:
    with Mosquitto(tmp_path, listener_settings=("max_qos 0", "retain_available false")) as broker:
        messages = Messages()
        with (
            client_of(broker, fast_path) as reader,
            client_of(broker, fast_path, lower_to_broker=True) as client,
        ):
            subscribed: Collected[int] = Collected()
            reader.callbacks.subscribed = lambda _filter, _qos, code: subscribed.add(code)
            reader.subscribe("#", messages)
            subscribed.wait(1)
            codes: Collected[tuple[str, int]] = Collected()
            for qos, retain in ((1, False), (0, True), (1, True)):
                prepared = client.prepare("t", qos, retain)
                assert client.publish_prepared(
                    prepared, f"{qos} {retain}".encode(), lambda token, code: codes.add((token, code)), str(qos)
                )
                assert client.refusal(prepared, b"x") is None
            assert messages.wait(3) == [("t", b"1 False"), ("t", b"0 True"), ("t", b"1 True")]
            # The broker confirms none of them: sent is all that can be known.
            assert codes.wait(2) == [("1", 0), ("1", 0)]
            assert client.statistics().refused == 0


def test_a_last_will_that_the_broker_does_not_support_is_lowered_where_that_was_asked_for(
    tmp_path: Path, fast_path: bool
) -> None:
    with Mosquitto(tmp_path, listener_settings=("max_qos 0", "retain_available false")) as broker:
        messages = Messages()
        with client_of(broker, fast_path) as reader:
            subscribed: Collected[int] = Collected()
            reader.callbacks.subscribed = lambda _filter, _qos, code: subscribed.add(code)
            reader.subscribe("#", messages)
            subscribed.wait(1)
            client = client_of(broker, fast_path, lower_to_broker=True, client_id="one")
            client.set_will("gone", b"x", 1, True)
            client.connect()
            # Another client of its id ends its connection, and the broker sends its last will.
            with client_of(broker, fast_path, client_id="one"):
                assert messages.wait(1) == [("gone", b"x")]
            client.disconnect()


def test_what_was_queued_before_the_broker_told_its_limits_is_lowered_too(tmp_path: Path, fast_path: bool) -> None:
    with Mosquitto(tmp_path, listener_settings=("max_qos 0",)) as broker:
        messages = Messages()
        with client_of(broker, fast_path) as reader:
            subscribed: Collected[int] = Collected()
            reader.callbacks.subscribed = lambda _filter, _qos, code: subscribed.add(code)
            reader.subscribe("#", messages)
            subscribed.wait(1)
            client = client_of(broker, fast_path, lower_to_broker=True)
            for number in range(3):
                assert client.publish("t", str(number), qos=1)
            client.connect()
            assert messages.wait(3) == [("t", b"0"), ("t", b"1"), ("t", b"2")]
            client.disconnect()
