"""One wire, three readers: our controller, the integration, and a controller in the field."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices import basket_messages as integration
from custom_components.iot_data_bridge.devices.errors import MalformedMessageError
from mqtt_controller import commands as controller
from tests.wire.fielded_basket import Shows, StoppedError, obey
from tests.wire.files import name_of, payload_of, read_wire_file

WIRE = read_wire_file("basket_commands")

type Understood = tuple[str, Decimal | None, int | str | None]


def by_controller(payload: bytes) -> Understood | None:
    match controller.parse_command(payload):
        case controller.Start():
            return "start", None, None
        case controller.End():
            return "end", None, None
        case controller.Total(price, basket_id):
            return "total", price, basket_id
    return None


def by_integration(payload: bytes) -> Understood | None:
    try:
        command = integration.parse_command(payload)
    except MalformedMessageError:
        return None
    return command.kind.value, command.total_price, command.basket_id


def in_the_field(payload: bytes, basket_id: int | str) -> str | Shows | None:
    try:
        return obey(payload, basket_id)
    except StoppedError:
        return "stops"


@pytest.mark.parametrize("message", WIRE["understood"], ids=name_of)
def test_the_field_obeys_what_the_description_says_it_obeys(message: dict[str, Any]) -> None:
    done = in_the_field(payload_of(message), message.get("id", 1))
    if "fielded" in message:
        assert done == message["fielded"]
    elif message["command"] == "total":
        assert isinstance(done, Shows)
    else:
        assert done == message["command"]


@pytest.mark.parametrize("message", WIRE["refused"], ids=name_of)
def test_the_field_does_with_the_rest_what_the_description_says(message: dict[str, Any]) -> None:
    done = in_the_field(payload_of(message), 1)
    assert ("shows" if isinstance(done, Shows) else done) == message.get("fielded")


@pytest.mark.parametrize("case", WIRE["ids"], ids=str)
def test_the_field_shows_totals_for_the_ids_that_the_description_says(case: dict[str, Any]) -> None:
    named = {} if case["named"] is None else {"basketid": case["named"]}
    payload = json.dumps({"msg": "total", "payload": {**named, "totalprice": 5}}).encode()
    assert (in_the_field(payload, case["told"]) == Shows("5 원")) is case["shown"]


@pytest.mark.parametrize("message", WIRE["written"], ids=name_of)
def test_what_servers_write_is_obeyed_in_the_field(message: dict[str, Any]) -> None:
    done = in_the_field(payload_of(message), message.get("id") or 1)
    assert isinstance(done, Shows) if message["command"] == "total" else done == message["command"]


def test_the_limits_are_one() -> None:
    assert controller.LONGEST_COMMAND == integration.LONGEST_COMMAND == 16_384
    assert controller.LARGEST_TOTAL == integration.LARGEST_TOTAL == 99_999_999_999


PRICES = (
    st.integers(-5, 10**16)
    | st.floats()
    | st.integers(0, 10**12).map(str)
    | st.decimals(0, 10**12, places=2).map(float)
    | st.none()
    | st.booleans()
    | st.text(max_size=5)
    | st.text("0123456789.,-+eE_ ", max_size=14)
    | st.lists(st.integers(), max_size=2)
)
IDS = (
    st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from([1, "1", 1.0, "unit0001", "Unit0001", "", None, True, "x" * 65])
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CASES: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([str, str.lower, str.upper, str.title, str.swapcase])
WORDS = st.sampled_from(["start", "end", "total", "cancel", "", " start", "total\0"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Yield payloads around those of commands."""

    def spelled(key: str) -> str:
        change: Callable[[str], str] = draw(CASES)
        return change(key)

    payload: dict[str, object] = {}
    if draw(st.integers(0, 9)):
        payload[spelled("totalprice")] = draw(PRICES)
    if draw(st.booleans()):
        payload[spelled("basketid")] = draw(IDS)
    document: object = {
        spelled("msg"): spelled(draw(WORDS)) if draw(st.integers(0, 9)) else draw(ANYTHING),
        spelled("payload"): payload if draw(st.integers(0, 9)) else draw(ANYTHING),
        **draw(st.dictionaries(st.text(max_size=4), ANYTHING, max_size=1)),
    }
    text = draw(
        st.sampled_from(
            [json.dumps(document), json.dumps(document, ensure_ascii=False), json.dumps(document, indent=1)]
        )
    )
    around = st.sampled_from(["", "", "", " ", "\n", "\0", "\ufeff", "\u3000", "\x1f"])
    return f"{draw(around)}{text}{draw(around)}".encode("utf-8", "surrogatepass")


PLAIN = st.builds(
    lambda before, word, after: f"{before}{word}{after}".encode(),
    st.sampled_from(["", " ", "\0", "\ufeff", "\u3000", '"', "'"]),
    WORDS.flatmap(lambda word: CASES.map(lambda change: change(word))),
    st.sampled_from(["", "\r\n", "\0", "\x85", '"', "."]),
)
PAYLOADS = st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()) | PLAIN | messages()


@given(PAYLOADS)
def test_controller_and_integration_understand_the_same(payload: bytes) -> None:
    assert by_controller(payload) == by_integration(payload)


@given(messages() | PLAIN)
def test_what_is_understood_is_obeyed_in_the_field_but_for_digits_in_a_text(payload: bytes) -> None:
    understood = by_controller(payload)
    if understood is None:
        return
    command, price, basket_id = understood
    # The controller whose total it is, if it is for one.
    done = in_the_field(payload, basket_id if basket_id is not None else 1)
    if command != "total":
        assert done == command
    elif done == "stops":
        assert isinstance(json.loads(payload.decode().strip().lower())["payload"]["totalprice"], str)
    else:
        assert isinstance(done, Shows)
        shown = Decimal(done.line.removesuffix(" 원").replace(",", ""))
        assert price is not None
        assert abs(shown - price) <= Decimal("0.00005")


@given(messages() | PLAIN)
def test_what_the_field_obeys_is_understood_but_for_its_accidents(payload: bytes) -> None:
    done = in_the_field(payload, 1)
    if done in (None, "stops") or by_controller(payload) is not None:
        return
    # A total that is true, negative or too large, and an id that is true.
    assert isinstance(done, Shows)
    details = json.loads(payload.decode().strip().lower())["payload"]
    price = details["totalprice"]
    assert details.get("basketid") is True or price is True or price is False or not 0 <= price <= 99_999_999_999
