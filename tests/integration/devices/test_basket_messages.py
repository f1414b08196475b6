"""Every message of a basket's wire, in every spelling that is out there."""

import contextlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.basket_messages import (
    BasketCommand,
    BasketUpdate,
    CommandKind,
    Detail,
    encode_end,
    encode_start,
    encode_total,
    parse_availability,
    parse_command,
    parse_session,
    parse_update,
    same_basket,
)
from custom_components.iot_data_bridge.devices.errors import MalformedMessageError
from tests.wire.files import name_of, payload_of, read_wire_file

COMMANDS = read_wire_file("basket_commands")
UPDATES = read_wire_file("basket_updates")
CODES = read_wire_file("product_codes")
SESSIONS = read_wire_file("basket_session")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def refusal(payload: bytes, parse: object) -> str:
    assert callable(parse)
    with pytest.raises(MalformedMessageError) as caught:
        parse(payload)
    return caught.value.reason


@pytest.mark.parametrize("message", [*UPDATES["written"], *UPDATES["understood"]], ids=name_of)
def test_an_update_is_understood_as_the_wire_says(message: dict[str, Any]) -> None:
    update = parse_update(payload_of(message))
    assert update == BasketUpdate(message["id"], message["contents"], {})
    assert type(update.basket_id) is type(message["id"])


@pytest.mark.parametrize("message", UPDATES["refused"], ids=name_of)
def test_an_update_that_is_wrong_in_one_place_is_refused(message: dict[str, Any]) -> None:
    assert refusal(payload_of(message), parse_update)


def test_an_update_may_tell_more_than_its_contents() -> None:
    update = parse_update(b'{"id":1,"Weight":1250.5,"batteryLevel":"81","RSSI":-58,"location":"Aisle 3","error":null}')
    assert update.contents is None
    assert update.details == {
        Detail.WEIGHT: 1250.5,
        Detail.BATTERY: 81.0,
        Detail.SIGNAL_STRENGTH: -58.0,
        Detail.LOCATION: "Aisle 3",
        Detail.ERROR: None,
    }


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"start", "not_json"),
        (b"[1]", "not_an_object"),
        (b"{}", "nothing_known"),
        (b'{"id":1}', "nothing_known"),
        (b'{"list":["MLON"]}', "list_invalid"),
        (b'{"list":{"":1}}', "code_invalid"),
        (b'{"list":{"MLON":-1}}', "count_invalid"),
        (b'{"list":{"MLON":1.5}}', "count_invalid"),
        (b'{"list":{"MLON":true}}', "count_invalid"),
        (b'{"list":{"MLON":1e300}}', "count_invalid"),
        (b'{"list":{"MLON":null}}', "count_invalid"),
    ],
)
def test_an_update_that_breaks_the_format_is_refused_as_a_whole(payload: bytes, reason: str) -> None:
    assert refusal(payload, parse_update) == reason


@pytest.mark.parametrize("message", COMMANDS["understood"], ids=name_of)
def test_a_command_is_understood_as_the_wire_says(message: dict[str, Any]) -> None:
    price = Decimal(message["price"]) if "price" in message else None
    command = parse_command(payload_of(message))
    assert command == BasketCommand(CommandKind(message["command"]), message.get("id"), price)
    assert type(command.basket_id) is type(message.get("id"))


@pytest.mark.parametrize("message", COMMANDS["refused"], ids=name_of)
def test_every_other_message_on_the_command_topic_is_refused(message: dict[str, Any]) -> None:
    assert refusal(payload_of(message), parse_command)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"total", "not_json"),
        (b"15000", "not_an_object"),
        (b'"start"', "not_an_object"),
        (b'{"msg":"pay"}', "unknown_command"),
        (b'{"msg":7}', "unknown_command"),
        (b'{"msg":"total"}', "total_invalid"),
        (b'{"msg":"total","payload":{"totalprice":-1}}', "total_invalid"),
        (b'{"msg":"total","payload":{"totalprice":"1e999"}}', "total_invalid"),
        (b'{"msg":"total","payload":{"totalprice":true}}', "total_invalid"),
        (b" " * 16_380 + b"start", "too_long"),
    ],
)
def test_what_stops_controllers_is_no_command(payload: bytes, reason: str) -> None:
    assert refusal(payload, parse_command) == reason


@pytest.mark.parametrize(
    ("payload", "online"), [(b"online", True), (b"offline", False), (b"Online\n", True), (b"", None)]
)
def test_the_last_will_is_read(payload: bytes, online: bool | None) -> None:
    assert parse_availability(payload) is online


