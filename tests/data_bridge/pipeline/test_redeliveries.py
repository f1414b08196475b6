"""Messages without a trace id that the broker sends again: dropped where they were delivered, and only there."""

import asyncio
import os
import signal
import stat
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.loader import load
from data_bridge.damaged_files import DamagedFileError, DamagedFiles
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries, digest_of, seed_of
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.settings import DeduplicationSettings, Settings
from tests.data_bridge.connections import ScriptedConnection, not_damaged
from tests.data_bridge.proxy import Proxy
from tests.data_bridge.running import WAIT_SECONDS, BridgeProcess, Listener


def deliver(redeliveries: Redeliveries, identifier: int, topic: str = "a", payload: bytes = b"5") -> None:
    redeliveries.unwritten.append((identifier, digest_of(payload, seed_of(topic))))


def known(redeliveries: Redeliveries, identifier: int, topic: str = "a", payload: bytes = b"5") -> bool:
    return redeliveries.is_redelivered(identifier, digest_of(payload, seed_of(topic)))


def opened(path: Path, window: int = 10) -> Redeliveries:
    redeliveries = Redeliveries(window, path)
    redeliveries.open()
    return redeliveries


def test_what_was_delivered_is_known_by_identifier_topic_and_payload() -> None:
    redeliveries = Redeliveries(10)
    deliver(redeliveries, 7, "a/b", b"5")
    assert known(redeliveries, 7, "a/b", b"5")
    assert not known(redeliveries, 8, "a/b", b"5")
    assert not known(redeliveries, 7, "a/c", b"5")
    assert not known(redeliveries, 7, "a/b", b"6")


def test_what_the_broker_cannot_send_again_is_forgotten() -> None:
    redeliveries = Redeliveries(3)
    for identifier in range(1, 5):
        deliver(redeliveries, identifier)
    found = [known(redeliveries, identifier) for identifier in range(1, 5)]
    assert found == [False, True, True, True]


