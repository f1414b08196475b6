"""Printers and bridged devices as their messages tell them."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.bridged import (
    BridgedObject,
    ValueType,
    parse_catalog,
    parse_hello,
    parse_state,
)
from custom_components.iot_data_bridge.devices.dialects.factor import parse_status
from custom_components.iot_data_bridge.devices.errors import MalformedMessageError
from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.printer import Printer, PrinterReport, PrinterState
from custom_components.iot_data_bridge.devices.topics import SiteTopics, filters_overlap, first_overlap, valid_root

NOON = Instant(timedelta(0), datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
CAPTURE = Path(__file__).parents[3] / "development" / "captures" / "factor-octoprint-print.jsonl"


def test_a_captured_print_goes_from_idle_through_its_progress_to_idle() -> None:
    printer = Printer("11111111-2222-4333-8444-555555555555")
    states: list[PrinterState | None] = []
    progress: list[float] = []
    for line in CAPTURE.read_text().splitlines():
        message = json.loads(line)
        if not message["topic"].startswith("octoprint/status/"):
            continue
        printer.apply(parse_status(message["payload"].encode()), NOON)
        if not states or states[-1] != printer.state:
            states.append(printer.state)
        if printer.state is PrinterState.PRINTING and printer.progress is not None:
            progress.append(printer.progress)
    assert states[0] == PrinterState.IDLE
    assert PrinterState.PRINTING in states
    assert states[-1] in (PrinterState.IDLE, PrinterState.PRINTING)
    assert max(progress) <= 100
    assert progress == sorted(progress)
    assert printer.nozzle_temperature is not None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"flags": {"printing": True, "paused": True}}, PrinterState.PRINTING),
        ({"flags": {"paused": True, "error": True}}, PrinterState.PAUSED),
        ({"flags": {"error": True, "operational": True}}, PrinterState.ERROR),
        ({"text": "Druckt", "flags": {"operational": True}}, PrinterState.IDLE),
        ({"text": "Offline (Error: no port)", "flags": {}}, PrinterState.OFFLINE),
        ({"text": "Printing from SD", "flags": {}}, PrinterState.PRINTING),
        ({"text": "일시정지", "flags": {}}, None),
    ],
)
def test_flags_come_before_texts(state: dict[str, object], expected: PrinterState | None) -> None:
    assert parse_status(json.dumps({"state": state}).encode()).state is expected


def test_a_state_change_is_merged_and_replaces_nothing() -> None:
    printer = Printer("u")
    printer.apply(PrinterReport(PrinterState.PRINTING, full=True, progress=12.34), NOON)
    printer.apply(parse_status(b'{"state_id":"PAUSED","state_string":"Paused"}'), NOON)
    assert (printer.state, printer.progress) == (PrinterState.PAUSED, 12.3)
    printer.apply(parse_status(b'{"state_id":"SOMETHING_NEW","state_string":7}'), NOON)
    assert printer.state is PrinterState.PAUSED


def test_progress_stays_within_its_scale() -> None:
    assert parse_status(b'{"state":{},"progress":{"completion":100.4}}').progress == 100


@pytest.mark.parametrize(
    ("value_type", "value", "read"),
    [
        (ValueType.FLOAT, 37.5, 37.5),
        (ValueType.FLOAT, "37.5", 37.5),
        (ValueType.FLOAT, "far", None),
        (ValueType.FLOAT, 1e16, 1e16),
        (ValueType.INTEGER, 7.0, 7),
        (ValueType.INTEGER, 9_007_199_254_740_993, 9_007_199_254_740_993),
        (ValueType.INTEGER, "18446744073709551615", 18_446_744_073_709_551_615),
        (ValueType.INTEGER, None, None),
        (ValueType.TEXT, True, "true"),
        (ValueType.TEXT, "x" * 300, "x" * 255),
        (ValueType.BOOLEAN, True, True),
        (ValueType.BOOLEAN, "YES", True),
        (ValueType.BOOLEAN, 0, False),
        (ValueType.BOOLEAN, "perhaps", None),
    ],
)
def test_a_value_is_read_by_its_type(value_type: ValueType, value: object, read: object) -> None:
    assert BridgedObject("o", value_type).read(value) == read  # type: ignore[arg-type] # whatever JSON holds


def test_a_catalog_is_read_with_the_types_of_older_files() -> None:
    catalog = parse_catalog(
        b'{"version":3,"devices":[{"id":"VM-A","objects":['
        b'{"object":"a","value_type":"int","unit":"C","access":"rw","options":["x",null]},'
        b'{"object":"b","value_type":"bool"},{"object":"c","value_type":"str"},{"object":"d"},{"value_type":"int"}]},'
        b'{"name":"nameless"},7]}'
    )
    assert catalog.version == "3"
    device = catalog.devices["VM-A"]
    assert device.name == "VM-A"
    assert [found.value_type for found in device.objects.values()] == ["integer", "boolean", "text", "text"]
    assert device.objects["a"] == BridgedObject("a", ValueType.INTEGER, "C", None, None, True, ("x",))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", "not_json"), (b"[]", "not_an_object"), (b"{}", "devices_missing"), (b'{"devices":{}}', "devices_missing")],
)
def test_a_catalog_without_devices_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        parse_catalog(payload)


@pytest.mark.parametrize("payload", [b"{}", b'{"bridge_id":"a/b"}', b'{"bridge_id":"+"}', b'{"bridge_id":""}'])
def test_a_hello_needs_an_id_that_can_be_a_topic_level(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError, match="bridge_id_missing"):
        parse_hello(payload)


@given(st.binary())
def test_no_payload_breaks_a_parser(payload: bytes) -> None:
    for parse in (parse_status, parse_catalog, parse_hello, parse_state):
        with contextlib.suppress(MalformedMessageError):
            parse(payload)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("basket/+/update", "basket/1/update", True),
        ("basket/+/update", "basket/+/+/update", False),
        ("+/+/status", "octoprint/status/+", True),
        ("a/+/update", "b/+/update", False),
    ],
)
def test_filters_overlap_when_one_topic_matches_both(one: str, other: str, overlap: bool) -> None:
    assert filters_overlap(one, other) is overlap


def test_the_default_topics_do_not_overlap() -> None:
    assert first_overlap(SiteTopics(("basket/+", "basket/+/+"), True, "+").filters()) is None


@pytest.mark.parametrize(
    ("root", "valid"),
    [("basket/+", True), ("+", True), ("a/b/c", True), ("", False), ("/a", False), ("a/", False), ("a//b", False)]
    + [(bad, False) for bad in ("a/#", "a+/b", "$SYS/a", "a\0", "a" * 1001)],
)
def test_a_root_is_levels_of_names_or_plus(root: str, valid: bool) -> None:
    assert valid_root(root) is valid


@pytest.mark.parametrize(
    ("roots", "root", "name"),
    [
        (("basket/+", "basket/+/+"), "basket/1", "1"),
        (("basket/+", "basket/+/+"), "basket/store02/unit015", "store02 unit015"),
        (("+/cart",), "north/cart", "north"),
        (("+/cart/+",), "north/cart/7", "north 7"),
        (("north/cart", "south/cart"), "south/cart", "south"),
        (("north/+", "south/+"), "south/7", "south 7"),
        (("basket/1",), "basket/1", "1"),
        (("cart",), "cart", "cart"),
    ],
)
def test_a_basket_is_named_by_the_levels_that_tell_it_apart(roots: tuple[str, ...], root: str, name: str) -> None:
    assert SiteTopics(roots, False, "").basket_name(root) == name
