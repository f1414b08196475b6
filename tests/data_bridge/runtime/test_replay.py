"""Replayed letters: each stays until what it holds is safe elsewhere, and the answer tells what became of it."""

import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest

from data_bridge.catalog.loader import load
from data_bridge.damaged_files import DamagedFiles
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import DeadLetterStore, StoredDeadLetter
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import LimitedLog, get_logger
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.reasons import Reason
from data_bridge.runtime.replay import Replay
from data_bridge.settings import DeduplicationSettings, DeliverySettings, IngressSettings, Settings
from tests.data_bridge.connections import ScriptedConnection, not_damaged
from tests.data_bridge.proxy import Proxy
from tests.data_bridge.running import WAIT_SECONDS, BridgeProcess, Listener

MAPPINGS = """\
mappings:
  - {equip_tag: "7", message_id: "1", object: Engine.Speed, value_type: integer}
  - {topic: sensors/+/climate, path: temperature, object: Temperature, value_type: float}
  - {topic: sensors/+/climate, path: humidity, object: Humidity, value_type: integer}
"""
DEVICES = """\
objects: {Engine.Speed: [VM-A, VM-C], Temperature: [VM-A], Humidity: [VM-A]}
"""


def envelope(value: object, trace: str | None = "u1") -> bytes:
    header = {} if trace is None else {"UUID": trace}
    return orjson.dumps({"header": header, "payload": {"Equip.Tag": "7", "Message.ID": "1", "VALUE": value}})


def unusable(payload: bytes, topic: str = "iot/ingress", trace: str = "u1", cut: int = 0) -> DeadLetter:
    return DeadLetter(Reason.CAST_FAILED, "earlier", trace, "", "", topic, 1, False, payload, 0, cut)


DELIVERY = DeadLetter(Reason.REFUSED, "0x97", "u9", "VM-A", "X", "devices/vm-a/ingress", 1, False, b"old", 3)


@dataclass
class Letters:
    """A pipeline against a broker that the test plays, with a real store."""

    connection: ScriptedConnection
    pipeline: Pipeline
    store: DeadLetterStore
    writer: DeadLetterWriter
    replayer: Replay

    async def replay(self, *letters: DeadLetter) -> dict[str, int]:
        self.store.add(letters)
        return await self.again()

    async def again(self) -> dict[str, int]:
        counts = await self.replayer.replay(self.store.find_all())
        return {name: count for name, count in counts.items() if count}

    @property
    def left(self) -> list[StoredDeadLetter]:
        return self.store.find_all()


@asynccontextmanager
async def opened(
    folder: Path, answer: int | None = 0, identity: str = "trace", topics: tuple[str, ...] = ("iot/ingress",)
) -> AsyncIterator[Letters]:
    """Open it; `answer` is what the broker says to each delivery, None: nothing."""
    (folder / "mappings.yaml").write_text(MAPPINGS)
    (folder / "devices.yaml").write_text(DEVICES)
    settings = Settings(data_directory=folder / "data").model_copy(
        update={
            "deduplication": DeduplicationSettings.model_validate({"persist": False, "identity": identity}),
            "delivery": DeliverySettings(backoff=0.001),
            "ingress": IngressSettings(topics=topics),
            "catalogs": Settings().catalogs.model_copy(
                update={"mappings": folder / "mappings.yaml", "devices": folder / "devices.yaml"}
            ),
        }
    )
    connection = ScriptedConnection(answer_at_once=answer)
    store = DeadLetterStore(folder / "letters.sqlite", 100, 1024 * 1024)
    writer = DeadLetterWriter(store, get_logger("test"), DamagedFiles(not_damaged))
    pipeline = Pipeline(connection, settings, load(settings.catalog_files()), writer.add, LimitedLog(lambda *_: None))
    yield Letters(connection, pipeline, store, writer, Replay(settings, pipeline, writer))
    pipeline.transport.close()
    await writer.close()


async def test_a_delivery_is_sent_again_and_its_letter_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        assert await letters.replay(DELIVERY) == {"replayed": 1}
        assert [(each.topic, each.payload) for each in letters.connection.sent] == [("devices/vm-a/ingress", b"old")]
        assert letters.left == []


async def test_a_delivery_that_is_refused_again_is_kept_once(tmp_path: Path) -> None:
    async with opened(tmp_path, answer=0x87) as letters:
        assert await letters.replay(DELIVERY) == {"failed_again": 1}
        (left,) = letters.left
        assert (left.id, left.letter.attempts, left.letter.payload) == (1, 6, b"old")
        assert "0x87" in left.letter.detail


