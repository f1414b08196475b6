"""What the client offers beyond the plain message: wildcards, last will, MQTT 5.0, flow control, callbacks."""

import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from communicator.common.exception import ProtocolError, ProtocolTimeoutError, ProtocolValidationError
from communicator.protocols.mqtt.mqtt_protocol import (
    BrokerConfig,
    ClientConfig,
    ConnectionState,
    MQTTConfig,
    MQTTProtocol,
    ReceivedMessage,
)
from development.mosquitto import Mosquitto, free_port
from tests.communicator.certificates import Authority
from tests.communicator.waiting import Collected, MakeClient, Messages, wait_for


@pytest.fixture
def client(make_client: MakeClient) -> MQTTProtocol:
    """A connected client whose calls return when the broker has confirmed."""
    made = make_client(mode="blocking")
    made.connect()
    return made


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_every_matching_callback_is_called_once(make_client: MakeClient, version: str) -> None:
    client = make_client(mode="blocking", protocol_version=version)
    client.connect()
    exact, plus, rest, second, last = (Messages() for _ in range(5))
    client.subscribe("a/b/c", exact)
    client.subscribe("a/+/c", plus)
    client.subscribe("a/#", rest)
    client.subscribe("a/#", second)
    client.subscribe("last", last)
    client.publish("a/b/c", "x")
    client.publish("a/z", "y")
    client.publish("last", "", user_properties=[("a", "b")])
    # With 5.0 Mosquitto sends a copy for each subscription that overlaps; each callback still sees one.
    last.wait(1)
    assert exact.items == plus.items == [("a/b/c", b"x")]
    assert rest.items == second.items == [("a/b/c", b"x"), ("a/z", b"y")]


def test_messages_of_many_subscriptions_reach_their_own_callback(make_client: MakeClient) -> None:
    # More than one byte can number, and restored after a reconnect.
    client = make_client(mode="blocking", reconnect_initial_delay=0.05, reconnect_max_delay=0.1)
    client.connect()
    own = [Messages() for _ in range(150)]
    for number, messages in enumerate(own):
        client.subscribe(f"many/{number}", messages)
    rest = Messages()
    client.subscribe("many/#", rest)
    for number in range(150):
        client.publish(f"many/{number}", str(number))
    rest.wait(150)
    for number, messages in enumerate(own):
        assert messages.wait(1) == [(f"many/{number}", str(number).encode())]


def test_one_callback_can_leave_and_the_others_stay(client: MQTTProtocol) -> None:
    leaving, staying = Messages(), Messages()
    client.subscribe("a", leaving)
    client.subscribe("a", staying)
    client.unsubscribe("a", leaving)
    client.publish("a", "1")
    staying.wait(1)
    client.unsubscribe("a")
    client.subscribe("b", staying)
    client.publish("a", "2")
    client.publish("b", "3")
    assert staying.wait(2)[1] == ("b", b"3")
    assert leaving.items == []
    assert client.unsubscribe("never subscribed") is True


def test_retained_messages_come_with_the_subscription(client: MQTTProtocol) -> None:
    retained: Collected[ReceivedMessage] = Collected()
    client.publish("status", "online", qos=1, retain=True)
    client.observe("status", retained.add)
    assert retained.wait(1)[0].retain is True
    client.publish("status", "offline", qos=1)
    assert retained.wait(2)[1].retain is False


def test_the_last_will_is_published_when_the_client_is_lost(client: MQTTProtocol, make_client: MakeClient) -> None:
    messages = Messages()
    client.subscribe("availability", messages)
    lost = make_client()
    lost.set_will("availability", "offline", qos=1, retain=True)
    lost.connect()
    lost._session.link.close()  # type: ignore[union-attr]  # as if the cable were pulled
    assert messages.wait(1) == [("availability", b"offline")]


def test_the_last_will_is_not_published_after_disconnect(client: MQTTProtocol, make_client: MakeClient) -> None:
    messages = Messages()
    client.subscribe("availability", messages)
    leaving = make_client()
    leaving.set_will("availability", "offline", qos=1, message_expiry=60)
    leaving.connect()
    leaving.publish("availability", "leaving", qos=1)
    leaving.stop_loop()
    leaving.disconnect()
    client.publish("availability", "later", qos=1)
    assert messages.wait(2) == [("availability", b"leaving"), ("availability", b"later")]


