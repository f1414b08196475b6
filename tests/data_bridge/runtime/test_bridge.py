"""The whole bridge: a real process on a real broker."""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from data_bridge.runtime.bridge import Bridge
from data_bridge.runtime.commands import CommandError
from data_bridge.settings_loader import load_settings
from tests.data_bridge.running import WAIT_SECONDS, BridgeProcess, Listener, log_lines, wait_for_log


def content(payload: bytes) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(payload)
    return found


def test_an_envelope_arrives_at_its_devices(bridge: BridgeProcess, listener: Listener) -> None:
    listener.envelope("GPS001", "GLL001", 37.5665, "u1")
    for device in ("vm-a", "vm-c"):
        assert listener.wait(f"devices/{device}/ingress") == b'{"object":"GPS.Latitude","value":37.5665}'
    state = content(listener.wait(f"{bridge.root}/state/VM-A"))
    assert state["values"] == {"GPS.Latitude": 37.5665}
    assert abs(float(str(state["ts"])) - time.time()) < 30


def test_a_topic_rule_takes_its_value_from_the_json(bridge: BridgeProcess, listener: Listener) -> None:
    assert bridge.root
    listener.publish("sensors/hall/climate", b'{"data":{"temperature":215}}')
    assert listener.wait("devices/vm-a/ingress") == b'{"object":"hall.Temperature","value":21.5}'


def test_what_home_assistant_finds_when_it_comes_later(bridge: BridgeProcess, listener: Listener) -> None:
    listener.envelope("GPS001", "GLL001", 1.5)
    listener.wait(f"{bridge.root}/state/VM-C")
    late = Listener(bridge.broker.port)
    try:
        assert late.wait(f"{bridge.root}/availability") == b"online"
        hello = content(late.wait(f"{bridge.root}/hello"))
        assert hello == {"bridge_id": "main", "name": "IoT Data Bridge", "version": "0.1.0", "schema": 1}
        catalog = content(late.wait(f"{bridge.root}/catalog"))
        devices = catalog["devices"]
        assert isinstance(devices, list)
        assert [device["id"] for device in devices] == ["VM-A", "VM-B", "VM-C"]
        late.wait(f"{bridge.root}/state/VM-C")
        assert all(retained for _, _, retained in late.messages)
    finally:
        late.close()


def test_a_fast_source_is_announced_at_most_once_a_second(bridge: BridgeProcess, listener: Listener) -> None:
    for number in range(300):
        listener.envelope("GPS001", "GLL001", number)
    listener.wait(f"{bridge.root}/state/VM-A", lambda payload: content(payload)["values"] == {"GPS.Latitude": 299})
    assert len(listener.on("devices/vm-a/ingress")) == 300
    states = [float(str(content(payload)["ts"])) for payload in listener.on(f"{bridge.root}/state/VM-A")]
    # One at once, one for each second that it took, one at the end.
    assert len(states) <= (states[-1] - states[0]) + 2.5


def test_a_killed_bridge_is_offline_by_its_last_will(bridge: BridgeProcess, listener: Listener) -> None:
    bridge.end(signal.SIGKILL)
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline")


def test_a_stopped_bridge_says_goodbye_and_exits_with_zero(bridge: BridgeProcess, listener: Listener) -> None:
    assert bridge.run("health").returncode == 0
    assert bridge.end() == 0
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline")
    assert bridge.run("health").returncode == 1
    assert log_lines(bridge, "stopped")


def test_states_of_before_a_restart_are_kept(bridge: BridgeProcess, listener: Listener) -> None:
    listener.envelope("GPS001", "GLL001", 1.5)
    listener.wait(f"{bridge.root}/state/VM-A", lambda payload: b"Latitude" in payload)
    bridge.end()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline")
    del listener.messages[:]
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    listener.envelope("GPS001", "GLL002", 127.0)
    values = {"GPS.Latitude": 1.5, "GPS.Longitude": 127.0}
    listener.wait(f"{bridge.root}/state/VM-A", lambda payload: content(payload)["values"] == values)