async def test_an_input_goes_when_its_last_delivery_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_bridge.runtime.replay.WAIT_SECONDS", 0.01)
    async with opened(tmp_path, answer=None) as letters:
        assert await letters.replay(unusable(envelope(5))) == {"open": 1}
        first, second = letters.connection.take()
        first.answer(0)
        assert len(letters.left) == 1
        # Asked for again meanwhile it is not sent again.
        assert await letters.again() == {"open": 1}
        assert letters.connection.take() == []
        second.answer(0)
        await letters.writer.drain(WAIT_SECONDS)
        assert letters.left == []
        assert await letters.again() == {}


async def test_an_input_that_fails_again_is_kept_once_with_its_new_reason(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        assert await letters.replay(unusable(b'{"header":{},"payload":{}}')) == {"failed_again": 1}
        assert await letters.again() == {"failed_again": 1}
        (left,) = letters.left
        assert (left.id, left.letter.reason, left.letter.attempts) == (1, Reason.MISSING_FIELD, 2)


@pytest.mark.parametrize(
    ("payload", "topic", "reason"),
    [
        (b"rubbish", "iot/ingress", Reason.INVALID_JSON),
        (b"5", "iot/ingress", Reason.WRONG_SHAPE),
        (envelope("x"), "iot/ingress", Reason.CAST_FAILED),
        (b" " * 2_000_000, "iot/ingress", Reason.TOO_LARGE),
        (b"{}", "sensors/hall/climate", Reason.MISSING_FIELD),
        (b"\xff", "sensors/hall/climate", Reason.INVALID_JSON),
        (b"5", "sensors/hall/other", Reason.UNKNOWN_KEY),
    ],
)
async def test_each_reason_to_fail_again_is_told(tmp_path: Path, payload: bytes, topic: str, reason: Reason) -> None:
    async with opened(tmp_path) as letters:
        assert await letters.replay(unusable(payload, topic)) == {"failed_again": 1}
        assert [each.letter.reason for each in letters.left] == [reason]


async def test_what_is_cut_can_only_be_looked_at(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        assert await letters.replay(unusable(envelope(5), cut=1)) == {"failed_again": 1}
        assert letters.connection.sent == []
        assert [each.letter.cut for each in letters.left] == [1]


async def test_an_input_whose_delivery_is_refused_becomes_a_letter_of_that_delivery(tmp_path: Path) -> None:
    async with opened(tmp_path, answer=0x87) as letters:
        assert await letters.replay(unusable(envelope(5))) == {"failed_again": 1}
        assert [(each.letter.device, each.letter.reason) for each in letters.left] == [
            ("VM-A", Reason.REFUSED),
            ("VM-C", Reason.REFUSED),
        ]


async def test_what_was_delivered_meanwhile_is_told_and_not_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        letters.pipeline.input.receive_envelope("iot/ingress", envelope(5), 1)
        assert await letters.pipeline.transport.completion.drain(WAIT_SECONDS) == 0
        letters.connection.take()
        assert await letters.replay(unusable(envelope(5))) == {"already_delivered": 1}
        assert letters.connection.take() == []
        assert letters.left == []


async def test_what_is_on_its_way_is_waited_for_and_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_bridge.runtime.replay.WAIT_SECONDS", 0.01)
    async with opened(tmp_path, answer=None) as letters:
        letters.pipeline.input.receive_envelope("iot/ingress", envelope(5), 1)
        assert await letters.replay(unusable(envelope(5))) == {"open": 1}
        sent = letters.connection.take()
        assert len(sent) == 2
        for each in sent:
            each.answer(0)
        await letters.writer.drain(WAIT_SECONDS)
        assert letters.left == []


async def test_a_letter_without_a_trace_is_not_sent_twice_when_its_removal_was_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        letters.store.add([unusable(envelope(5, trace=None)), unusable(b'{"temperature":5}', "sensors/a/climate", "")])
        both = letters.left
        counts = await letters.replayer.replay(both)
        assert counts["replayed"] == 2
        letters.connection.take()
        # Killed before the removal was written, it would find them again.
        counts = await letters.replayer.replay(both)
        assert counts["already_delivered"] == 2
        assert letters.connection.take() == []


async def test_keys_of_one_trace_are_replayed_each(tmp_path: Path) -> None:
    async with opened(tmp_path, identity="trace_and_key") as letters:
        assert await letters.replay(unusable(envelope(5)), unusable(envelope(6))) == {
            "replayed": 1,
            "already_delivered": 1,
        }


async def test_of_a_part_only_that_part_is_replayed(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        part = replace(unusable(b'{"temperature":5,"humidity":40}', "sensors/a/climate"), object="Humidity")
        assert await letters.replay(part) == {"replayed": 1}
        assert [each.payload for each in letters.connection.sent] == [b'{"object":"Humidity","value":40}']


async def test_the_part_that_fails_again_takes_the_place_of_the_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as letters:
        whole = unusable(b'{"temperature":5,"humidity":"wet"}', "sensors/a/climate")
        assert await letters.replay(whole) == {"failed_again": 1}
        assert [each.payload for each in letters.connection.take()] == [b'{"object":"Temperature","value":5.0}']
        assert [(each.letter.object, each.letter.attempts) for each in letters.left] == [("Humidity", 1)]
        assert await letters.again() == {"failed_again": 1}
        assert letters.connection.take() == []
        assert [(each.letter.object, each.letter.attempts) for each in letters.left] == [("Humidity", 2)]


async def test_an_ingress_topic_may_have_wildcards(tmp_path: Path) -> None:
    async with opened(tmp_path, topics=("plant/+/ingress",)) as letters:
        assert await letters.replay(unusable(envelope(5), "plant/a/ingress")) == {"replayed": 1}


# ---------------------------------------------------------------- real processes


def until_empty(bridge: BridgeProcess, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    store = DeadLetterStore(bridge.folder / "data" / "dead-letters.sqlite", 100, 1024 * 1024)
    while store.count() and time.monotonic() < deadline:
        time.sleep(0.02)
    store.close()


def mend(bridge: BridgeProcess, listener: Listener) -> None:
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text().replace("2: automatic", "2: automatic, 9: service"))
    listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload and b'"rules":6' in payload)


def test_a_replay_that_is_killed_before_the_broker_confirms_loses_nothing(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    bridge = stopped_bridge
    with Proxy(bridge.broker.port) as proxy:
        bridge.environment = {**bridge.environment, "IOT_DATA_BRIDGE_BROKER_PORT": str(proxy.port)}
        bridge.start()
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
        listener.envelope("ENG001", "MOD001", 9, "u1")
        listener.wait(f"{bridge.root}/events", lambda payload: b"mapping_failed" in payload)
        assert listener.command(bridge.root, {"id": "n", "action": "dead_letters"})["ok"]
        mend(bridge, listener)
        proxy.hold(b"devices/vm-b/ingress")
        listener.publish(f"{bridge.root}/command", orjson.dumps({"id": "r1", "action": "replay"}))
        assert proxy.held.wait(WAIT_SECONDS)
        # One that forgets too early would have done so by now.
        until_empty(bridge, 0.5)
        bridge.end(signal.SIGKILL)
        assert listener.on("devices/vm-b/ingress") == []
        proxy.release()
        del listener.messages[:]
        bridge.start()
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
        result = listener.command(bridge.root, {"id": "r2", "action": "replay"})
        # The first command was never acknowledged, so the broker sent it again too.
        listener.wait("devices/vm-b/ingress")
        until_empty(bridge, WAIT_SECONDS)
        assert result["ok"]
        assert listener.on("devices/vm-b/ingress") == [b'{"object":"Engine1.Mode","value":"service"}']
        assert bridge.run("dead-letters", "list").stdout == ""
        bridge.close()


def test_the_command_line_lets_the_running_bridge_replay_and_tells_what_became_of_it(
    bridge: BridgeProcess, listener: Listener
) -> None:
    listener.envelope("ENG001", "MOD001", 9, "u1")
    listener.envelope("ENG001", "MOD001", 8, "u2")
    listener.wait(f"{bridge.root}/events", lambda payload: b"mapping_failed" in payload)
    assert listener.command(bridge.root, {"id": "n", "action": "dead_letters"})["ok"]
    mend(bridge, listener)
    done = bridge.run("dead-letters", "replay", "--all")
    assert (done.returncode, done.stdout) == (0, "1 replayed\n")
    assert done.stderr == "1 failed again and stay, or their deliveries do\n"
    assert listener.wait("devices/vm-b/ingress") == b'{"object":"Engine1.Mode","value":"service"}'
    again = bridge.run("dead-letters", "replay", "2")
    assert (again.returncode, again.stdout) == (1, "0 replayed\n")
    (line,) = bridge.run("dead-letters", "list").stdout.splitlines()
    assert line.startswith("2\t")


def test_without_a_bridge_the_command_line_replays_deliveries_and_keeps_inputs(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    store = DeadLetterStore(stopped_bridge.folder / "data" / "dead-letters.sqlite", 100, 1024 * 1024)
    store.add([DELIVERY, unusable(envelope(5))])
    done = stopped_bridge.run("dead-letters", "replay", "--all")
    assert (done.returncode, done.stdout) == (0, "1 replayed\n")
    assert "1 are inputs, which only a running bridge can map, and stay" in done.stderr
    assert listener.wait("devices/vm-a/ingress") == b"old"
    assert [each.id for each in store.find_all()] == [2]
    store.close()