def test_properties_travel_with_a_message(client: MQTTProtocol) -> None:
    received: Collected[ReceivedMessage] = Collected()
    client.observe("request", received.add)
    client.publish(
        "request",
        b"what time is it",
        message_expiry=60,
        user_properties=[("unit", "s"), ("unit", "ms")],
        response_topic="response/1",
        correlation_data=b"\x00\x01",
        content_type="text/plain",
    )
    properties = received.wait(1)[0].properties
    assert properties.response_topic == "response/1"
    assert properties.correlation_data == b"\x00\x01"
    assert properties.content_type == "text/plain"
    assert properties.user_properties == (("unit", "s"), ("unit", "ms"))
    assert properties.message_expiry in (59, 60)


def test_with_3_1_1_a_message_goes_without_properties(make_client: MakeClient) -> None:
    client = make_client(protocol_version="3.1.1")
    client.connect()
    received: Collected[ReceivedMessage] = Collected()
    client.observe("a", received.add)
    client.publish("a", "x", user_properties=[("unit", "s")])
    assert received.wait(1)[0].properties.user_properties == ()


def test_topic_aliases_are_used_in_both_directions(make_client: MakeClient) -> None:
    client = make_client(topic_alias_maximum=5)
    client.connect()
    messages = Messages()
    client.subscribe("a/#", messages, qos=1)
    for number in range(30):
        client.publish(f"a/long/topic/name/{number % 8}", str(number), qos=1)
    assert messages.wait(30) == [(f"a/long/topic/name/{number % 8}", str(number).encode()) for number in range(30)]


def test_a_shared_subscription_shares(make_client: MakeClient) -> None:
    counts: Counter[str] = Counter()
    done = Collected[bytes]()

    def taker(name: str) -> None:
        client = make_client(mode="blocking")
        client.connect()

        def take(_topic: str, payload: bytes) -> None:
            counts[name] += 1
            done.add(payload)

        client.subscribe("$share/workers/jobs/#", take, qos=1)

    taker("first")
    taker("second")
    sender = make_client()
    sender.connect()
    for number in range(40):
        sender.publish("jobs/1", str(number), qos=1)
    assert len(set(done.wait(40))) == 40
    assert counts["first"] + counts["second"] == 40
    assert min(counts.values()) > 0


def test_a_refused_message_is_told(tmp_path: Path, fast_path: bool) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic read #\ntopic write allowed\n")
    with Mosquitto(tmp_path / "broker", settings=(f"acl_file {rules}",)) as broker:
        settings = MQTTConfig("127.0.0.1", port=broker.port, timeout=5, mode="blocking")
        with MQTTProtocol(settings, fast_path=fast_path) as client:
            assert client.publish("allowed", "x", qos=1)
            with pytest.raises(ProtocolError, match="'forbidden': reason code 0x87"):
                client.publish("forbidden", "x", qos=1)
            if fast_path:  # paho goes on after a PUBREC that refuses, and never tells
                with pytest.raises(ProtocolError, match="reason code 0x87"):
                    client.publish("forbidden", "x", qos=2)
            codes: Collected[tuple[str, int]] = Collected()
            client.publish_prepared(
                client.prepare("forbidden"), b"x", lambda token, code: codes.add((token, code)), "t"
            )
            assert codes.wait(1) == [("t", 0x87)]
            assert client.statistics().refused == 2 + fast_path


def test_a_refused_subscription_is_told(tmp_path: Path, fast_path: bool) -> None:
    rules = tmp_path / "dynamic-security.json"
    allowed = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    rules.write_text(json.dumps({"defaultACLAccess": allowed}))
    plugin = ("plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so", f"plugin_opt_config_file {rules}")
    with Mosquitto(tmp_path / "broker", settings=plugin) as broker:
        settings = MQTTConfig("127.0.0.1", port=broker.port, timeout=5, mode="blocking")
        with MQTTProtocol(settings, fast_path=fast_path) as client:
            with pytest.raises(ProtocolValidationError, match=r"refused to subscribe 'secret/#' \(reason code 0x87\)"):
                client.subscribe("secret/#", Messages())
            assert client.statistics().subscriptions_refused == 1