def test_a_catalog_is_loaded_when_it_changes(bridge: BridgeProcess, listener: Listener) -> None:
    mappings = bridge.folder / "mappings.yaml"
    before = content(listener.wait(f"{bridge.root}/catalog"))["version"]
    mappings.write_text(
        mappings.read_text() + "  - {equip_tag: N, message_id: N, object: GPS.Latitude, value_type: float}\n"
    )
    event = content(listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload))
    assert event["version"] != before
    listener.wait(f"{bridge.root}/catalog", lambda payload: content(payload)["version"] == event["version"])
    listener.envelope("N", "N", 8)
    listener.wait("devices/vm-a/ingress", lambda payload: content(payload)["value"] == 8)


def test_a_bad_catalog_is_refused_and_the_old_one_stays(bridge: BridgeProcess, listener: Listener) -> None:
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text() + "  - {equip_tag: N, object: X, value_type: float}\n")
    event = content(listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_refused" in payload))
    assert event["file"] == str(mappings)
    assert event["line"] == len(mappings.read_text().splitlines())
    assert "needs equip_tag and message_id" in str(event["error"])
    assert wait_for_log(bridge, "catalog_refused")["reason"] == "invalid"
    listener.envelope("GPS001", "GLL001", 5)
    listener.wait("devices/vm-a/ingress", lambda payload: content(payload)["value"] == 5)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_catalog_is_applied_though_its_copy_cannot_be_kept(bridge: BridgeProcess, listener: Listener) -> None:
    copy = bridge.folder / "data" / "last-good-catalog.json"
    wait_until(copy.exists)
    copy.unlink()
    copy.mkdir()  # nothing can be written there
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(
        mappings.read_text() + "  - {equip_tag: N, message_id: N, object: GPS.Latitude, value_type: float}\n"
    )
    listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload)
    listener.envelope("N", "N", 8)
    listener.wait("devices/vm-a/ingress", lambda payload: content(payload)["value"] == 8)
    # It is written once the broker has answered the subscriptions.
    wait_for_log(bridge, "catalog_copy_not_kept")
    metrics = listener.command(bridge.root, {"id": "m", "action": "metrics"})["data"]
    assert isinstance(metrics, dict)
    assert metrics["catalog_copies_failed"] == 1
    assert len(log_lines(bridge, "catalog_copy_not_kept")) == 1


def test_a_flood_of_bad_input_is_one_log_line_a_reason_and_stops_nothing(
    bridge: BridgeProcess, listener: Listener
) -> None:
    for payload in (b"{", b"\x00\xff", b"[" * 5000, b'{"payload":5}', b"null", b"5", b"x" * (2 * 1024 * 1024)):
        for _ in range(20):
            listener.publish("iot/ingress", payload)
    listener.envelope("GPS001", "GLL001", "no number")
    listener.envelope("GPS001", "GLL001", 5)
    listener.wait("devices/vm-a/ingress", lambda payload: content(payload)["value"] == 5)
    metrics = listener.command(bridge.root, {"id": "m", "action": "metrics"})["data"]
    assert isinstance(metrics, dict)
    assert metrics["skipped"] == {"invalid_json": 60, "wrong_shape": 60, "too_large": 20, "cast_failed": 1}
    assert metrics["received"] == 142
    reasons = [line["reason"] for line in log_lines(bridge, "skipped")]
    assert sorted(map(str, reasons)) == ["cast_failed", "invalid_json", "too_large", "wrong_shape"]


def test_set_goes_through_the_pipeline(bridge: BridgeProcess, listener: Listener) -> None:
    data = {"device_id": "VM-B", "object": "Engine1.SpeedLimit", "value": "4500"}
    result = listener.command(bridge.root, {"id": "s1", "action": "set", "data": data})
    assert result["ok"] is True
    assert listener.on("devices/vm-b/ingress") == [b'{"object":"Engine1.SpeedLimit","value":4500}']
    listener.wait(f"{bridge.root}/state/VM-B", lambda payload: b"SpeedLimit" in payload)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"object": "Engine1.SpeedLimit", "value": 7000}, "above its maximum 6000"),
        ({"object": "Engine1.SpeedLimit", "value": "fast"}, "is no"),
        ({"object": "GPS.Latitude", "value": 1}, "read-only"),
        ({"object": "Nothing", "value": 1}, "no object"),
        ({"object": "Engine1.SpeedLimit", "value": 1, "device_id": "VM-A"}, "does not go to"),
        ({"value": 1}, "object"),
    ],
)
def test_a_set_that_cannot_be_is_refused(
    bridge: BridgeProcess, listener: Listener, data: dict[str, object], error: str
) -> None:
    result = listener.command(bridge.root, {"id": "s", "action": "set", "data": data})
    assert result["ok"] is False
    assert error in str(result["error"])
    assert listener.on("devices/vm-b/ingress") == []


