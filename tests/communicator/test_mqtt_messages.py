"""Publishing and subscribing through a real broker, on the fast path and on paho's public interface alike."""

import pytest

from development.mosquitto import Mosquitto
from tests.communicator.waiting import Collected, MakeClient, Messages, wait_for


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_arrives_with_each_qos_and_version(make_client: MakeClient, version: str, qos: int) -> None:
    # Mosquitto 2.0.11 never sends QoS 2 messages beyond its window of 20 that came at once, with any client.
    count = 20 if qos == 2 else 50
    client = make_client(protocol_version=version)
    messages = Messages()
    client.connect()
    client.subscribe("plant/+/temperature", messages, qos=qos)
    for number in range(count):
        assert client.publish(f"plant/{number}/temperature", str(number), qos=qos)
    assert messages.wait(count) == [(f"plant/{number}/temperature", str(number).encode()) for number in range(count)]
    wait_for(lambda: client.statistics().in_flight == 0)
    assert client.statistics().unacknowledged == 0


def test_a_route_decides_when_a_message_is_acknowledged(make_client: MakeClient) -> None:
    client = make_client()
    deliveries: Collected[int] = Collected()
    client.route("in/#", lambda _topic, _payload, delivery: deliveries.add(delivery), qos=1)
    client.connect()
    for number in range(5):
        client.publish("in/1", str(number), qos=1)
    tokens = deliveries.wait(5)
    assert client.statistics().unacknowledged == 5
    for token in reversed(tokens):
        client.acknowledge(token)
    wait_for(lambda: client.statistics().unacknowledged == 0)


def test_prepared_messages_tell_their_token_and_reason_code(make_client: MakeClient) -> None:
    client = make_client()
    acknowledged: Collected[tuple[str, int]] = Collected()
    messages = Messages()
    client.connect()
    client.subscribe("out/1", messages, qos=1)
    prepared = client.prepare("out/1", qos=1, message_expiry=60)
    for number in range(200):
        assert client.publish_prepared(
            prepared, str(number).encode(), lambda token, code: acknowledged.add((token, code)), f"trace-{number}"
        )
    assert acknowledged.wait(200) == [(f"trace-{number}", 0) for number in range(200)]
    assert [payload for _, payload in messages.wait(200)] == [str(number).encode() for number in range(200)]


def test_what_is_put_off_in_the_thread_is_done_before_it_writes(broker: Mosquitto, make_client: MakeClient) -> None:
    client = make_client()
    done: Collected[str] = Collected()
    client.connect()
    client.before_write(lambda: done.add("connected"))
    assert done.wait(1) == ["connected"]
    broker.kill()
    wait_for(lambda: not client.is_connected)
    client.before_write(lambda: done.add("without a connection"))
    assert done.wait(2) == ["connected", "without a connection"]
