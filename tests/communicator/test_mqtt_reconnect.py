"""What a client does when its broker goes away and comes back."""

import contextlib
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from communicator.common.exception import ProtocolError, ProtocolQueueFullError
from communicator.protocols.mqtt.backoff import Backoff
from communicator.protocols.mqtt.configuration import MQTTSettings
from communicator.protocols.mqtt.mqtt_protocol import ConnectionState, MQTTProtocol
from development.mosquitto import Mosquitto
from tests.communicator.waiting import Collected, MakeClient, Messages, wait_for

QUICK: MQTTSettings = {"reconnect_initial_delay": 0.05, "reconnect_max_delay": 0.2}
# The whole proof takes minutes; the normal tests run a shorter one of the same shape.
FULL = bool(os.environ.get("COMMUNICATOR_FULL_PROOF"))


def test_subscriptions_come_back_with_their_qos(broker: Mosquitto, make_client: MakeClient) -> None:
    client, other = make_client(**QUICK), make_client(**QUICK)
    qos: Collected[int] = Collected()
    client.connect()
    client.observe("a/+", lambda message: qos.add(message.qos), qos=1)
    broker.kill()
    wait_for(lambda: not client.is_connected)
    broker.start()
    wait_for(lambda: client.statistics().reconnects == 1)
    other.connect()
    other.publish("a/b", "x", qos=1)
    assert qos.wait(1) == [1]


