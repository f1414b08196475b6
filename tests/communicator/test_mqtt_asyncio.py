"""The client on an asyncio loop: no thread, and other tasks live while a flood comes in."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from communicator.common.exception import ProtocolConnectionError, ProtocolError, ProtocolTimeoutError
from communicator.protocols.mqtt.link import Link
from communicator.protocols.mqtt.mqtt_protocol import ConnectionState, MQTTProtocol
from communicator.protocols.mqtt.timers import Timers
from development.mosquitto import Mosquitto, free_port
from tests.communicator.certificates import Authority


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- conditions of all kinds, most of them without an event
            await asyncio.sleep(0.002)


@pytest.fixture
async def client(broker: Mosquitto, fast_path: bool) -> AsyncIterator[MQTTProtocol]:
    made = MQTTProtocol(
        "127.0.0.1",
        port=broker.port,
        timeout=5,
        fast_path=fast_path,
        reconnect_initial_delay=0.05,
        reconnect_max_delay=0.2,
        publish_queue_maxsize=100_000,
    )
    yield made
    await made.disconnect_async()


async def test_messages_and_acknowledgements_travel_on_the_loop(client: MQTTProtocol) -> None:
    threads = threading.active_count()
    acknowledged: list[int] = []
    arrived: list[bytes] = []

    def take(_topic: str, payload: bytes, delivery: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        arrived.append(payload)
        client.acknowledge(delivery)

    client.route("in/#", take)
    assert await client.connect_async() is True
    assert await client.connect_async() is True
    prepared = client.prepare("in/1")
    for number in range(500):
        assert client.publish_prepared(
            prepared, str(number).encode(), lambda token, _code: acknowledged.append(token), number
        )
    await until(lambda: len(arrived) == len(acknowledged) == 500)
    assert arrived == [str(number).encode() for number in range(500)]
    assert acknowledged == list(range(500))
    await client.disconnect_async()
    assert client.state is ConnectionState.DISCONNECTED
    # The executor that resolved the name stays with the loop; there is no network thread.
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mqtt-")]
    assert threading.active_count() <= threads + 1


async def test_what_many_messages_put_off_is_done_once_for_a_read_and_on_the_loop(client: MQTTProtocol) -> None:
    """Each message must be answered, and the answers of one read leave together."""
    batches: list[list[int]] = []
    deliveries: list[int] = []

    def answer() -> None:
        assert threading.current_thread() is threading.main_thread()
        batches.append(deliveries.copy())
        client.acknowledge_all(deliveries)
        deliveries.clear()

    def take(_topic: str, _payload: bytes, delivery: int) -> None:
        if not deliveries:
            client.before_write(answer)
        deliveries.append(delivery)

    client.route("in", take)
    await client.connect_async()
    for number in range(500):
        client.publish("in", str(number), qos=1)
    await until(lambda: sum(map(len, batches)) == 500 and client.statistics().unacknowledged == 0)
    assert all(batches)
    assert len(batches) < 500
    assert client.statistics().stale_acknowledgements == 0


async def test_what_is_put_off_without_a_connection_is_done_all_the_same(
    client: MQTTProtocol, broker: Mosquitto
) -> None:
    done: list[str] = []
    await client.connect_async()
    await asyncio.to_thread(broker.kill)
    await until(lambda: not client.is_connected)
    client.before_write(lambda: done.append("while the broker is away"))
    await until(lambda: done == ["while the broker is away"])
    client.before_write(lambda: done.append("at the end"))
    await client.disconnect_async()
    assert done == ["while the broker is away", "at the end"]


async def test_other_tasks_live_during_a_flood(client: MQTTProtocol) -> None:
    seen = 0

    def take(_topic: str, _payload: bytes) -> None:
        nonlocal seen
        seen += 1

    client.subscribe("flood", take, qos=0)
    await client.connect_async()
    turns = 0
    seen_at_turns: list[int] = []
    for _ in range(8_000):
        client.publish("flood", b"x" * 10, qos=0)

    async def other() -> None:
        nonlocal turns
        while seen < 8_000:
            turns += 1
            seen_at_turns.append(seen)
            await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await other()
    steps = [later - earlier for earlier, later in pairwise(seen_at_turns)]
    # A turn of 500 before the task in one round of the loop, and one in the next.
    assert max(steps) <= 1_000


async def test_publishing_from_a_thread_wakes_the_loop(client: MQTTProtocol) -> None:
    arrived: list[bytes] = []
    client.subscribe("a", lambda _topic, payload: arrived.append(payload), qos=1)
    await client.connect_async()
    await asyncio.to_thread(client.publish, "a", "from a thread", 1)
    await until(lambda: arrived == [b"from a thread"])


async def test_a_lost_connection_is_made_again(client: MQTTProtocol, broker: Mosquitto) -> None:
    arrived: list[bytes] = []
    client.subscribe("a", lambda _topic, payload: arrived.append(payload), qos=1)
    await client.connect_async()
    await asyncio.to_thread(broker.kill)
    await until(lambda: not client.is_connected)
    client.publish("a", "queued", qos=1)
    await asyncio.to_thread(broker.start)
    await until(lambda: arrived == [b"queued"])
    assert client.statistics().reconnects == 1


async def test_a_defect_in_what_is_done_by_the_clock_ends_the_connection_and_not_the_client(
    client: MQTTProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    act = Timers.act
    failed: list[bool] = []

    def fail_once(timers: Timers, link: Link) -> None:
        if client.is_connected and not failed:
            failed.append(True)
            raise RuntimeError("a defect")
        act(timers, link)

    await client.connect_async()
    monkeypatch.setattr(Timers, "act", fail_once)
    await until(lambda: client.statistics().reconnects == 1)
    assert client.is_connected


async def test_a_defect_in_the_goodbye_does_not_keep_the_client_from_ending(
    client: MQTTProtocol, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Timers) -> None:
        if client.state is ConnectionState.CONNECTED:
            raise RuntimeError("a defect")

    await client.connect_async()
    monkeypatch.setattr(Timers, "say_goodbye_if_due", fail)
    await client.disconnect_async()
    assert client.state is ConnectionState.DISCONNECTED
    assert "the network loop failed" in caplog.text
    monkeypatch.undo()
    assert await client.connect_async()


async def test_it_gives_up_when_told_so(broker: Mosquitto) -> None:
    client = MQTTProtocol(
        "127.0.0.1", port=broker.port, max_reconnect_attempts=1, reconnect_initial_delay=0.01, reconnect_max_delay=0.01
    )
    await client.connect_async()
    await asyncio.to_thread(broker.kill)
    await until(lambda: client.state is ConnectionState.GAVE_UP)


async def test_a_failed_connect_raises_what_the_thread_would() -> None:
    client = MQTTProtocol("127.0.0.1", port=free_port(), timeout=2)
    with pytest.raises(ProtocolConnectionError, match="refused"):
        await client.connect_async()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = MQTTProtocol("127.0.0.1", port=silent.getsockname()[1], timeout=0.3)
        with pytest.raises(ProtocolTimeoutError):
            await client.connect_async()
        await client.disconnect_async()


async def test_tls_on_the_loop(tmp_path: Path, fast_path: bool) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker", certificate=authority.server()) as broker:
        client = MQTTProtocol(
            "127.0.0.1", port=broker.port, ca_certs=str(authority.file), fast_path=fast_path, timeout=5
        )
        arrived: list[bytes] = []
        client.subscribe("a", lambda _topic, payload: arrived.append(payload), qos=1)
        await client.connect_async()
        payloads = [bytes([number]) * 30_000 for number in range(40)]
        for payload in payloads:
            client.publish("a", payload, qos=1)
        await until(lambda: len(arrived) == 40)
        assert arrived == payloads
        await client.disconnect_async()


async def test_connect_belongs_to_other_threads_once_attached(client: MQTTProtocol) -> None:
    client.attach(asyncio.get_running_loop())
    with pytest.raises(ProtocolError, match="connect_async"):
        client.connect()
    assert await asyncio.to_thread(client.connect) is True
    with pytest.raises(ProtocolError, match="before connect"):
        client.attach(asyncio.get_running_loop())
    client.disconnect()
    await until(lambda: client.state is ConnectionState.DISCONNECTED)


async def test_a_cancelled_connect_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = MQTTProtocol("127.0.0.1", port=silent.getsockname()[1], timeout=30)
        connecting = asyncio.create_task(client.connect_async())
        await asyncio.sleep(0.05)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await client.disconnect_async()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mqtt-")] == []


def cannot_watch(*_: object) -> None:
    """Stand in for add_reader of a loop like Windows' default one."""
    raise NotImplementedError


def test_a_loop_that_cannot_watch_sockets_gets_a_thread_that_does(broker: Mosquitto, fast_path: bool) -> None:
    async def talk() -> list[bytes]:
        client = MQTTProtocol("127.0.0.1", port=broker.port, timeout=5, fast_path=fast_path)
        arrived: list[bytes] = []
        main = threading.current_thread()

        def take(_topic: str, payload: bytes) -> None:
            assert threading.current_thread() is main
            arrived.append(payload)

        client.subscribe("a", take, qos=1)
        await client.connect_async()
        for number in range(100):
            client.publish("a", str(number), qos=1)
        await until(lambda: len(arrived) == 100)
        await client.disconnect_async()
        return arrived

    before = threading.active_count()
    loop = asyncio.SelectorEventLoop()
    loop.add_reader = loop.add_writer = cannot_watch  # type: ignore[method-assign,assignment]  # as little as that loop has
    arrived = loop.run_until_complete(talk())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert arrived == [str(number).encode() for number in range(100)]
    assert threading.active_count() == before