def test_another_last_will_is_refused() -> None:
    assert refusal(b"gone", parse_availability) == "not_an_availability"


@pytest.mark.parametrize("message", COMMANDS["written"], ids=name_of)
def test_a_command_is_written_as_the_wire_says(message: dict[str, Any]) -> None:
    match message["command"]:
        case "start":
            written = encode_start()
        case "end":
            written = encode_end()
        case _:
            written = encode_total(message["id"], Decimal(message["price"]))
    assert written == message["text"]


@given(st.integers(0, 99_999_999_999), st.integers(0, 4), st.integers(0, 10**9) | st.text(min_size=1) | st.none())
def test_every_total_that_is_written_is_read_again(units: int, digits: int, basket_id: int | str | None) -> None:
    price = Decimal(units).scaleb(-digits)
    command = parse_command(encode_total(basket_id, price).encode())
    assert command == BasketCommand(CommandKind.TOTAL, basket_id if isinstance(basket_id, int) else None, price)


@pytest.mark.parametrize("case", COMMANDS["ids"], ids=str)
def test_a_total_is_for_the_basket_that_a_controller_takes_it_for(case: dict[str, Any]) -> None:
    assert same_basket(case["told"], case["named"]) is case["shown"]


def test_a_basket_that_has_told_no_id_may_be_any() -> None:
    assert same_basket(None, 5)


@pytest.mark.parametrize(("told", "basket_id"), [("1", 1), ("1.0", 1), ('"1"', "1"), ("true", None), ("[1]", None)])
def test_an_id_is_a_whole_number_or_a_text(told: str, basket_id: int | str | None) -> None:
    update = parse_update(f'{{"id":{told},"list":{{}}}}'.encode())
    assert (update.basket_id, type(update.basket_id)) == (basket_id, type(basket_id))


@pytest.mark.parametrize("spelling", CODES["spellings"], ids=name_of)
def test_a_product_has_one_code_however_a_basket_spells_it(spelling: dict[str, str]) -> None:
    payload = json.dumps({"list": {spelling["text"]: 2}}).encode()
    assert parse_update(payload).contents == {spelling["code"]: 2}


def test_two_spellings_of_one_code_are_one_product() -> None:
    assert parse_update(b'{"list":{"AB  ":1,"AB":2,"AB\\u0000\\u0000":3}}').contents == {"AB": 6}


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_payload_breaks_a_parser(payload: bytes) -> None:
    for parse in (parse_update, parse_command, parse_availability):
        with contextlib.suppress(MalformedMessageError):
            parse(payload)


def test_nesting_without_end_is_refused() -> None:
    assert refusal(b"[" * 100_000, parse_update) == "not_json"
    assert refusal(b'{"a":' * 3000, parse_command) == "not_json"


@pytest.mark.parametrize(
    "value",
    ["null", "false", "0", "0.0", '""', '" "', '"0"', '"none"', '"None"', '"null"', '"OK"', '"false"', "[]", "{}"],
)
def test_an_error_that_says_there_is_none_is_none(value: str) -> None:
    assert parse_update(f'{{"error":{value}}}'.encode()).details == {Detail.ERROR: None}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("5", "5"),
        ("-1", "-1"),
        ("true", "true"),
        ('"E1"', "E1"),
        ('["E1","E2"]', '["E1","E2"]'),
        ('{"code":3}', '{"code":3}'),
        ("[" * 500 + "]" * 500, "true"),
    ],
)
def test_any_other_error_is_one(value: str, error: str) -> None:
    assert parse_update(f'{{"error":{value}}}'.encode()).details == {Detail.ERROR: error}


@pytest.mark.parametrize("message", SESSIONS["written"] + SESSIONS["understood"], ids=name_of)
def test_a_session_is_understood_as_the_wire_says(message: dict[str, Any]) -> None:
    session = parse_session(message["payload"].encode())
    assert session is not None
    assert (session.active, session.basket_id) == (message["state"] == "active", message["id"])
    since = message["since"]
    assert session.since == (None if since is None else datetime.fromisoformat(since))


@pytest.mark.parametrize("payload", SESSIONS["cleared"])
def test_an_empty_session_withdraws_the_last(payload: str) -> None:
    assert parse_session(payload.encode()) is None


@pytest.mark.parametrize("payload", SESSIONS["refused"])
def test_what_the_wire_does_not_know_is_no_session(payload: str) -> None:
    with pytest.raises(MalformedMessageError):
        parse_session(payload.encode())


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_session_is_an_exception(payload: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        parse_session(payload)
