"""What a basket understands on its command topic, and what it must survive there."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mqtt_controller.commands import LONGEST_COMMAND, End, Refused, Start, Total, parse_command
from tests.wire.files import name_of, payload_of, read_wire_file

WIRE = read_wire_file("basket_commands")


@pytest.mark.parametrize("message", WIRE["understood"], ids=name_of)
def test_a_command_is_understood_as_the_wire_says(message: dict[str, Any]) -> None:
    command = parse_command(payload_of(message))
    match message["command"]:
        case "start":
            assert command == Start()
        case "end":
            assert command == End()
        case _:
            assert command == Total(Decimal(message["price"]), message.get("id"))
            assert isinstance(command, Total)
            assert type(command.basket_id) is type(message.get("id"))


@pytest.mark.parametrize("message", WIRE["refused"], ids=name_of)
def test_every_other_message_is_refused(message: dict[str, Any]) -> None:
    assert isinstance(parse_command(payload_of(message)), Refused)


@pytest.mark.parametrize("message", WIRE["written"], ids=name_of)
def test_what_servers_write_is_understood(message: dict[str, Any]) -> None:
    command = parse_command(payload_of(message))
    if message["command"] == "total":
        basket_id = message["id"] if isinstance(message["id"], int) else None
        assert command == Total(Decimal(message["price"]), basket_id)
    else:
        assert command == (Start() if message["command"] == "start" else End())


PRICE = "totalprice is not a number from 0 to 99999999999"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "neither start, end nor JSON: ''"),
        (b"stop", "neither start, end nor JSON: 'stop'"),
        (b"x" * 50, f"neither start, end nor JSON: {'x' * 40!r}"),
        (b'{"msg":', "neither start, end nor JSON: '{\"msg\":'"),
        (b"\xff\xfe\x00start", "not UTF-8 text"),
        (b"15000", "no JSON object"),
        (b'"start"', "no JSON object"),
        (b"{}", "no text under the key msg"),
        (b'{"msg":1}', "no text under the key msg"),
        (b'{"msg":"cancel"}', "unknown command 'cancel'"),
        (b'{"msg":"total","totalprice":5}', "total without totalprice in its payload"),
        (b'{"msg":"total","payload":{"totalprice":"dear"}}', PRICE),
        (b'{"msg":"total","payload":{"totalprice":100000000000}}', PRICE),
        (b'{"msg":"total","payload":{"basketid":[],"totalprice":1}}', "basketid is neither a whole number nor a text"),
        (b"x" * 1_048_576, f"1048576 bytes are longer than any command ({LONGEST_COMMAND})"),
    ],
)
def test_what_is_no_command_is_refused_with_the_reason(payload: bytes, reason: str) -> None:
    assert parse_command(payload) == Refused(reason)


def test_nesting_without_end_is_refused() -> None:
    assert isinstance(parse_command(b'{"a":' * 3000), Refused)


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
    basket_id=st.integers(0, 10**9) | st.text("abcxyz0123456789-", min_size=1, max_size=12),
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
    assert parse_command(json.dumps(document).encode()) == Total(Decimal(price), basket_id)
