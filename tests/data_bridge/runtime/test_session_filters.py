"""What the broker's session may still hold of earlier runs and catalogs."""

import signal
from pathlib import Path

import orjson
import pytest

from data_bridge.damaged_files import DamagedFileError
from data_bridge.runtime.session_filters import SessionFilters
from tests.data_bridge.running import BridgeProcess, Listener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "subscriptions.json"


def test_what_a_killed_run_subscribed_is_left_for_the_next(path: Path) -> None:
    SessionFilters(path).set_wanted(["iot/ingress", "old/#"])
    filters = SessionFilters(path)
    filters.set_wanted(["iot/ingress"])
    assert filters.stale == {"old/#"}
    # It is killed too, before it could tell the broker.
    filters = SessionFilters(path)
    filters.set_wanted(["iot/ingress"])
    assert filters.stale == {"old/#"}


def test_what_the_broker_was_told_to_end_is_left_no_longer(path: Path) -> None:
    filters = SessionFilters(path)
    filters.set_wanted(["a", "b"])
    filters.set_wanted(["b"])
    assert filters.stale == {"a"}
    filters.end_stale()
    assert filters.stale == set()
    assert SessionFilters(path).stale == {"b"}


def test_what_is_wanted_again_is_not_left(path: Path) -> None:
    filters = SessionFilters(path)
    filters.set_wanted(["a"])
    filters.set_wanted(["b"])
    filters.set_wanted(["a", "b"])
    assert filters.stale == set()


def test_a_file_that_cannot_be_written_takes_nothing_from_this_run(path: Path) -> None:
    filters = SessionFilters(path)
    filters.set_wanted(["a"])
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        filters.set_wanted(["b"])
    assert filters.stale == {"a"}
    path.rmdir()
    filters.set_wanted(["b"])
    assert SessionFilters(path).stale == {"a", "b"}


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"5", b"[5]"])
def test_a_damaged_file_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"cannot be used: it (is no JSON|holds no list of topic filters)"):
        SessionFilters(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_rule_that_went_while_the_bridge_was_off_is_unsubscribed_and_what_came_for_it_counted(
    stopped_bridge: BridgeProcess, listener: Listener, number: signal.Signals
) -> None:
    bridge = stopped_bridge
    mappings = bridge.folder / "mappings.yaml"
    without = mappings.read_text()
    mappings.write_text(without + "  - {topic: old/#, object: GPS.Latitude, value_type: float}\n")
    bridge.start()
    listener.publish("old/x", "1")
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    listener.publish("old/x", "2")
    listener.wait("devices/vm-a/ingress", lambda payload: orjson.loads(payload)["value"] == 2)
    bridge.end(number)
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline")
    mappings.write_text(without)
    listener.publish("old/x", "3")
    del listener.messages[:]
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    # Answered by the broker after the unsubscription, which left before.
    assert skipped(bridge, listener, "first") == {"unsubscribed": 1}
    listener.publish("old/x", "4")
    assert skipped(bridge, listener, "second") == {"unsubscribed": 1}
    assert b'"reason": "unsubscribed"' in bridge.log.read_bytes()
    bridge.end()
    assert orjson.loads((bridge.folder / "data" / "subscriptions.json").read_bytes()) == [
        "iot/ingress",
        "sensors/+/climate",
    ]


def skipped(bridge: BridgeProcess, listener: Listener, identifier: str) -> object:
    data = listener.command(bridge.root, {"id": identifier, "action": "metrics"})["data"]
    assert isinstance(data, dict)
    return data["skipped"]