async def test_an_identifier_in_use_anew_says_nothing_of_the_message_before(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("mappings:\n  - {topic: a, object: One, value_type: integer}\n")
    (tmp_path / "d.yaml").write_text("objects: {One: [D]}\n")
    connection = ScriptedConnection()
    catalog = load(CatalogFiles(tmp_path / "m.yaml", tmp_path / "d.yaml"))
    settings = Settings(data_directory=tmp_path, deduplication=DeduplicationSettings(persist=False))
    pipeline = Pipeline(connection, settings, catalog, lambda *_: None, LimitedLog(lambda *_: None))
    pipeline.start()
    connection.transmissions = {1: (7, False), 2: (7, False), 3: (7, True), 4: (7, True)}
    connection.deliver("a", b"5", 1)
    connection.take()[0].answer(0)
    connection.deliver("a", b"5", 2)
    (again,) = connection.take()
    # Sent again while it is under way, it is answered with it; another reading is another message.
    connection.deliver("a", b"5", 3)
    connection.deliver("a", b"6", 4)
    again.answer(0)
    (other,) = connection.take()
    other.answer(0)
    assert connection.acknowledged == [1, 2, 3, 4]


@pytest.mark.parametrize("damage", ["cut", "moved", "random", "largest"])
def test_a_damaged_ring_is_told(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "seen" / "redelivered.bin"
    before = opened(path, 5)
    for identifier in range(1, 20):
        deliver(before, identifier)
        before.write()
    before.close()
    data = path.read_bytes()
    assert len(data) == 5 * 24
    damaged = {
        "cut": data[:61],
        "moved": data[24:] + data[:24],
        "random": bytes(range(120)),
        "largest": (2**64 - 1).to_bytes(8, "little") + data[8:],
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(DamagedFileError, match="it holds no ring of delivered messages"):
        opened(path, 5)


@given(st.binary(max_size=300))
def test_whatever_the_file_holds_the_bridge_goes_on_with_it_or_tells(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "redelivered.bin"
        path.write_bytes(content)
        try:
            redeliveries = opened(path)
        except DamagedFileError:
            return
        deliver(redeliveries, 1)
        redeliveries.write()
        redeliveries.close()
        assert known(opened(path), 1)


@pytest.mark.parametrize("window", [3, 4, 10])
@pytest.mark.parametrize("written", [{7}, {1, 7}, {2, 5, 7}, set(range(8))])
def test_another_process_knows_it_too(tmp_path: Path, window: int, written: set[int]) -> None:
    path = tmp_path / "seen" / "redelivered.bin"
    before = opened(path, 4)
    for identifier in range(1, 8):
        deliver(before, identifier)
        if identifier in written:
            before.write()
    # Killed: never closed.
    for _ in range(2):
        after = opened(path, window)
        found = [identifier for identifier in range(1, 8) if known(after, identifier)]
        assert found == list(range(8 - min(window, 4), 8))
        after.close()
    last = opened(path, window)
    deliver(last, 8)
    last.write()
    assert known(opened(path, window), 8)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file's mode does not say who may read it")
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    opened(tmp_path / "redelivered.bin")
    assert stat.S_IMODE((tmp_path / "redelivered.bin").stat().st_mode) == 0o600


def test_a_topic_message_whose_acknowledgement_a_kill_lost_is_not_delivered_twice(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    bridge = stopped_bridge
    with Proxy(bridge.broker.port) as proxy:
        bridge.environment = {**bridge.environment, "IOT_DATA_BRIDGE_BROKER_PORT": str(proxy.port)}
        bridge.start()
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
        proxy.hold(b"\x40\x02")  # PUBACK
        listener.publish("sensors/hall/climate", b'{"data":{"temperature":215}}')
        assert proxy.held.wait(WAIT_SECONDS)
        listener.wait("devices/vm-a/ingress")
        bridge.end(signal.SIGKILL)
        proxy.release()
        del listener.messages[:]
        bridge.start()
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
        # The same reading once more is another message.
        listener.publish("sensors/hall/climate", b'{"data":{"temperature":215}}')
        listener.publish("sensors/hall/climate", b'{"data":{"temperature":220}}')
        listener.wait("devices/vm-a/ingress", lambda payload: b"22.0" in payload)
        values = [orjson.loads(payload)["value"] for payload in listener.on("devices/vm-a/ingress")]
        assert values == [21.5, 22.0]
        metrics = listener.command(bridge.root, {"id": "m", "action": "metrics"})["data"]
        assert isinstance(metrics, dict)
        assert metrics["skipped"] == {"duplicate": 1}
        bridge.close()


async def test_identities_that_the_disk_does_not_take_keep_no_reading_from_being_remembered(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    (tmp_path / "m.yaml").write_text("mappings:\n  - {topic: a, object: One, value_type: integer}\n")
    (tmp_path / "d.yaml").write_text("objects: {One: [D]}\n")
    connection = ScriptedConnection(answer_at_once=0)
    catalog = load(CatalogFiles(tmp_path / "m.yaml", tmp_path / "d.yaml"))
    pipeline = Pipeline(connection, settings, catalog, lambda *_: None, LimitedLog(lambda *_: None))
    pipeline.open(DamagedFiles(not_damaged))
    pipeline.start()
    pipeline.deduplication.unwritten.append("\ud800")  # as little to be written as on a full disk
    connection.deliver("a", b"5", 7)
    async with asyncio.timeout(10):
        while not connection.acknowledged:  # noqa: ASYNC110 -- it has no event
            await asyncio.sleep(0.001)
    assert pipeline.transport.completion.unwritten == 1
    after_a_kill = Redeliveries(settings.broker.receive_maximum, tmp_path / "seen" / "redelivered.bin")
    after_a_kill.open()
    assert known(after_a_kill, 7)
    pipeline.transport.close()
    after_a_kill.close()
