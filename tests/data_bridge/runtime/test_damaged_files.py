"""Every file of the data directory is damaged in turn: the bridge starts, says which, and keeps the others' content."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from development.mosquitto import Mosquitto
from tests.data_bridge.conftest import EXAMPLES
from tests.data_bridge.running import BridgeProcess, Listener, log_lines, wait_for_log, wait_until

MAPPINGS = """mappings:
  - {equip_tag: T, message_id: M, object: Value, value_type: integer}
  - {equip_tag: S, message_id: M, object: Unreachable, value_type: integer}
"""
DEVICES = """objects: {Value: [D], Unreachable: [E]}
devices:
  E: {signalr: {group: e, target: ingress}}
"""
EARLIER = [f"earlier-{number}" for number in range(6)]
LATER = ["later", "and-last"]
NOBODY = 65534
STORE = "dead-letters.sqlite"
CURRENT, PREVIOUS = "the current traces", "the previous traces"
FILES = (
    STORE,
    f"{STORE}-wal",
    f"{STORE}-shm",
    "last-good-catalog.json",
    "subscriptions.json",
    "broker.json",
    "health.json",
    "bridge.log",
    "seen",
    "seen/redelivered.bin",
    "seen/clock.json",
    CURRENT,
    PREVIOUS,
)


def garbage(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.write_bytes(bytes(range(256)) * 8 + b"\xff")


def cut(path: Path) -> None:
    if path.is_dir():
        pytest.skip("a folder cannot be cut")
    os.truncate(path, path.stat().st_size // 2 | 1)


def folder(path: Path) -> None:
    if path.is_dir():
        pytest.skip("it is one")
    path.unlink()
    path.mkdir()
    (path / "content").touch()


def loop(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(path.name)


def forbidden(path: Path) -> None:
    path.chmod(0)
    if os.geteuid() == 0:
        os.chown(path, 0, 0)


DAMAGES = (garbage, cut, folder, loop, forbidden)
# What is written anew whatever it holds, what SQLite makes anew, and a log that is continued after any bytes.
UNREAD = {"health.json": {garbage, cut, loop, forbidden}, f"{STORE}-shm": {garbage, cut}, "bridge.log": {garbage, cut}}
# A journal that a power cut ended early is what SQLite is made for.
UNREAD[f"{STORE}-wal"] = {cut}


@dataclass
class Prepared:
    """A folder with the data of a bridge that was killed, and the broker that it was connected to."""

    folder: Path
    current: str
    previous: str

    def known(self, name: str) -> str:
        """Return a trace id of a file, which is left when the file is cut."""
        return (self.folder / "data" / "seen" / name).read_text().splitlines()[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    with Mosquitto(folder / "broker") as broker:
        bridge = BridgeProcess(folder / "bridge", broker, _settings())
        bridge.folder.mkdir()
        shutil.copyfile(EXAMPLES / "bridge.yaml", bridge.folder / "bridge.yaml")
        (bridge.folder / "mappings.yaml").write_text(MAPPINGS)
        (bridge.folder / "devices.yaml").write_text(DEVICES)
        listener = Listener(broker.port)
        try:
            # One letter in the database, which a stop leaves without a journal, and one in the journal.
            for number in (1, 2):
                bridge.start()
                listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
                listener.messages.clear()
                listener.envelope("S", "M", number, f"letter-{number}")
                listener.wait(f"{bridge.root}/events", lambda payload: b"dead_letter" in payload)
                if number == 1:
                    assert bridge.end() == 0
                    listener.messages.clear()
            for trace in EARLIER:
                listener.envelope("T", "M", 1, trace)
            seen = bridge.folder / "data" / "seen"
            first = {path.name for path in seen.glob("seen-*.txt")}
            # Half of the entries that are allowed: the turn comes at once.
            wait_until(lambda: len(set(seen.glob("seen-*.txt"))) == 2 and bool(_newest(seen).name not in first))
            for trace in LATER:
                listener.envelope("T", "M", 2, trace)
            wait_until(lambda: LATER[-1].encode() in _newest(seen).read_bytes())
            bridge.end(signal.SIGKILL)
        finally:
            listener.close()
            bridge.close()
        (previous,) = set(seen.glob("seen-*.txt")) - {_newest(seen)}
        (bridge.folder / "data" / "broker.json").write_bytes(orjson.dumps({"dropped": 0}))
        return Prepared(bridge.folder, _newest(seen).name, previous.name)


def _settings() -> dict[str, str]:
    return {
        "IOT_DATA_BRIDGE_CATALOGS_WATCH": "0.1",
        "IOT_DATA_BRIDGE_DEDUPLICATION_ENTRIES": "12",
        "IOT_DATA_BRIDGE_DEDUPLICATION_TTL": "3600",
        "IOT_DATA_BRIDGE_LOGGING_FILE": "data/bridge.log",
    }


def _newest(seen: Path) -> Path:
    return max(seen.glob("seen-*.txt"), key=lambda path: int(path.name.split("-")[1]))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("damage", DAMAGES, ids=[each.__name__ for each in DAMAGES])
@pytest.mark.parametrize("name", FILES)
def test_the_bridge_starts_says_which_and_keeps_what_the_others_hold(
    prepared: Prepared, place: Path, name: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(prepared.folder, place / "bridge")
    data = place / "bridge" / "data"
    path = data / {CURRENT: f"seen/{prepared.current}", PREVIOUS: f"seen/{prepared.previous}"}.get(name, name)
    (place / "bridge" / "bridge.log").unlink()
    user = None
    if damage is forbidden and os.geteuid() == 0:
        user = NOBODY
        for each in (place / "bridge", *(place / "bridge").rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    if name == STORE and damage is cut:
        # As a stop leaves it: what its journal holds would make it whole.
        for ending in ("-wal", "-shm"):
            path.with_name(f"{path.name}{ending}").unlink()
    damage(path)
    catalog_is_kept = name != "last-good-catalog.json"
    if catalog_is_kept:
        # Only the last good one lets the bridge start now.
        (place / "bridge" / "mappings.yaml").write_text("mappings: [")
    with Mosquitto(place / "broker") as broker:
        bridge = BridgeProcess(place / "bridge", broker, _settings(), user=user)
        listener = Listener(broker.port)
        try:
            bridge.start()
            listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
            if damage not in UNREAD.get(name, ()):
                said = wait_for_log(bridge, "file_damaged")
                assert said["file"] == str(path)
                event = orjson.loads(listener.wait(f"{bridge.root}/events", lambda each: b"file_damaged" in each))
                assert event["file"] == str(path)
                if said["moved_to"] is not None:
                    assert Path(str(said["moved_to"])).exists(follow_symlinks=False)
                    assert f"{path.name}.damaged-2" in str(said["moved_to"])
            assert {line["file"] for line in log_lines(bridge, "file_damaged")} <= {str(path)}
            assert bool(log_lines(bridge, "catalog_refused")) is catalog_is_kept
            _check_letters(bridge, listener, name)
            _check_traces(listener, prepared, name, damage)
            if name == "health.json":
                assert bridge.run("health").returncode == 0
            assert bridge.end() == 0
        finally:
            listener.close()
            bridge.close()


def _check_letters(bridge: BridgeProcess, listener: Listener, name: str) -> None:
    listener.envelope("S", "M", 3, "letter-3")
    listener.wait(f"{bridge.root}/events", lambda payload: b'"dead_letter"' in payload)
    result = listener.command(bridge.root, {"id": "letters", "action": "dead_letters"})
    data = result["data"]
    assert isinstance(data, dict)
    expected = {"letter-1", "letter-2", "letter-3"}
    if name == STORE:
        expected = {"letter-3"}
    elif name == f"{STORE}-wal":
        expected = {"letter-1", "letter-3"}
    assert {each["trace_id"] for each in data["dead_letters"]} == expected


def _check_traces(listener: Listener, prepared: Prepared, name: str, damage: Callable[[Path], None]) -> None:
    lost = {CURRENT: (prepared.current,), PREVIOUS: (prepared.previous,), "seen": (prepared.current, prepared.previous)}
    known = {
        prepared.known(each): each not in lost.get(name, ()) or damage is cut
        for each in (prepared.current, prepared.previous)
    }
    for number, trace in enumerate(known):
        listener.envelope("T", "M", 100 + number, trace)
    listener.envelope("T", "M", 999, "new")
    # One trace after the other: what came before this one was delivered before it, or dropped.
    listener.wait("devices/d/ingress", lambda payload: b"999" in payload)
    values = {orjson.loads(payload)["value"] for payload in listener.on("devices/d/ingress")}
    for number, (trace, is_known) in enumerate(known.items()):
        assert (100 + number in values) is not is_known, trace