def test_blocking_mode_tells_of_a_broker_that_does_not_answer(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(mode="blocking", timeout=0.3)
    client.connect()
    broker.kill()
    with pytest.raises(ProtocolTimeoutError):
        client.publish("a", "x", qos=1)
    assert client.subscribe("a", Messages()) is True
    assert client.unsubscribe("a") is True


def test_paused_messages_wait_and_nothing_is_lost(client: MQTTProtocol, make_client: MakeClient) -> None:
    messages = Messages()
    client.subscribe("in/#", messages, qos=1)
    client.pause()
    sender = make_client(mode="blocking")
    sender.connect()
    for number in range(300):
        sender.publish("in/1", str(number), qos=number % 2)
    # What is acknowledged to us goes on arriving while messages wait.
    assert client.publish("other", "x", qos=1)
    assert messages.items == []
    client.resume()
    arrived = [int(payload) for _, payload in messages.wait(300)]
    assert arrived == list(range(300))


def test_a_handler_may_pause_in_the_middle_of_a_burst(make_client: MakeClient) -> None:
    client = make_client()
    seen: Collected[int] = Collected()

    def take(_topic: str, payload: bytes) -> None:
        seen.add(int(payload))
        if len(seen.items) % 10 == 0:
            client.pause()

    client.subscribe("in", take, qos=1)
    client.connect()
    for number in range(100):
        client.publish("in", str(number), qos=1)
    for round_ in range(1, 11):
        assert seen.wait(round_ * 10) == list(range(round_ * 10))
        client.resume()
    assert seen.items == list(range(100))


def test_callbacks_may_call_everything(make_client: MakeClient) -> None:
    client = make_client(mode="blocking")
    log: Collected[str] = Collected()

    def first(_topic: str, _payload: bytes) -> None:
        client.subscribe("second", second, qos=1)
        client.publish("second", "x", qos=1)
        client.unsubscribe("first")
        assert client.connect() is True
        log.add("first")

    def second(_topic: str, _payload: bytes) -> None:
        log.add("second")
        client.disconnect()

    client.connect()
    client.subscribe("first", first, qos=1)
    client.publish("first", "x", qos=1)
    assert log.wait(2) == ["first", "second"]
    wait_for(lambda: client.state is ConnectionState.DISCONNECTED)
    client.loop_forever()
    assert threading.active_count() < 20


def test_connect_in_a_callback_without_a_connection_is_refused(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client()
    raised: Collected[str] = Collected()

    def connect_again(_reason: str) -> None:
        with pytest.raises(ProtocolError, match="callback"):
            client.connect()
        raised.add("raised")

    client.callbacks.disconnected = connect_again
    client.connect()
    broker.kill()
    raised.wait(1)


def test_a_callback_that_fails_is_counted_and_the_next_one_called(client: MQTTProtocol) -> None:
    def fail(_topic: str, _payload: bytes) -> None:
        raise ValueError("a defect of the application")

    def fail_route(_topic: str, _payload: bytes, _delivery: int) -> None:
        raise ValueError("a defect of the application")

    def fail_observing(_message: ReceivedMessage) -> None:
        raise ValueError("a defect of the application")

    messages = Messages()
    client.subscribe("a", fail)
    client.subscribe("a", messages)
    client.route("a", fail_route)
    client.observe("a", fail_observing)
    client.publish("a", "x")
    messages.wait(1)
    wait_for(lambda: client.statistics().handler_errors >= 3)
    wait_for(lambda: client.statistics().unacknowledged == 0)
    assert client.is_connected


def test_several_routes_acknowledge_together(client: MQTTProtocol) -> None:
    first, second = Collected[int](), Collected[int]()
    client.route("a", lambda _topic, _payload, delivery: first.add(delivery))
    client.route("a", lambda _topic, _payload, delivery: second.add(delivery))
    client.publish("a", "x")
    (of_first,), (of_second,) = first.wait(1), second.wait(1)
    client.acknowledge(of_second)
    # Once more is not the other's share.
    client.acknowledge(of_second)
    assert client.statistics().unacknowledged == 1
    client.acknowledge(of_first)
    assert client.statistics().unacknowledged == 0
    assert client.statistics().stale_acknowledgements == 1
    client.acknowledge(0)


def test_a_route_that_fails_after_it_acknowledged_leaves_the_others_their_shares(client: MQTTProtocol) -> None:
    patient, failed = Collected[int](), Collected[int]()

    def acknowledge_and_fail(_topic: str, _payload: bytes, delivery: int) -> None:
        client.acknowledge(delivery)
        failed.add(delivery)
        raise ValueError("a defect of the application")

    client.route("a", lambda _topic, _payload, delivery: patient.add(delivery))
    client.route("a", acknowledge_and_fail)
    client.publish("a", "x")
    failed.wait(1)
    wait_for(lambda: client.statistics().handler_errors == 1)
    assert client.statistics().unacknowledged == 1
    (delivery,) = patient.wait(1)
    client.acknowledge(delivery)
    wait_for(lambda: client.statistics().unacknowledged == 0)
    assert client.statistics().stale_acknowledgements == 0


def test_a_route_that_fails_before_it_acknowledged_holds_up_nothing(client: MQTTProtocol) -> None:
    patient = Collected[int]()

    def fail(_topic: str, _payload: bytes, _delivery: int) -> None:
        raise ValueError("a defect of the application")

    client.route("a", fail)
    client.route("a", lambda _topic, _payload, delivery: patient.add(delivery))
    client.publish("a", "x")
    (delivery,) = patient.wait(1)
    assert client.statistics().unacknowledged == 1
    client.acknowledge(delivery)
    wait_for(lambda: client.statistics().unacknowledged == 0)


def test_every_route_of_a_message_may_ask_how_it_was_sent(client: MQTTProtocol) -> None:
    sent = Collected[tuple[int, bool]]()
    for _ in range(3):
        client.route("a", lambda _topic, _payload, delivery: sent.add(client.transmission(delivery)))
    client.publish("a", "x")
    (identifier, duplicate), *others = sent.wait(3)
    assert identifier
    assert not duplicate
    assert others == [(identifier, duplicate)] * 2


@pytest.mark.parametrize("qos", [0, 1])
def test_a_route_may_ask_whether_its_message_was_kept_by_the_broker(client: MQTTProtocol, qos: int) -> None:
    came = Collected[tuple[bytes, bool]]()
    client.publish("a", "kept", 1, retain=True)
    client.route("a", lambda _topic, payload, _delivery: came.add((payload, client.is_retained())), qos)
    came.wait(1)
    client.publish("a", "new", qos, retain=True)
    assert came.wait(2) == [(b"kept", True), (b"new", False)]


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0b", "a" * 65_536, "\ud800"])
def test_an_impossible_topic_is_refused(make_client: MakeClient, topic: str) -> None:
    with pytest.raises(ProtocolValidationError):
        make_client().publish(topic, "x")


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/b+", "$share/g", "$share//a", "$share/+/a", "a\0"])
def test_an_impossible_filter_is_refused(make_client: MakeClient, topic_filter: str) -> None:
    with pytest.raises(ProtocolValidationError):
        make_client().subscribe(topic_filter, Messages())


def test_impossible_messages_are_refused(make_client: MakeClient) -> None:
    client = make_client()
    with pytest.raises(ProtocolValidationError, match="QoS"):
        client.publish("a", "x", qos=3)
    with pytest.raises(ProtocolValidationError, match="payload"):
        client.publish("a", {"a": 1})  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ProtocolValidationError, match="message_expiry"):
        client.publish("a", "x", message_expiry=-1)
    with pytest.raises(ProtocolValidationError, match="correlation_data"):
        client.publish("a", "x", correlation_data=b"x" * 65_536)
    with pytest.raises(ProtocolValidationError):
        client.publish("a", "x", response_topic="a/#")
    with pytest.raises(ProtocolValidationError, match="ClientConfig"):
        MQTTProtocol(MQTTConfig("h"), ClientConfig())
    with pytest.raises(ProtocolValidationError, match="broker_address"):
        MQTTProtocol()


def test_the_qos_used_when_none_is_given_is_the_generations_own(broker: Mosquitto) -> None:
    first = MQTTProtocol(BrokerConfig(broker_address="127.0.0.1", port=broker.port), ClientConfig())
    second = MQTTProtocol(MQTTConfig(broker_address="127.0.0.1", port=broker.port))
    third = MQTTProtocol("127.0.0.1", port=broker.port)
    for client, expected in ((first, 0), (second, 1), (third, 1)):
        received: Collected[ReceivedMessage] = Collected()
        with client:
            client.observe("a", received.add, qos=2)
            client.publish("a", "x")
            assert received.wait(1)[0].qos == expected
    assert threading.active_count() < 20


def test_the_brokers_keepalive_is_heeded(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path, settings=("max_keepalive 10",)) as broker,
        MQTTProtocol("127.0.0.1", port=broker.port, keepalive=600, timeout=5) as client,
    ):
        assert client._session.link._client._keepalive == 10  # type: ignore[union-attr]  # paho's own
        assert client.is_connected


