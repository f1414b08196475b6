"""Every message of a basket's wire, in every spelling that is out there."""

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.basket_messages import (
    END,
    START,
    BasketCommand,
    BasketUpdate,
    CommandKind,
    Detail,
    basket_id_of,
    encode_end,
    encode_start,
    encode_total,
    parse_availability,
    parse_command,
    parse_update,
    same_basket,
)
from custom_components.iot_data_bridge.devices.errors import MalformedMessageError

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


@pytest.mark.parametrize(
    "payload",
    [b'{"id":1,"list":{"MLON":2,"WTMN":1}}', b'{"ID":1,"List":{"MLON":"2","WTMN":1.0},"firmware":"3"}'],
)
def test_an_update_is_a_snapshot_of_products_and_counts(payload: bytes) -> None:
    assert parse_update(payload) == BasketUpdate(1, {"MLON": 2, "WTMN": 1}, {})


def test_an_empty_list_is_an_empty_basket() -> None:
    assert parse_update(b'{"id":"unit7","list":{}}') == BasketUpdate("unit7", {}, {})


def test_a_count_of_zero_is_no_product() -> None:
    assert parse_update(b'{"list":{"MLON":0}}').contents == {}


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


@pytest.mark.parametrize("payload", [b"start", b" START\n", b'{"msg":"start"}', b'{"MSG":"Start"}'])
def test_start_is_read_plain_and_as_json(payload: bytes) -> None:
    assert parse_command(payload) == START


@pytest.mark.parametrize("payload", [b"end", b"End", b'{"msg":"end"}', b'{"msg":"end","payload":null}'])
def test_end_is_read_plain_and_as_json(payload: bytes) -> None:
    assert parse_command(payload) == END


@pytest.mark.parametrize(
    "payload",
    [
        b'{"msg":"total","payload":{"basketid":1,"totalprice":15000}}',
        b'{"msg":"total","payload":{"basketId":1,"totalPrice":15000}}',
        b'{"Msg":"TOTAL","payload":{"BASKETID":1,"TOTALPRICE":"15000"}}',
    ],
)
def test_total_is_read_with_keys_in_any_case(payload: bytes) -> None:
    assert parse_command(payload) == BasketCommand(CommandKind.TOTAL, 1, Decimal(15000))


def test_a_total_with_fractions_is_read_exactly() -> None:
    assert parse_command(b'{"msg":"total","payload":{"totalprice":0.1}}').total_price == Decimal("0.1")


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


def test_commands_are_written_as_json_objects() -> None:
    assert encode_start() == '{"msg":"start"}'
    assert encode_end() == '{"msg":"end"}'


@pytest.mark.parametrize(
    ("basket_id", "price", "payload"),
    [
        (1, Decimal(15000), '{"msg":"total","payload":{"basketid":1,"totalprice":15000}}'),
        ("1", Decimal("1.5E+4"), '{"msg":"total","payload":{"basketid":"1","totalprice":15000}}'),
        (7, Decimal("12.30"), '{"msg":"total","payload":{"basketid":7,"totalprice":12.30}}'),
    ],
)
def test_a_total_is_written_in_lower_case_and_digit_for_digit(
    basket_id: int | str, price: Decimal, payload: str
) -> None:
    assert encode_total(basket_id, price) == payload


@given(st.integers(0, 10**12), st.integers(0, 3), st.integers(0, 10**9) | st.text(min_size=1, max_size=20))
def test_every_total_that_is_written_is_read_again(units: int, digits: int, basket_id: int | str) -> None:
    price = Decimal(units).scaleb(-digits)
    command = parse_command(encode_total(basket_id, price).encode())
    assert command == BasketCommand(CommandKind.TOTAL, basket_id, price)


@pytest.mark.parametrize(
    ("root", "basket_id"),
    [("basket/1", 1), ("basket/unit0001", 1), ("basket/store02/unit015", 15), ("basket/front", None)],
)
def test_a_root_ends_in_the_id(root: str, basket_id: int | None) -> None:
    assert basket_id_of(root) == basket_id


def test_ids_are_the_same_as_number_and_as_text() -> None:
    assert same_basket(1, "1")
    assert same_basket(None, 5)
    assert not same_basket(1, 2)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_payload_breaks_a_parser(payload: bytes) -> None:
    for parse in (parse_update, parse_command, parse_availability):
        with contextlib.suppress(MalformedMessageError):
            parse(payload)


def test_nesting_without_end_is_refused() -> None:
    assert refusal(b"[" * 100_000, parse_update) == "not_json"
    assert refusal(b'{"a":' * 100_000, parse_command) == "not_json"


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