def test_messages_of_qos_1_and_2_wait_for_the_connection_in_order(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(**QUICK)
    messages = Messages()
    client.connect()
    client.subscribe("a/#", messages, qos=1)
    wait_for(lambda: client.statistics().in_flight == 0)
    broker.restart()
    broker.kill()
    wait_for(lambda: not client.is_connected)
    for number in range(20):
        assert client.publish("a/b", str(number), qos=1 + number % 2)
    assert client.publish("a/b", "lost", qos=0) is False
    assert client.statistics().dropped_offline == 1
    assert client.statistics().queued == 20
    broker.start()
    arrived = [int(payload) for _, payload in messages.wait(20)]
    assert sorted(arrived) == list(range(20))
    assert [number for number in arrived if number % 2] == list(range(1, 20, 2))
    assert [number for number in arrived if not number % 2] == list(range(0, 20, 2))


def test_a_full_queue_is_a_clear_error_and_counted(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(publish_queue_maxsize=3)
    client.connect()
    broker.kill()
    wait_for(lambda: not client.is_connected)
    for number in range(3):
        assert client.publish("a", str(number), qos=1)
    with pytest.raises(ProtocolQueueFullError, match="3 messages wait"):
        client.publish("a", "3", qos=1)
    assert client.publish_prepared(client.prepare("a"), b"4") is False
    assert client.statistics().dropped_queue_full == 2
    assert client.statistics().queued == 3


def test_messages_queued_before_connect_are_sent(make_client: MakeClient) -> None:
    client = make_client()
    messages = Messages()
    client.subscribe("a", messages, qos=1)
    client.publish("a", "early", qos=1)
    client.connect()
    assert messages.wait(1) == [("a", b"early")]


def test_states_are_told(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(max_reconnect_attempts=2, **QUICK)
    told: Collected[tuple[object, ...]] = Collected()
    client.callbacks.connected = lambda: told.add(("connected",))
    client.callbacks.disconnected = lambda reason: told.add(("disconnected", bool(reason)))
    client.callbacks.reconnecting = lambda attempt, seconds: told.add(("reconnecting", attempt, seconds <= 0.2))
    client.callbacks.gave_up = lambda reason: told.add(("gave up", "refused" in reason))
    client.connect()
    broker.kill()
    assert told.wait(5) == [
        ("connected",),
        ("disconnected", True),
        ("reconnecting", 1, True),
        ("reconnecting", 2, True),
        ("gave up", True),
    ]
    wait_for(lambda: client.state is ConnectionState.GAVE_UP)
    with pytest.raises(ProtocolError, match="refused"):
        client.loop_forever()
    broker.start()
    client.connect()
    assert client.state is ConnectionState.CONNECTED


def test_a_failing_state_callback_changes_nothing(make_client: MakeClient) -> None:
    client = make_client()

    def fail() -> None:
        raise RuntimeError("a defect of the application")

    client.callbacks.connected = fail
    client.connect()
    wait_for(lambda: client.statistics().handler_errors == 1)
    assert client.is_connected


def test_delays_double_up_to_the_maximum_and_are_shortened_at_random() -> None:
    longest = Backoff(1, 60, lambda: 0.0)
    assert [longest.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    longest.connection_stood(60)
    assert longest.next() == 1
    shortest = Backoff(1, 60, lambda: 1.0)
    assert [shortest.next() for _ in range(3)] == [0.5, 1, 2]


@pytest.mark.parametrize(("seconds", "delay"), [(0, 4), (4.9, 4), (5, 1), (3600, 1)])
def test_a_connection_that_lasted_ends_the_backoff_and_one_that_did_not_goes_on_with_it(
    seconds: float, delay: float
) -> None:
    backoff = Backoff(1, 60, lambda: 0.0)
    assert [backoff.next(), backoff.next()] == [1, 2]
    backoff.connection_stood(seconds)
    assert backoff.next() == delay
    assert backoff.attempts == 1


def test_a_long_delay_is_ended_only_by_a_connection_that_lasted_as_long() -> None:
    backoff = Backoff(30, 60, lambda: 0.0)
    backoff.next()
    backoff.connection_stood(59)
    assert backoff.next() == 60
    backoff.connection_stood(60)
    assert backoff.next() == 30


@pytest.fixture
def dismissive() -> Iterator[int]:
    """The port of a server that accepts every CONNECT and then ends the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(b"\x20\x03\x00\x00\x00")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_a_broker_that_ends_each_connection_at_once_is_met_less_and_less_often(
    dismissive: int, fast_path: bool
) -> None:
    client = MQTTProtocol(
        "127.0.0.1",
        port=dismissive,
        timeout=5,
        protocol_version="5.0",
        fast_path=fast_path,
        reconnect_initial_delay=0.01,
        reconnect_max_delay=0.08,
    )
    delays: Collected[float] = Collected()
    client.callbacks.reconnecting = lambda _attempt, delay: delays.add(delay)
    client.connect()
    try:
        found = delays.wait(6)
    finally:
        client.disconnect()
    for delay, longest in zip(found, [0.01, 0.02, 0.04, 0.08, 0.08, 0.08], strict=False):
        assert longest / 2 <= delay <= longest
    assert client.statistics().connections_lost > 1


def test_two_clients_without_a_client_id_do_not_throw_each_other_out(make_client: MakeClient) -> None:
    first, second = make_client(mode="blocking"), make_client()
    first.connect()
    second.connect()
    assert first.client_id != second.client_id
    messages = Messages()
    first.subscribe("a", messages, qos=1)
    second.publish("a", "x", qos=1)
    messages.wait(1)
    assert first.statistics().connections_lost == second.statistics().connections_lost == 0


def test_a_persistent_session_keeps_messages_for_a_client_that_was_away(make_client: MakeClient) -> None:
    settings = {"client_id": "bridge", "clean_start": False, "session_expiry_interval": 600}
    away, sender = make_client(**settings), make_client()
    away.subscribe("in/#", Messages(), qos=1)
    away.connect()
    wait_for(lambda: away.is_connected)
    away.publish("done", "", qos=1)  # its acknowledgement comes after the SUBACK
    away.disconnect()
    sender.connect()
    for number in range(10):
        sender.publish("in/1", str(number), qos=1)
    sender.disconnect()
    back = make_client(**settings)
    messages = Messages()
    back.subscribe("in/#", messages, qos=1)
    back.connect()
    assert [payload for _, payload in messages.wait(10)] == [str(number).encode() for number in range(10)]


def test_what_was_not_acknowledged_comes_again(broker: Mosquitto, make_client: MakeClient) -> None:
    settings = {"client_id": "bridge", "clean_start": False, **QUICK}
    client, sender = make_client(**settings), make_client()
    deliveries: Collected[tuple[bytes, int]] = Collected()
    client.route("in/#", lambda _topic, payload, delivery: deliveries.add((payload, delivery)), qos=1)
    client.connect()
    sender.connect()
    for number in range(5):
        sender.publish("in/1", str(number), qos=1)
    first = deliveries.wait(5)
    client.acknowledge(first[0][1])
    client.acknowledge(first[2][1])  # out of order: the broker hears of it only after the second
    wait_for(lambda: client.statistics().unacknowledged == 4)
    # What the broker answers it read after the acknowledgement.
    client.publish("elsewhere", "x", qos=1)
    wait_for(lambda: client.statistics().acknowledged == 1)
    broker.restart()
    again = deliveries.wait(9)[5:]
    assert [payload for payload, _ in again] == [b"1", b"2", b"3", b"4"]
    client.acknowledge(first[1][1])  # of the earlier connection
    assert client.statistics().stale_acknowledgements == 1
    for _, delivery in again:
        client.acknowledge(delivery)
    wait_for(lambda: client.statistics().unacknowledged == 0)


def test_a_message_that_comes_again_is_marked_and_keeps_its_packet_identifier(
    broker: Mosquitto, make_client: MakeClient
) -> None:
    settings = {"client_id": "bridge", "clean_start": False, **QUICK}
    client, sender = make_client(**settings), make_client()
    arrived: Collected[tuple[bytes, int, bool]] = Collected()
    client.route("in/#", lambda _topic, payload, token: arrived.add((payload, *client.transmission(token))), qos=1)
    client.connect()
    sender.connect()
    for _ in range(3):
        sender.publish("in/1", "same", qos=1)
    first = arrived.wait(3)
    assert [marked for _, _, marked in first] == [False] * 3
    assert len({identifier for _, identifier, _ in first}) == 3
    broker.restart()
    wait_for(lambda: sender.is_connected)
    sender.publish("in/1", "same", qos=1)
    sender.publish("in/1", "at most once", qos=0)
    again = arrived.wait(8)[3:]
    assert again[:3] == [(payload, identifier, True) for payload, identifier, _ in first]
    assert again[3][2] is False
    assert again[3][1] not in {identifier for _, identifier, _ in first}
    assert again[4] == (b"at most once", 0, False)
    assert client.transmission(4711) == (0, False)


def test_a_subscription_ended_while_away_stays_ended(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client(client_id="bridge", clean_start=False, **QUICK)
    unwanted, wanted = Messages(), Messages()
    client.connect()
    client.subscribe("unwanted", unwanted, qos=1)
    client.subscribe("wanted", wanted, qos=1)
    client.publish("wanted", "first", qos=1)
    wanted.wait(1)
    broker.stop()
    wait_for(lambda: not client.is_connected)
    client.unsubscribe("unwanted")
    broker.start()
    wait_for(lambda: client.is_connected)
    client.publish("unwanted", "x", qos=1)
    client.publish("wanted", "second", qos=1)
    wanted.wait(2)
    assert unwanted.items == []
    assert client.statistics().unhandled == 0


def test_a_broker_that_once_took_5_0_and_now_just_closes_is_not_taken_for_an_old_one(
    broker: Mosquitto, make_client: MakeClient
) -> None:
    client = make_client(**QUICK)
    client.connect()
    assert client._session.version5
    broker.kill()
    wait_for(lambda: not client.is_connected)
    with socket.create_server(("127.0.0.1", broker.port)) as closing:
        closing.settimeout(10)
        for _ in range(2):
            connection, _ = closing.accept()
            connection.recv(4096)
            connection.close()
    broker.start()
    wait_for(lambda: client.is_connected)
    assert client._session.version5


@pytest.mark.timeout(1200)
def test_nothing_published_is_lost_or_out_of_order_while_the_broker_is_killed(tmp_path: Path, fast_path: bool) -> None:
    """20 kills during 100,000 messages in the whole proof, 4 during 8,000 in the normal tests."""
    kills, total, topics = (20, 100_000, 10) if FULL else (4, 8_000, 10)
    arrived: dict[str, list[int]] = defaultdict(list)
    progress = threading.Condition()
    seen = 0

    def take(topic: str, payload: bytes) -> None:
        nonlocal seen
        arrived[topic].append(int(payload))
        with progress:
            seen += 1
            progress.notify_all()

    # A queue that is never full here: what is published is limited by what has arrived.
    with Mosquitto(tmp_path, settings=("max_queued_messages 0", "max_inflight_messages 0")) as broker:
        settings: MQTTSettings = {
            **QUICK,
            "broker_address": "127.0.0.1",
            "port": broker.port,
            "timeout": 30,
            "publish_queue_maxsize": total,
        }
        client = MQTTProtocol(fast_path=fast_path, **settings)
        client.connect()
        client.subscribe("proof/#", take, qos=1)
        for kill in range(kills):
            first, last = kill * total // kills, (kill + 1) * total // kills
            middle = first + (last - first) // 3
            for number in range(first, last):
                client.publish(f"proof/{number % topics}", str(number), qos=1)
            with progress:
                # In the middle of the burst, with messages in flight in both directions.
                assert progress.wait_for(partial(lambda least: seen > least, middle), 60), client.statistics()
            broker.kill()
            broker.start()
        with progress:
            arrived_all = progress.wait_for(lambda: sum(len(set(numbers)) for numbers in arrived.values()) == total, 60)
        # The last acknowledgement may come after the last message.
        wait_for(lambda: client.statistics().in_flight == 0)
        statistics = client.statistics()
        client.disconnect()
    assert arrived_all, statistics
    for topic, numbers in arrived.items():
        first_seen = list(dict.fromkeys(numbers))
        assert first_seen == sorted(first_seen), topic
        assert len(first_seen) == total // topics
        # Repetitions go on in order from where they begin.
        assert all(later > earlier or later in first_seen for earlier, later in pairwise(numbers))
    assert statistics.reconnects == kills
    assert statistics.acknowledged == total
    print(statistics, {topic: len(numbers) for topic, numbers in arrived.items()})  # noqa: T201 -- the proof's numbers