def test_nothing_is_left_running_after_disconnect(make_client: MakeClient) -> None:
    before = threading.active_count()
    client = make_client()
    for _ in range(3):
        client.connect()
        client.connect()
        client.publish("a", "x", qos=1)
        client.disconnect()
        client.disconnect()
        assert threading.active_count() == before
        assert not client.is_connected


@pytest.mark.parametrize("tls", [False, True])
def test_websockets_work_without_the_fast_path(tmp_path: Path, tls: bool) -> None:
    authority = Authority(tmp_path, "authority")
    # A second listener, which the helper's own settings cannot describe.
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "protocol websockets"]
    lines += authority.server().lines() if tls else []
    with Mosquitto(tmp_path / "broker", settings=tuple(lines)):
        client = MQTTProtocol(
            "127.0.0.1",
            port=port,
            timeout=5,
            transport="websockets",
            mode="blocking",
            ca_certs=str(authority.file) if tls else None,
        )
        messages = Messages()
        with client:
            client.subscribe("a", messages, qos=1)
            for number in range(50):
                client.publish("a", str(number) * 500, qos=1)
            assert [payload for _, payload in messages.wait(50)] == [str(number).encode() * 500 for number in range(50)]


def test_large_messages_come_through_tls_whole(tmp_path: Path, fast_path: bool) -> None:
    authority = Authority(tmp_path, "authority")
    with (
        Mosquitto(tmp_path / "broker", certificate=authority.server()) as broker,
        MQTTProtocol(
            "127.0.0.1",
            port=broker.port,
            timeout=20,
            ca_certs=str(authority.file),
            mode="blocking",
            fast_path=fast_path,
        ) as client,
    ):
        messages = Messages()
        client.subscribe("a", messages, qos=1)
        payloads = [bytes([number]) * size for number, size in enumerate((0, 1, 16_384, 400_000, 3_000_000))]
        for payload in payloads:
            client.publish("a", payload, qos=1)
        assert [payload for _, payload in messages.wait(len(payloads), 60)] == payloads


