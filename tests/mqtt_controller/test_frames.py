"""The readers' serial protocol, against the bytes of its manual and against noise."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_controller.readers.frames import Frame, FrameParser, FrameType, TagNotice, tag_notice

# From the modules' manual and from a recorded reader.
NOTICE = bytes.fromhex("BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E")
KNOWN = {
    "BB 00 22 00 00 22 7E": Frame(0, 0x22),
    "BB 00 27 00 03 22 27 10 83 7E": Frame(0, 0x27, bytes.fromhex("22 27 10")),
    "BB 00 28 00 00 28 7E": Frame(0, 0x28),
    "BB 01 28 00 01 00 2A 7E": Frame(1, 0x28, b"\0"),
    "BB 00 07 00 01 06 0E 7E": Frame(0, 0x07, b"\6"),
    "BB 00 B6 00 02 07 D0 8F 7E": Frame(0, 0xB6, bytes.fromhex("07 D0")),
    "BB 00 AD 00 01 FF AD 7E": Frame(0, 0xAD, b"\xff"),
    "BB 01 FF 00 01 15 16 7E": Frame(1, 0xFF, b"\x15"),
}


@pytest.mark.parametrize("text", KNOWN)
def test_known_frames_are_written_byte_for_byte(text: str) -> None:
    assert KNOWN[text].encode() == bytes.fromhex(text)


@pytest.mark.parametrize("text", KNOWN)
def test_known_frames_are_read(text: str) -> None:
    assert FrameParser().feed(bytes.fromhex(text)) == [KNOWN[text]]


def test_a_tag_notice_is_read() -> None:
    [frame] = FrameParser().feed(NOTICE)
    notice = tag_notice(frame)
    assert notice == TagNotice(-55, 0x3400, bytes.fromhex("30751FEB705C5904E3D50D70"), 0x3A76)
    assert notice.frame().encode() == NOTICE


@pytest.mark.parametrize(
    "frame", [Frame(1, 0x22, bytes(17)), Frame(2, 0x27, bytes(17)), Frame(2, 0x22, bytes(5)), Frame(2, 0x22)]
)
def test_other_frames_are_no_tag_notice(frame: Frame) -> None:
    assert tag_notice(frame) is None


def test_a_frame_ends_where_its_length_says_not_at_the_next_7e() -> None:
    notice = TagNotice(-55, 0x3000, b"MLON" + bytes.fromhex("7E BB 7E 00 BB 02 22 7E"), 0x7E7E).frame()
    assert FrameParser().feed(notice.encode() * 2) == [notice, notice]


def test_a_frame_within_a_frame_is_data() -> None:
    outer = Frame(FrameType.RESPONSE, 0x39, NOTICE)
    assert FrameParser().feed(outer.encode()) == [outer]


@pytest.mark.parametrize("position", range(1, len(NOTICE)))
def test_a_frame_with_one_wrong_byte_is_skipped_and_the_next_is_read(position: int) -> None:
    broken = bytearray(NOTICE)
    broken[position] ^= 0x10
    parser = FrameParser()
    good = parser.feed(bytes(broken) + NOTICE)
    assert [frame.encode() for frame in good + parser.flush()] == [NOTICE]


def test_a_beginning_that_claims_a_long_frame_delays_the_next_but_does_not_swallow_it() -> None:
    parser = FrameParser()
    assert parser.feed(bytes.fromhex("BB 02 22 01 00") + NOTICE) == []
    assert [frame.encode() for frame in parser.flush()] == [NOTICE]


def test_an_impossible_length_is_not_waited_for() -> None:
    assert [frame.encode() for frame in FrameParser().feed(bytes.fromhex("BB 02 22 FF FF") + NOTICE)] == [NOTICE]


def test_noise_does_not_pile_up() -> None:
    parser = FrameParser()
    for _ in range(100):
        parser.feed(bytes(range(0xBB)) * 50)
        parser.feed(bytes.fromhex("BB 02 22 01 00"))
    assert len(parser._buffer) <= 1024


FRAMES = st.builds(
    Frame, st.sampled_from(FrameType).map(int), st.integers(0, 255), st.binary(max_size=40) | st.just(b"\xbb\x7e" * 9)
)
NOISE = st.binary(max_size=30).map(lambda data: data.replace(b"\xbb", b""))


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(st.tuples(NOISE, FRAMES), max_size=6), NOISE, st.lists(st.integers(0, 400), max_size=10))
def test_frames_are_found_in_noise_however_the_bytes_are_cut(
    parts: list[tuple[bytes, Frame]], tail: bytes, cuts: list[int]
) -> None:
    stream = b"".join(noise + frame.encode() for noise, frame in parts) + tail
    parser = FrameParser()
    found = [frame for piece in in_pieces(stream, cuts) for frame in parser.feed(piece)]
    assert found == [frame for _, frame in parts]


@given(st.lists(st.binary(max_size=60) | st.just(NOTICE[:9]), max_size=8))
def test_no_bytes_raise_and_all_found_frames_were_in_them(pieces: list[bytes]) -> None:
    parser = FrameParser()
    found = [frame for piece in pieces for frame in parser.feed(piece)] + parser.flush()
    stream = b"".join(pieces)
    for frame in found:
        assert frame.encode() in stream


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_a_good_frame_is_found_after_any_noise(pieces: list[bytes]) -> None:
    parser = FrameParser()
    found = [frame for piece in [*pieces, NOTICE] for frame in parser.feed(piece)] + parser.flush()
    stream = b"".join(pieces) + NOTICE
    # Noise may by chance be a whole frame that reaches into the notice; then that frame is what came.
    assert found[-1].encode() == NOTICE or NOTICE not in stream[stream.index(found[-1].encode()) :]


@given(st.integers(-128, 127), st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=62), st.integers(0, 0xFFFF))
def test_notices_travel_unchanged(rssi: int, control: int, epc: bytes, crc: int) -> None:
    notice = TagNotice(rssi, control, epc, crc)
    [frame] = FrameParser().feed(notice.frame().encode())
    assert tag_notice(frame) == notice