def test_commands_that_make_no_sense_are_answered(bridge: BridgeProcess, listener: Listener) -> None:
    assert "unknown action" in str(listener.command(bridge.root, {"id": 1, "action": "fly"})["error"])
    assert "action" in str(listener.command(bridge.root, {"id": 2})["error"])
    listener.publish(f"{bridge.root}/command", b"no json")
    assert b"no JSON" in listener.wait(f"{bridge.root}/result", lambda payload: content(payload)["id"] is None)


def test_trace_shows_every_layer(bridge: BridgeProcess, listener: Listener) -> None:
    payload = {"header": {"UUID": "u9"}, "payload": {"Equip.Tag": "GPS001", "Message.ID": "GLL001", "VALUE": "1.5"}}
    result = listener.command(bridge.root, {"id": "t", "action": "trace", "data": {"payload": payload}})
    data = result["data"]
    assert isinstance(data, dict)
    assert [step["layer"] for step in data["steps"]] == [
        "IngressEvent",
        "MappedEvent",
        "ResolvedEvent",
        "Delivery",
        "Delivery",
    ]
    assert listener.on("devices/vm-a/ingress") == []
    listener.envelope("GPS001", "GLL001", 1, "u10")
    listener.wait("devices/vm-a/ingress")
    found = listener.command(bridge.root, {"id": "t2", "action": "trace", "data": {"trace_id": "u10"}})["data"]
    assert isinstance(found, dict)
    assert found["delivered"] is True


def test_an_unusable_value_is_listed_and_replayed_when_the_catalog_is_mended(
    bridge: BridgeProcess, listener: Listener
) -> None:
    listener.envelope("ENG001", "MOD001", 9, "u1")
    wait_for_log(bridge, "skipped")
    listed = bridge.run("dead-letters", "list")
    assert "unknown_option" in listed.stdout
    assert '"trace_id": "u1"' in bridge.run("dead-letters", "show", "1").stdout or "u1" in listed.stdout
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text().replace("2: automatic", "2: automatic, 9: service"))
    listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload)
    result = listener.command(bridge.root, {"id": "r", "action": "replay"})
    assert result["data"] == {
        "replayed": 1,
        "failed_again": 0,
        "already_delivered": 0,
        "open": 0,
    }
    listener.wait("devices/vm-b/ingress", lambda payload: content(payload)["value"] == "service")
    assert bridge.run("dead-letters", "list").stdout == ""


def test_the_command_line_replays_and_purges(bridge: BridgeProcess, listener: Listener) -> None:
    for number in range(3):
        listener.envelope("ENG001", "MOD001", f"bad{number}", f"u{number}")
    listener.command(bridge.root, {"id": "wait", "action": "dead_letters"})
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(mappings.read_text().replace("2: automatic", "2: automatic, bad0: service"))
    listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload)
    replayed = bridge.run("dead-letters", "replay", "1")
    assert (replayed.returncode, replayed.stdout) == (0, "1 replayed\n")
    listener.wait("devices/vm-b/ingress", lambda payload: content(payload)["value"] == "service")
    assert bridge.run("dead-letters", "purge", "--all").stdout == "2 purged\n"
    assert bridge.run("dead-letters", "show", "2").returncode == 1


def test_a_stop_waits_for_a_slow_disk_so_that_no_input_is_stored_twice(
    bridge: BridgeProcess, listener: Listener
) -> None:
    database = sqlite3.connect(bridge.folder / "data" / "dead-letters.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    listener.envelope("ENG001", "MOD001", "lost", "u1")
    wait_for_log(bridge, "skipped")
    bridge.terminate()
    # A bridge that did not wait would be gone within milliseconds.
    with contextlib.suppress(AssertionError):
        listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"offline", seconds=1)
    database.execute("ROLLBACK")
    database.close()
    assert bridge.wait() == 0
    bridge.start()
    listener.envelope("GPS001", "GLL001", 5)
    listener.wait("devices/vm-a/ingress", lambda payload: content(payload)["value"] == 5)
    assert bridge.end() == 0
    assert bridge.run("dead-letters", "list").stderr == "1 dead letters in all\n"