def test_a_flood_of_qos_0_while_paused_is_held_back_by_tcp_and_not_lost(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("communicator.protocols.mqtt.held_packets.HELD_BYTES", 20_000)
    with (
        MQTTProtocol("127.0.0.1", port=broker.port, mode="blocking", timeout=10, keepalive=1) as client,
        MQTTProtocol("127.0.0.1", port=broker.port, mode="blocking", timeout=10) as sender,
    ):
        messages = Messages()
        client.subscribe("a", messages, qos=0)
        client.pause()
        for number in range(500):
            sender.publish("a", str(number).rjust(100), qos=0)
        sender.publish("end", "", qos=1)
        link = client._session.link
        assert link is not None
        wait_for(lambda: not link.wants_read)
        # Longer than the heartbeat, whose answer is not read meanwhile.
        threading.Event().wait(2.5)
        assert client.is_connected
        client.resume()
        assert [int(payload) for _, payload in messages.wait(500)] == list(range(500))
        assert client.statistics().connections_lost == 0


def test_a_paused_client_gets_its_answers_through_a_flood_of_qos_0(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("communicator.protocols.mqtt.held_packets.HELD_BYTES", 20_000)
    monkeypatch.setattr("communicator.protocols.mqtt.stock_link.HELD_MESSAGES", 150)
    client, sender = make_client(), make_client(mode="blocking")
    messages, dropped = Messages(), Collected[str]()
    client.callbacks.dropped = dropped.add
    client.connect()
    sender.connect()
    client.subscribe("a", messages, qos=0)
    client.subscribe("b", messages, qos=1)
    client.pause()
    client.publish("c", "", qos=1)
    wait_for(lambda: client.statistics().in_flight == 0)
    for number in range(1000):
        sender.publish("a", str(number).rjust(1000), qos=0)
    sender.publish("b", "once", qos=1)
    link = client._session.link
    assert link is not None
    wait_for(lambda: not link.wants_read)
    # Their answers are behind all that was not read yet; whoever paused until they come would wait for ever.
    for _ in range(100):
        client.publish("c", "", qos=1)
    wait_for(lambda: client.statistics().acknowledged == 101)
    assert messages.items == []
    count = client.statistics().dropped_paused
    assert dropped.items == ["a"] * count
    client.resume()
    arrived = [payload for topic, payload in messages.wait(1001 - count) if topic == "a"]
    assert [int(payload) for payload in arrived] == list(range(1000 - count))
    assert messages.items[-1] == ("b", b"once")
    assert count > 0


def test_qos_0_held_back_survives_a_lost_connection(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(mode="blocking", reconnect_initial_delay=0.05, reconnect_max_delay=0.1)
    client.connect()
    messages = Messages()
    client.subscribe("a", messages, qos=0)
    client.pause()
    client.publish("a", "held", qos=0)
    client.publish("end", "", qos=1)
    broker.restart()
    wait_for(lambda: client.statistics().reconnects == 1)
    client.resume()
    assert messages.wait(1) == [("a", b"held")]


def test_a_message_above_the_brokers_limit_is_refused_and_does_not_close_the_connection_for_ever(
    tmp_path: Path, fast_path: bool
) -> None:
    with (
        Mosquitto(tmp_path, settings=("max_packet_size 2000",)) as broker,
        MQTTProtocol("127.0.0.1", port=broker.port, timeout=5, fast_path=fast_path) as client,
    ):
        with pytest.raises(ProtocolValidationError, match="packets of 2000 bytes"):
            client.publish("a", b"x" * 3000)
        codes: Collected[tuple[str, int]] = Collected()
        prepared = client.prepare("a")
        assert client.publish_prepared(prepared, b"x" * 3000, lambda token, code: codes.add((token, code)), "large")
        assert client.publish_prepared(prepared, b"x" * 1900, lambda token, code: codes.add((token, code)), "small")
        assert client.publish_prepared(client.prepare("a", qos=0), b"x" * 3000) is False
        # 0x10: taken, and nobody has subscribed.
        assert codes.wait(2) == [("large", 0x95), ("small", 0x10)]
        assert client.statistics().refused == 2
        assert client.statistics().connections_lost == 0


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process without ending it")
def test_a_message_in_flight_that_the_broker_takes_no_longer_is_refused_and_not_sent_for_ever(
    broker: Mosquitto,
) -> None:
    answers: Collected[tuple[str, int]] = Collected()
    with MQTTProtocol(
        "127.0.0.1", port=broker.port, timeout=10, reconnect_initial_delay=0.05, reconnect_max_delay=0.1
    ) as client:
        os.kill(broker.process_id, signal.SIGSTOP)
        for topic, payload in (("large", bytes(5000)), ("small", b"x")):
            client.publish_prepared(client.prepare(topic, 1), payload, lambda *given: answers.add(given), topic)
        broker.kill()
        # Its administrator made the limit smaller meanwhile.
        broker.settings = ("max_packet_size 2000",)
        broker.start()
        assert sorted(answers.wait(2)) == [("large", 0x95), ("small", 0x10)]
        assert client.statistics().reconnects == 1
        assert client.statistics().resent == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process without ending it")
def test_a_broker_that_hangs_is_noticed_by_the_heartbeat(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(keepalive=1, reconnect_initial_delay=0.05, reconnect_max_delay=0.1)
    reasons: Collected[str] = Collected()
    client.callbacks.disconnected = reasons.add
    client.connect()
    os.kill(broker.process_id, signal.SIGSTOP)
    try:
        assert reasons.wait(1)
    finally:
        os.kill(broker.process_id, signal.SIGCONT)
    wait_for(lambda: client.statistics().reconnects >= 1)
