"""What devices get that do not read the standard payload."""

from datetime import datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.casts import Value
from data_bridge.catalog.payload_templates import broken_json, check_payload, prepare_payload

texts = st.text(st.characters(exclude_categories=["Cs"]))
values: st.SearchStrategy[Value] = (
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
)


def filled(template: str, value: Value, trace_id: str = "t1") -> bytes:
    check_payload(template)
    return prepare_payload(template, 'VM "A"', "GPS.Latitude")(value, trace_id)


@pytest.mark.parametrize(
    ("template", "value", "payload"),
    [
        ("{value}", "ON", b"ON"),
        ("{value}", 21.5, b"21.5"),
        ("{value}", True, b"true"),
        ("POWER {value}", "ON", b"POWER ON"),
        ('{value};"{object}"', 'a "b"', b'a "b";"GPS.Latitude"'),
        ("<{device}>", 1, b'<VM "A">'),
        ('"{object} is {value}"', "ON", b'"GPS.Latitude is ON"'),
        ('{"v":{value}}', "ON", b'{"v":"ON"}'),
        ('{"v":{value}}', 'a "b"', b'{"v":"a \\"b\\""}'),
        ('{"v":{value},"text":"{object} is {value}"}', "ON", b'{"v":"ON","text":"GPS.Latitude is ON"}'),
        ('{"q\\"{value}":"{device}"}', "x", b'{"q\\"x":"VM \\"A\\""}'),
        ("[{value},{value}]", 5, b"[5,5]"),
        ('{"id":"{trace_id}"}', 5, b'{"id":"t1"}'),
        ("nothing", 5, b"nothing"),
    ],
)
def test_a_value_is_json_in_json_and_plain_text_elsewhere(template: str, value: Value, payload: bytes) -> None:
    assert filled(template, value) == payload


def test_a_timestamp_is_utc_in_iso_8601() -> None:
    told = datetime.fromisoformat(orjson.loads(filled('{"at":"{timestamp}"}', 1))["at"])
    assert told.utcoffset() is not None


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ('{"v":{value1}}', r"there is no {value1} \(did you mean 'value'\?\)"),
        ("{Value}", r"there is no {Value} \(did you mean 'value'\?\)"),
        ("{ value }", r"there is no { value } \(did you mean 'value'\?\)"),
        ("{time_stamp}", r"there is no {time_stamp} \(did you mean 'timestamp'\?\)"),
        ("{room}", r"there is no {room}; a payload may hold {device}, {object}, {value}, {timestamp}, {trace_id}"),
    ],
)
def test_a_misspelt_place_is_refused(template: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_payload(template)


@pytest.mark.parametrize("template", ['{"v":{value}', "[{value}", '{"v":{value},}', " [on] {value}"])
def test_what_begins_like_json_and_is_none_is_told(template: str) -> None:
    assert broken_json(template) is not None


@pytest.mark.parametrize("template", ['{"v":{value}}', "{value}", "[{value}]", "POWER {value}", "{object}={value}", ""])
def test_what_is_json_or_plain_text_is_fine(template: str) -> None:
    assert broken_json(template) is None


@given(values, texts)
def test_a_json_template_makes_json_of_any_value(value: Value, trace_id: str) -> None:
    payload = filled('{"v":{value},"text":"<{value}>","id":"{trace_id}"}', value, trace_id)
    read = orjson.loads(payload)
    assert (read["v"], read["id"]) == (value, trace_id)
    assert read["text"] == (f"<{value}>" if isinstance(value, str) else f"<{orjson.dumps(value).decode()}>")


@given(texts)
def test_a_plain_template_sends_a_text_as_it_is(value: str) -> None:
    assert filled("{value}", value) == value.encode()
