"""A value arrives as its rule promises: text byte for byte, numbers with every digit, and nothing is guessed."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_bridge.reasons import Reason
from tests.data_bridge.carried import Carried

# Written as JSON would not write them again.
NUMBERS_AS_WRITTEN = ["1.10", "1e3", "12345678901234567890", "18446744073709551616", "0.10000000000000000001", "-0"]


def of_rule(folder: Path, rule: str) -> Carried:
    """Return what carries messages by one rule to one device."""
    return Carried(folder, f"mappings:\n  - {{object: V, {rule}}}\n", "objects: {V: [A]}\n")


type Make = Callable[[str], Carried]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda rule: of_rule(tmp_path, rule)


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    "payload",
    [b"1.10", b"1e3", b"12345678901234567890", b"null", b"true", b" 1 ", b'{"a": 1.0}', b'"cut', b"\xef\xbb\xbfON"],
)
async def test_a_text_without_a_path_is_the_payload_byte_for_byte(make: Make, payload: bytes) -> None:
    carried = make("topic: in, value_type: text").topic(payload)
    assert carried.value == payload.decode()


@pytest.mark.parametrize(("payload", "text"), [(b'"ON"', "ON"), (b' "1.10" ', "1.10"), (b'"\\u00b0\\n"', "°\n")])
async def test_a_json_string_without_a_path_loses_its_quotes(make: Make, payload: bytes, text: str) -> None:
    assert make("topic: in, value_type: text").topic(payload).value == text


async def test_bytes_that_are_no_text_are_no_text(make: Make) -> None:
    assert make("topic: in, value_type: text").topic(b"\xff\xfe").reasons == {Reason.NOT_TEXT: 1}


@pytest.mark.parametrize("digits", NUMBERS_AS_WRITTEN)
async def test_a_text_with_a_path_keeps_a_numbers_digits(make: Make, digits: str) -> None:
    carried = make("topic: in, path: 'a[0].b', value_type: text")
    assert carried.topic(b'{"a": [{"b": %b}]}' % digits.encode()).value == digits


@pytest.mark.parametrize("digits", NUMBERS_AS_WRITTEN)
async def test_a_text_of_an_envelope_keeps_a_numbers_digits(make: Make, digits: str) -> None:
    carried = make("equip_tag: t, message_id: m, value_type: text")
    assert carried.envelope(digits.encode()).value == digits


@pytest.mark.parametrize("payload", [b'{"a":null}', b'{"a":[1]}', b'{"a":{}}'])
async def test_what_is_no_text_at_a_path_is_refused(make: Make, payload: bytes) -> None:
    carried = make("topic: in, path: a, value_type: text").topic(payload)
    assert set(carried.reasons) <= {Reason.NULL_VALUE, Reason.CAST_FAILED}
    assert carried.payloads == []


# ---------------------------------------------------------------- whole numbers


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("9007199254740993.0", 9007199254740993),
        ("9.223372036854775807e18", 2**63 - 1),
        ('"9223372036854775807"', 2**63 - 1),
        ('"9223372036854775807.0"', 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("12.0", 12),
        ("-0", 0),
    ],
)
async def test_an_integer_keeps_every_digit(make: Make, written: str, value: int) -> None:
    assert make("equip_tag: t, message_id: m, value_type: integer").envelope(written.encode()).value == value
    assert make("topic: in, path: a, value_type: integer").topic(b'{"a":%b}' % written.encode()).value == value
    assert make("topic: in, value_type: integer").topic(written.encode()).value == value


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("18446744073709551616", Reason.OUT_OF_RANGE),
        ("9223372036854775808", Reason.OUT_OF_RANGE),
        ("9223372036854775808.0", Reason.OUT_OF_RANGE),
        ("-9223372036854775809", Reason.OUT_OF_RANGE),
        ("1e300", Reason.OUT_OF_RANGE),
        ('"1e999999999"', Reason.OUT_OF_RANGE),
        ("9007199254740993.5", Reason.CAST_FAILED),
        ('"1e-999999999"', Reason.CAST_FAILED),
        ('"nan"', Reason.NOT_FINITE),
        ('"-Infinity"', Reason.NOT_FINITE),
    ],
)
async def test_an_integer_that_is_none_says_why(make: Make, written: str, reason: Reason) -> None:
    assert make("equip_tag: t, message_id: m, value_type: integer").envelope(written.encode()).reasons == {reason: 1}


async def test_a_failed_integer_is_called_no_integer(make: Make) -> None:
    carried = make("topic: in, value_type: integer").topic(b"warm")
    assert carried.details == ["V: 'warm' is no integer"]


# ---------------------------------------------------------------- scale and offset


@pytest.mark.parametrize(
    ("rule", "raw", "value"),
    [
        ("value_type: float, scale: 0.1", "17", b"1.7"),
        ("value_type: float, scale: 0.1", "21.55", b"2.155"),
        ("value_type: float, scale: 0.1", '"21.55"', b"2.155"),
        ("value_type: float, scale: 0.1, offset: -40", "615", b"21.5"),
        ("value_type: float, offset: 0.1", "0.2", b"0.3"),
        ("value_type: float, scale: 1e-7", "1e-7", b"1e-14"),
        ("value_type: float, scale: 3", "1e-320", b"3e-320"),
        ("value_type: float, scale: 1", "9007199254740993", b"9007199254740992.0"),
        ("value_type: integer, scale: 1", "4503599627370497", b"4503599627370497"),
        ("value_type: integer, scale: 1", "9223372036854775807", b"9223372036854775807"),
        ("value_type: integer, scale: 1", "9007199254740993.0", b"9007199254740993"),
        ("value_type: integer, scale: 10", "2.675", b"27"),
        ("value_type: integer, scale: 0.5", "3", b"2"),
        ("value_type: integer, scale: 0.5", "-3", b"-1"),
        ("value_type: integer, scale: 1, offset: 0.5", "9007199254740993", b"9007199254740994"),
    ],
)
async def test_scale_and_offset_reckon_in_decimals(make: Make, rule: str, raw: str, value: bytes) -> None:
    (payload,) = make(f"equip_tag: t, message_id: m, {rule}").envelope(raw.encode()).payloads
    assert payload == b'{"object":"V","value":%b}' % value


@pytest.mark.parametrize(
    ("rule", "raw", "reason"),
    [
        ("value_type: float, scale: 1e308", "1e10", Reason.NOT_FINITE),
        ("value_type: float, scale: 1e308", "10000000000", Reason.NOT_FINITE),
        ("value_type: float, scale: 2", '"1e999999999"', Reason.NOT_FINITE),
        ("value_type: integer, scale: 10", "9223372036854775807", Reason.OUT_OF_RANGE),
        ("value_type: integer, scale: 10", '"1e999999999"', Reason.OUT_OF_RANGE),
        ("value_type: integer, scale: 10", '"x"', Reason.CAST_FAILED),
        ("value_type: float, scale: 10", "true", Reason.CAST_FAILED),
        ("value_type: float, scale: 10", "null", Reason.NULL_VALUE),
    ],
)
async def test_what_cannot_be_scaled_says_why(make: Make, rule: str, raw: str, reason: Reason) -> None:
    assert make(f"equip_tag: t, message_id: m, {rule}").envelope(raw.encode()).reasons == {reason: 1}


# ---------------------------------------------------------------- enum maps


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("1.0", "1"),
        ("1.0", "1.0"),
        ("1.0", '"1"'),
        ("02", "2"),
        ("02", '"02"'),
        ("2", '"02"'),
        ("True", "true"),
        ("true", '"True"'),
        ("FALSE", "false"),
        ("1e3", "1000"),
        ("0.50", "0.5"),
        ("-0", "0"),
        ("18446744073709551617", "18446744073709551617"),
        ("ON", '"ON"'),
    ],
)
async def test_an_enum_key_is_read_as_its_value_is(make: Make, key: str, raw: str) -> None:
    rule = f"value_type: text, enum: {{{key}: found}}"
    assert make(f"equip_tag: t, message_id: m, {rule}").envelope(raw.encode()).value == "found"
    assert make(f"topic: in, path: a, {rule}").topic(b'{"a":%b}' % raw.encode()).value == "found"
    assert make(f"topic: in, {rule}").topic(raw.encode()).value == "found"


async def test_an_enum_map_tells_large_numbers_apart(make: Make) -> None:
    carried = make("topic: in, path: a, value_type: text, enum: {18446744073709551616: full}")
    assert carried.topic(b'{"a":18446744073709551617}').reasons == {Reason.UNKNOWN_OPTION: 1}


async def test_an_enum_map_reads_a_plain_payload(make: Make) -> None:
    assert make("topic: in, value_type: text, enum: {ON: yes}").topic(b"ON").value == "yes"


# ---------------------------------------------------------------- what is no JSON


@pytest.mark.parametrize(
    "payload",
    [b'{"a":NaN}', b"NaN", b'\xef\xbb\xbf{"a":1}', b'{"a":1}\0', b'{"a":1', b" ", b"\xff", b'{"a":1e999}', b"online"],
)
async def test_a_payload_that_is_no_json_is_not_said_to_lack_a_field(make: Make, payload: bytes) -> None:
    carried = make("topic: in, path: a, value_type: float").topic(payload)
    assert carried.reasons == {Reason.INVALID_JSON: 1}


async def test_json_without_the_field_lacks_it(make: Make) -> None:
    assert make("topic: in, path: a, value_type: float").topic(b'{"b":1}').reasons == {Reason.MISSING_FIELD: 1}


# ---------------------------------------------------------------- in and out again


def _out(carried: Carried) -> object:
    value = carried.value
    carried.forget()
    return value


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Carried]:
    by_name: dict[str, Carried] = {}
    for value_type in ("float", "integer", "text", "boolean"):
        for name, key in (
            ("envelope", "equip_tag: t, message_id: m"),
            ("path", "topic: in, path: a"),
            ("whole", "topic: in"),
        ):
            folder = tmp_path_factory.mktemp(f"{value_type}-{name}")
            by_name[f"{value_type} {name}"] = of_rule(folder, f"{key}, value_type: {value_type}")
    return by_name


def _everywhere(rules: dict[str, Carried], value_type: str, written: bytes) -> list[object]:
    rules[f"{value_type} envelope"].envelope(written)
    rules[f"{value_type} path"].topic(b'{"a":%b}' % written)
    rules[f"{value_type} whole"].topic(written)
    return [_out(rules[f"{value_type} {name}"]) for name in ("envelope", "path", "whole")]


@settings(max_examples=2500, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
async def test_every_float_goes_in_and_comes_out_the_same(rules: dict[str, Carried], value: float) -> None:
    assert _everywhere(rules, "float", orjson.dumps(value)) == [value] * 3


@settings(max_examples=2500, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["%d", '"%d"', "%d.0", "%de0"]))
async def test_every_integer_goes_in_and_comes_out_the_same(
    rules: dict[str, Carried], value: int, spelling: str
) -> None:
    assert _everywhere(rules, "integer", (spelling % value).encode()) == [value] * 3


@settings(max_examples=2500, deadline=None)
@example("1.10")
@example("null")
@given(st.text(st.characters(exclude_categories=["Cs"])))
async def test_every_text_goes_in_and_comes_out_the_same(rules: dict[str, Carried], text: str) -> None:
    assert _everywhere(rules, "text", orjson.dumps(text)) == [text] * 3


@settings(max_examples=2500, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False).map(str).filter(lambda text: abs(Decimal(text).adjusted()) < 300)
)
async def test_every_number_keeps_its_digits_as_text(rules: dict[str, Carried], digits: str) -> None:
    assert _everywhere(rules, "text", digits.encode()) == [digits] * 3


@given(st.booleans())
async def test_every_boolean_goes_in_and_comes_out_the_same(rules: dict[str, Carried], value: bool) -> None:
    assert _everywhere(rules, "boolean", orjson.dumps(value)) == [value] * 3


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64))
async def test_any_bytes_are_text_byte_for_byte_or_refused(rules: dict[str, Carried], payload: bytes) -> None:
    carried = rules["text whole"].topic(payload)
    for sent in carried.payloads:
        text: str = orjson.loads(sent)["value"]
        assert text.encode() == payload or payload.strip() == orjson.dumps(text) or payload.strip()[:1] == b'"'
    carried.forget()


@settings(max_examples=1000, deadline=None)
@given(st.integers(-(10**15), 10**15), st.integers(0, 6))
async def test_a_decimal_scale_only_moves_the_point(
    tmp_path_factory: pytest.TempPathFactory, number: int, places: int
) -> None:
    carried = _SCALED.get(places)
    if carried is None:
        scale = f"1e-{places}"
        carried = _SCALED[places] = of_rule(
            tmp_path_factory.mktemp("scaled"), f"topic: in, value_type: float, scale: {scale}"
        )
    carried.topic(b"%d" % number)
    assert _out(carried) == float(Decimal(number).scaleb(-places))


_SCALED: dict[int, Carried] = {}


# ---------------------------------------------------------------- what the original bridge guessed


@pytest.mark.parametrize(
    ("rule", "guessed"),
    [
        ("value_type: integer", "12.5"),
        ("value_type: integer", "true"),
        ("value_type: boolean", "2"),
        ("value_type: boolean", '"ALARM"'),
        ("value_type: text", "[1]"),
        ("value_type: text", '{"a":1}'),
    ],
)
async def test_what_the_original_guessed_is_refused(make: Make, rule: str, guessed: str) -> None:
    carried = make(f"equip_tag: t, message_id: m, {rule}").envelope(guessed.encode())
    assert carried.reasons == {Reason.CAST_FAILED: 1}


@pytest.mark.parametrize(
    ("rule", "raw", "value"),
    [
        ("value_type: integer, scale: 1", "12.5", 13),
        ("value_type: integer, enum: {true: 1, false: 0}", "true", 1),
        ("value_type: boolean, enum: {0: false, 1: true, 2: true}", "2", True),
        ("value_type: boolean, enum: {NORMAL: false, ALARM: true}", '"NORMAL"', False),
        ("value_type: boolean, enum: {NORMAL: false, ALARM: true}", '"ALARM"', True),
    ],
)
async def test_the_catalog_says_what_the_original_guessed(make: Make, rule: str, raw: str, value: object) -> None:
    assert make(f"equip_tag: t, message_id: m, {rule}").envelope(raw.encode()).value == value