def test_metrics_come_by_themselves(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    stopped_bridge.environment = {"IOT_DATA_BRIDGE_ANNOUNCEMENTS_METRICS_INTERVAL": "0.2"}
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    listener.envelope("GPS001", "GLL001", 5)
    metrics = content(
        listener.wait(f"{stopped_bridge.root}/metrics", lambda payload: content(payload)["latency_p99_ms"] is not None)
    )
    assert (metrics["received"], metrics["mapped"], metrics["delivered"], metrics["queue_depth"]) == (1, 1, 1, 0)


def test_no_secret_is_in_any_output(stopped_bridge: BridgeProcess, listener: Listener, tmp_path: Path) -> None:
    secret = "correct-horse-battery"
    stopped_bridge.environment = {
        "IOT_DATA_BRIDGE_BROKER_USERNAME": "bridge",
        "IOT_DATA_BRIDGE_BROKER_PASSWORD": secret,
        "IOT_DATA_BRIDGE_LOGGING_LEVEL": "debug",
        "IOT_DATA_BRIDGE_LOGGING_FILE": str(tmp_path / "bridge.jsonl"),
    }
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    shown = stopped_bridge.run("check", "--show-settings")
    assert shown.returncode == 0, shown.stderr
    stopped_bridge.end()
    outputs = stopped_bridge.log.read_text() + shown.stdout + shown.stderr + (tmp_path / "bridge.jsonl").read_text()
    assert "bridge" in outputs
    assert secret not in outputs
    assert not any(secret.encode() in payload for _, payload, _ in listener.messages)


def test_the_bridge_waits_for_a_broker_that_is_not_there_yet(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    listener.close()
    broker = stopped_bridge.broker
    broker.stop()
    stopped_bridge.environment = {"IOT_DATA_BRIDGE_BROKER_RECONNECT_MINIMUM": "0.1"}
    stopped_bridge.start()
    wait_for_log(stopped_bridge, "broker_unreachable")
    broker.start()
    wait_for_log(stopped_bridge, "connected")


def test_a_refused_password_ends_it_with_the_brokers_word(stopped_bridge: BridgeProcess) -> None:
    broker = stopped_bridge.broker
    broker.stop()
    broker.users = {"bridge": "right"}
    broker.start()
    stopped_bridge.environment = {
        "IOT_DATA_BRIDGE_BROKER_USERNAME": "bridge",
        "IOT_DATA_BRIDGE_BROKER_PASSWORD": "wrong-password",
    }
    finished = stopped_bridge.run("run")
    assert finished.returncode == 2
    assert "authori" in finished.stderr.lower()
    assert "wrong-password" not in finished.stderr + finished.stdout


def test_a_reload_leaves_nothing_retained_of_a_device_that_only_an_earlier_run_announced(
    bridge: BridgeProcess, listener: Listener
) -> None:
    listener.envelope("GPS001", "GLL001", 1.5)
    listener.wait(f"{bridge.root}/state/VM-C", lambda payload: b"Latitude" in payload)
    bridge.end()
    devices = bridge.folder / "devices.yaml"
    del listener.messages[:]
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    devices.write_text(devices.read_text().replace("GPS.Latitude: [VM-A, VM-C]", "GPS.Latitude: [VM-A]"))
    listener.wait(f"{bridge.root}/events", lambda payload: b"catalog_loaded" in payload)
    listener.wait(f"{bridge.root}/state/VM-C", lambda payload: payload == b"")


async def test_a_catalog_that_cannot_be_prepared_is_refused_and_the_old_one_goes_on(
    stopped_bridge: BridgeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IOT_DATA_BRIDGE_CATALOGS_WATCH", "0")
    settings = load_settings(stopped_bridge.folder / "bridge.yaml", stopped_bridge.environ())
    running = Bridge(settings)
    before = running._pipeline.ways

    def fail(_catalog: object) -> None:
        raise ValueError("a fault of the bridge")

    monkeypatch.setattr(running._pipeline, "prepare", fail)
    with pytest.raises(CommandError, match=r"refused, the old one stays.*a fault of the bridge"):
        await running._reloader.reload_on_command()
    assert running._pipeline.ways is before
    assert running._catalogs.refusals["unusable"] == 1
    assert not (settings.data_directory / "last-good-catalog.json").exists()
    await running._letters.close()
