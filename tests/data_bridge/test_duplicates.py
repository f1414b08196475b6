"""The core promise about trace ids, on a real bridge across turns of their time to live."""

import time

import orjson

from tests.data_bridge.running import BridgeProcess, Listener, wait_for_log


def generations(bridge: BridgeProcess) -> set[int]:
    return {int(path.name.split("-")[1]) for path in (bridge.folder / "data" / "seen").glob("seen-*.txt")}


def wait_for_generation(bridge: BridgeProcess, number: int) -> None:
    deadline = time.monotonic() + 30
    while number not in generations(bridge):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(bridge: BridgeProcess, listener: Listener, ttl: float) -> None:
    bridge.environment = {**bridge.environment, "IOT_DATA_BRIDGE_DEDUPLICATION_TTL": str(ttl)}
    listener.messages[:] = [each for each in listener.messages if not each[0].endswith("/availability")]
    bridge.start()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")


def values(listener: Listener) -> list[float]:
    return [orjson.loads(payload)["value"] for payload in listener.on("devices/vm-a/ingress")]


def test_a_trace_that_was_delivered_before_a_turn_is_dropped_after_it(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    start(stopped_bridge, listener, 6.0)
    wait_for_generation(stopped_bridge, 2)
    listener.envelope("GPS001", "GLL001", 1.0, "once")
    listener.wait("devices/vm-a/ingress")
    # The generation that knows the trace becomes the previous one: half of its time is over, and half is left.
    wait_for_generation(stopped_bridge, 3)
    listener.envelope("GPS001", "GLL001", 1.0, "once")
    listener.envelope("GPS001", "GLL001", 2.0, "another")
    listener.wait("devices/vm-a/ingress", lambda payload: b"2.0" in payload)
    assert values(listener) == [1.0, 2.0]
    # After the whole of its time it is a new message.
    wait_for_generation(stopped_bridge, 5)
    listener.envelope("GPS001", "GLL001", 3.0, "once")
    listener.wait("devices/vm-a/ingress", lambda payload: b"3.0" in payload)


def test_a_trace_that_was_delivered_before_a_turn_is_dropped_after_it_by_another_process(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    # Half of it is the time that a stop and a start may take.
    start(stopped_bridge, listener, 16.0)
    listener.envelope("GPS001", "GLL001", 1.0, "once")
    listener.wait("devices/vm-a/ingress")
    wait_for_generation(stopped_bridge, 2)
    assert stopped_bridge.end() == 0
    start(stopped_bridge, listener, 16.0)
    listener.envelope("GPS001", "GLL001", 1.0, "once")
    listener.envelope("GPS001", "GLL001", 2.0, "another")
    listener.wait("devices/vm-a/ingress", lambda payload: b"2.0" in payload)
    assert values(listener) == [1.0, 2.0]


def test_a_source_with_one_constant_trace_id_is_told_with_what_helps(
    stopped_bridge: BridgeProcess, listener: Listener
) -> None:
    stopped_bridge.environment = {
        **stopped_bridge.environment,
        "IOT_DATA_BRIDGE_ANNOUNCEMENTS_METRICS_INTERVAL": "0.2",
    }
    start(stopped_bridge, listener, 600.0)
    root = stopped_bridge.root
    for number in range(10):
        listener.envelope("GPS001", "GLL001", float(number), "550e8400-e29b-41d4-a716-446655440000")
    told = orjson.loads(listener.wait(f"{root}/events", lambda payload: b'"trace_id_reused"' in payload))
    assert "'550e8400-e29b-41d4-a716-446655440000'" in told["text"]
    assert "deduplication.identity: trace_and_key" in told["text"]
    assert "deduplication.enabled: false" in told["text"]
    metrics = orjson.loads(listener.wait(f"{root}/metrics", lambda payload: b'"traces_reused":9' in payload))
    assert metrics["skipped"] == {"duplicate": 9}
    assert [each["type"] for each in metrics["problems"]] == ["trace_id_reused"]
    assert wait_for_log(stopped_bridge, "trace_id_reused")["text"] == told["text"]
    # And it does help.
    assert stopped_bridge.end() == 0
    stopped_bridge.environment = {**stopped_bridge.environment, "IOT_DATA_BRIDGE_DEDUPLICATION_ENABLED": "false"}
    start(stopped_bridge, listener, 600.0)
    for number in range(20, 30):
        listener.envelope("GPS001", "GLL001", float(number), "550e8400-e29b-41d4-a716-446655440000")
    listener.wait("devices/vm-a/ingress", lambda payload: b"29.0" in payload)
    assert values(listener) == [0.0, *(float(number) for number in range(20, 30))]
