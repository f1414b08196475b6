"""What a basket understands on its command topic, and what it must survive there."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mqtt_controller.commands import LONGEST_COMMAND, End, Refused, Start, Total, parse_command, same_basket


@pytest.mark.parametrize(
    "payload",
    [
        b"start",
        b'{"msg":"start"}',
        b'{"MSG":"start"}',
        b'{"Msg": "START", "payload": {}}',
        b'{"msg":"start","payload":null,"unknown":[1,2]}',
        b" start\r\n",
        b"\xef\xbb\xbfstart",
        b"start\0",
        b'"start"',
    ],
)
def test_start(payload: bytes) -> None:
    assert parse_command(payload) == Start()


@pytest.mark.parametrize("payload", [b"end", b'{"msg":"end"}', b'{"mSG":"End"}', b"END\n"])
def test_end(payload: bytes) -> None:
    assert parse_command(payload) == End()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"msg":"total","payload":{"basketid":1,"totalprice":15000}}',
        b'{"msg":"total","payload":{"basketId":1,"totalPrice":15000}}',
        b'{"MSG":"total","PAYLOAD":{"BASKETID":1,"TOTALPRICE":15000}}',
        b'{"msg":"total","payload":{"basketid":"1","totalprice":"15000"}}',
        b'{"msg":"total","payload":{"basket_id":1.0,"total_price":15000.0}}',
        b'{"msg":"total","payload":{"basketid":1,"totalprice":"15,000"}}',
        b'{"msg":"total","basketid":1,"totalprice":15000}',
    ],
)
def test_total_in_every_spelling(payload: bytes) -> None:
    assert parse_command(payload) == Total(15000, "1")


def test_a_total_without_a_basket_id_is_for_the_basket_whose_topic_it_came_on() -> None:
    assert parse_command(b'{"msg":"total","payload":{"totalprice":0}}') == Total(0, None)


def test_half_a_won_is_rounded_up() -> None:
    assert parse_command(b'{"msg":"total","payload":{"totalprice":999.5}}') == Total(1000, None)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\0 \n", "empty"),
        (b"total", "total without totalprice"),
        (b'{"msg":"total","payload":{"basketid":1}}', "total without totalprice"),
        (b'{"msg":"total","payload":[1,15000]}', "total without totalprice"),
        (b'{"msg":"total","payload":{"totalprice":-1}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"totalprice":100000000000}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"totalprice":true}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"totalprice":"1e999999999"}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"totalprice":"NaN"}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"totalprice":null}}', "totalprice is not a number from 0 to 99999999999"),
        (b'{"msg":"total","payload":{"basketid":[],"totalprice":1}}', "basketid is neither a number nor a text"),
        (b"15000", "unknown command '15000'"),
        (b"stop", "unknown command 'stop'"),
        (b'{"msg":"cancel"}', "unknown command 'cancel'"),
        (b'{"msg":1}', "no text under the key msg"),
        (b"{}", "no text under the key msg"),
        (b"[]", "neither a text nor a JSON object"),
        (b'{"msg":"total","payload":{"totalprice":"dear"}}', "totalprice is not a number from 0 to 99999999999"),
        (b"\xff\xfe\x00start", "not UTF-8 text"),
        (b"x" * 1_048_576, f"1048576 bytes are longer than any command ({LONGEST_COMMAND})"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(payload: bytes, reason: str) -> None:
    assert parse_command(payload) == Refused(reason)


@pytest.mark.parametrize("payload", [b'{"msg":', b'{"msg":"total","payload":{"totalprice":NaN}}', b'{"a":' * 3000])
def test_broken_json_is_refused(payload: bytes) -> None:
    command = parse_command(payload)
    assert isinstance(command, Refused)
    assert command.reason.startswith("not JSON")


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    parse_command(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(msg=JSON, payload=JSON)
@example(msg="total", payload={"totalprice": 10**400})
@example(msg="total", payload={"totalprice": "９"})  # noqa: RUF001 -- a full-width digit is the point
@example(msg="total", payload={"totalprice": 5, "basketid": "²"})
def test_no_json_raises(msg: object, payload: object) -> None:
    parse_command(json.dumps({"msg": msg, "payload": payload}).encode())


@given(
    mutate=st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
    price=st.integers(0, 99_999_999_999),
    basket_id=st.integers(0, 10**9) | st.text("abcXYZ0123456789-", min_size=1, max_size=12),
    as_text=st.booleans(),
)
def test_a_total_survives_any_case_of_its_keys(
    mutate: Callable[[str], str], price: int, basket_id: int | str, as_text: bool
) -> None:
    document = {
        mutate("msg"): "total",
        mutate("payload"): {
            mutate("basketid"): basket_id,
            mutate("totalprice"): str(price) if as_text else price,
        },
    }
    assert parse_command(json.dumps(document).encode()) == Total(price, str(basket_id))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1", True),
        ("001", "1", True),
        ("0", "00", True),
        ("1", "2", False),
        ("unit0001", "unit0001", True),
        ("unit0001", "1", False),
        ("²", "2", False),
    ],
)
def test_ids_are_compared_as_numbers_where_they_are_numbers(one: str, other: str, same: bool) -> None:
    assert same_basket(one, other) is same
