"""Where a message ends in a stream, however the stream is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from communicator.common.exception import ProtocolDecodeError, ProtocolValidationError
from communicator.protocols.stream.framing import (
    DelimiterFraming,
    FixedFraming,
    Framing,
    LengthFraming,
    RawFraming,
    framing_from,
)

FRAMINGS: list[Framing] = [
    DelimiterFraming(b"\r\n"),
    LengthFraming(1),
    LengthFraming(2, "little"),
    LengthFraming(4, counts_itself=True),
    FixedFraming(7),
]


def message_for(framing: Framing, raw: bytes) -> bytes:
    if isinstance(framing, FixedFraming):
        return raw[: framing.length].ljust(framing.length, b".")
    return raw.replace(b"\r", b"_").replace(b"\n", b"_")


@given(
    st.sampled_from(FRAMINGS), st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 17), min_size=1)
)
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    framing: Framing, raw: list[bytes], cuts: list[int]
) -> None:
    messages = [message_for(framing, part) for part in raw]
    wire = b"".join(framing.encode(message) for message in messages)
    received, found, position, turn = bytearray(), [], 0, 0
    while position < len(wire):
        size = cuts[turn % len(cuts)]
        received += wire[position : position + size]
        position += size
        turn += 1
        while (message := framing.decode(received)) is not None:
            found.append(message)
    assert found == messages
    assert not received


@given(st.sampled_from(FRAMINGS), st.binary(max_size=100))
def test_garbage_is_decoded_or_refused_and_never_anything_else(framing: Framing, garbage: bytes) -> None:
    received = bytearray(garbage)
    try:
        while framing.decode(received) is not None:
            pass
    except ProtocolDecodeError:
        return
    assert len(received) <= len(garbage)


def test_raw_framing_is_whatever_has_come() -> None:
    received = bytearray(b"abc")
    assert RawFraming().decode(received) == b"abc"
    assert RawFraming().decode(received) is None


def test_a_message_that_never_ends_is_refused() -> None:
    with pytest.raises(ProtocolDecodeError, match="more than 8 bytes"):
        DelimiterFraming(b"\n", maximum=8).decode(bytearray(b"123456789"))
    with pytest.raises(ProtocolDecodeError, match="more than 8 bytes"):
        LengthFraming(2, maximum=8).decode(bytearray(b"\x00\x09"))


@pytest.mark.parametrize(
    ("framing", "message"),
    [(DelimiterFraming(b";"), b"a;b"), (LengthFraming(1), b"x" * 256), (FixedFraming(3), b"four")],
)
def test_a_message_that_does_not_fit_is_refused(framing: Framing, message: bytes) -> None:
    with pytest.raises(ProtocolValidationError):
        framing.encode(message)


def test_settings_make_framings() -> None:
    assert framing_from({"kind": "delimiter", "delimiter": "\r\n"}) == DelimiterFraming(b"\r\n")
    assert framing_from({"kind": "length", "size": 4}) == LengthFraming(4)
    assert framing_from(None) == RawFraming()
    assert framing_from(FixedFraming(2)) == FixedFraming(2)


@pytest.mark.parametrize(
    "setting",
    [
        {"kind": "magic"},
        {},
        {"kind": "raw", "size": 1},
        {"kind": "delimiter", "delimiter": ""},
        {"kind": "length", "size": 3},
        {"kind": "length", "byteorder": "middle"},
        {"kind": "fixed", "length": 0},
    ],
)
def test_an_impossible_setting_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ProtocolValidationError):
        framing_from(setting)
