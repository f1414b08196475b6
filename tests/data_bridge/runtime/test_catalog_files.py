"""A running bridge beside a writer of its catalog files."""

import orjson

from tests.data_bridge.running import BridgeProcess, Listener


def rules(count: int) -> str:
    lines = (f"  - {{equip_tag: T{n}, message_id: M, object: GPS.Latitude, value_type: float}}\n" for n in range(count))
    return "mappings:\n" + "".join(lines)


def event(listener: Listener, bridge: BridgeProcess, kind: str, **content: object) -> dict[str, object]:
    def fits(payload: bytes) -> bool:
        told = orjson.loads(payload)
        return told["type"] == kind and all(told[key] == value for key, value in content.items())

    found: dict[str, object] = orjson.loads(listener.wait(f"{bridge.root}/events", fits))
    return found


def test_half_a_catalog_is_told_and_not_used_while_its_writer_goes_on(
    bridge: BridgeProcess, listener: Listener
) -> None:
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(rules(50))
    event(listener, bridge, "catalog_loaded", rules=50)
    mappings.write_text(rules(25))
    told = event(listener, bridge, "catalog_shrinks")
    assert (told["rules_before"], told["rules"]) == (50, 25)
    mappings.write_text(rules(51))
    event(listener, bridge, "catalog_loaded", rules=51)
    loaded = [orjson.loads(payload) for payload in listener.on(f"{bridge.root}/events")]
    assert 25 not in [each["rules"] for each in loaded if each["type"] == "catalog_loaded"]
    listener.envelope("T49", "M", 1.5, "u1")
    listener.wait("devices/vm-a/ingress", lambda payload: b"1.5" in payload)


def test_a_catalog_that_stays_half_is_used_in_the_end(bridge: BridgeProcess, listener: Listener) -> None:
    mappings = bridge.folder / "mappings.yaml"
    mappings.write_text(rules(50))
    event(listener, bridge, "catalog_loaded", rules=50)
    mappings.write_text(rules(10))
    event(listener, bridge, "catalog_shrinks", rules=10)
    event(listener, bridge, "catalog_loaded", rules=10)


def test_a_command_reloads_what_was_just_written(bridge: BridgeProcess, listener: Listener) -> None:
    (bridge.folder / "mappings.yaml").write_text(rules(1))
    result = listener.command(bridge.root, {"id": 1, "action": "reload"})
    assert result["ok"], result
    data = result["data"]
    assert isinstance(data, dict)
    assert data["rules"] == 1
