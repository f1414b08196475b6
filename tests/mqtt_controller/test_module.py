"""The real reader code against an emulated reader on a pseudo-terminal."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqtt_controller.presence import Sighting
from mqtt_controller.readers import ReaderError
from mqtt_controller.readers.emulator import ReaderEmulator, main
from mqtt_controller.readers.frames import CommandCode, Frame, FrameParser, TagNotice, tag_crc, tag_notice
from mqtt_controller.readers.module import SerialReader
from tests.mqtt_controller.conftest import wait_for

CYCLE = 0.06
MELON = b"MLON" + bytes.fromhex("7E BB 00 7E 00 00 00 01")


@pytest.fixture
def emulator() -> Iterator[ReaderEmulator]:
    with ReaderEmulator(round_seconds=0.01) as emulator:
        yield emulator


@pytest.fixture
def reader(emulator: ReaderEmulator) -> Iterator[SerialReader]:
    reader = SerialReader(emulator.path, CYCLE, region="korea", power_dbm=26)
    reader.start()
    yield reader
    reader.close()


@pytest.mark.usefixtures("reader")
def test_the_reader_is_set_up_with_region_hopping_and_power(emulator: ReaderEmulator) -> None:
    assert [frame.encode().hex(" ").upper() for frame in emulator.received] == [
        "BB 00 28 00 00 28 7E",
        "BB 00 07 00 01 06 0E 7E",
        "BB 00 AD 00 01 FF AD 7E",
        "BB 00 B6 00 02 0A 28 EA 7E",
    ]
    assert (emulator.region, emulator.hopping, emulator.power) == (6, True, 2600)


def test_a_cycle_polls_many_and_stops(emulator: ReaderEmulator, reader: SerialReader) -> None:
    emulator.received.clear()
    reader.cycle()
    assert [frame.encode().hex(" ").upper() for frame in emulator.received] == [
        "BB 00 27 00 03 22 00 1E 6A 7E",
        "BB 00 28 00 00 28 7E",
    ]
    assert not emulator.polling


def test_tags_are_seen_with_their_strength(emulator: ReaderEmulator, reader: SerialReader) -> None:
    emulator.tags = {MELON: -55, b"WTMN" + bytes(8): -61}
    assert set(reader.cycle()) == {Sighting(MELON, -55), Sighting(b"WTMN" + bytes(8), -61)}


def test_an_empty_basket_is_seen_as_empty(reader: SerialReader) -> None:
    assert list(reader.cycle()) == []


def test_noise_on_the_line_costs_nothing(emulator: ReaderEmulator, reader: SerialReader) -> None:
    emulator.tags = {MELON: -55}
    emulator.send(b"\xbb\x02\x22\x00\x11\xc9garbage\xbb\xbb\x7e")
    assert set(reader.cycle()) == {Sighting(MELON, -55)}


def test_a_tag_that_answers_after_the_stop_was_sent_is_seen(emulator: ReaderEmulator) -> None:
    emulator.tags = {MELON: -55}
    reader = SerialReader(emulator.path, CYCLE)
    reader.start()
    # The line is as slow as a real one: everything the poll said is still on it when the cycle's time is over.
    reader._cycle_seconds = 0.0
    wait_for("the tag", lambda: set(reader.cycle()) == {Sighting(MELON, -55)})
    reader.close()


def test_a_silent_reader_is_an_error_not_an_empty_basket(emulator: ReaderEmulator, reader: SerialReader) -> None:
    emulator.silent = True
    with pytest.raises(ReaderError, match=r"no answer to STOP within 0\.5 s"):
        reader.cycle()


def test_an_unplugged_reader_is_an_error(emulator: ReaderEmulator, reader: SerialReader) -> None:
    emulator.unplug()
    with pytest.raises(ReaderError):
        reader.cycle()


def test_a_reader_that_was_plugged_in_again_works_after_a_new_start(
    emulator: ReaderEmulator, reader: SerialReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.unplug()
    with pytest.raises(ReaderError):
        reader.cycle()
    emulator.plug_in()
    emulator.tags = {MELON: -55}
    monkeypatch.setattr(reader, "_port", emulator.path)  # without udev the number of the device may change
    reader.start()
    assert set(reader.cycle()) == {Sighting(MELON, -55)}


def test_a_reader_left_polling_by_a_killed_program_is_stopped_first(emulator: ReaderEmulator) -> None:
    emulator.tags = {MELON: -55}
    emulator._rounds = 60_000
    reader = SerialReader(emulator.path, CYCLE)
    reader.start()
    assert not emulator.polling
    reader.close()


def test_a_refused_setting_names_it(emulator: ReaderEmulator) -> None:
    reader = SerialReader(emulator.path, CYCLE, power_dbm=40)
    with pytest.raises(ReaderError, match="refused POWER 0fa0: 17"):
        reader.start()


def test_a_missing_library_is_named_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ReaderError, match=r"iot-data-bridge\[serial\]"):
        SerialReader("/dev/ttyUSB0", CYCLE)


def test_the_transmitter_of_a_killed_program_goes_off_by_itself(
    emulator: ReaderEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = SerialReader(emulator.path, CYCLE)
    reader.start()
    monkeypatch.setattr(reader, "_read", lambda _seconds, _take: (_ for _ in ()).throw(ReaderError("killed")))
    with pytest.raises(ReaderError, match="killed"):
        reader.cycle()
    wait_for("the poll", lambda: emulator.received[-1].code == CommandCode.POLL_MANY)
    wait_for("silence", lambda: not emulator.polling)
    assert emulator.received[-1].code == CommandCode.POLL_MANY


def test_a_missing_port_is_named() -> None:
    with pytest.raises(ReaderError, match="/dev/no-such-port"):
        SerialReader("/dev/no-such-port", CYCLE).start()


def test_two_programs_cannot_share_a_reader(emulator: ReaderEmulator, reader: SerialReader) -> None:
    other = SerialReader(emulator.path, CYCLE)
    with pytest.raises(ReaderError, match="lock"):
        other.start()
    assert list(reader.cycle()) == []


def test_a_reader_that_was_not_started_says_so(emulator: ReaderEmulator) -> None:
    with pytest.raises(ReaderError, match="not open"):
        SerialReader(emulator.path, CYCLE).cycle()


RECORDED = bytes.fromhex("BB 02 22 00 11 C9 34 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70 3A 76 EF 7E")


def test_a_recorded_tag_passes_its_crc() -> None:
    assert tag_crc(0x3400, bytes.fromhex("30751FEB705C5904E3D50D70")) == 0x3A76
    notice = tag_notice(FrameParser().feed(RECORDED)[0])
    assert notice is not None
    assert notice.intact


@pytest.mark.parametrize("bit", range(16 * 8))
def test_a_tag_with_any_bit_turned_fails_its_crc(bit: int) -> None:
    notice = tag_notice(FrameParser().feed(RECORDED)[0])
    assert notice is not None
    # PC, EPC and CRC; the strength is the reader's own.
    answer = int.from_bytes(notice.frame().parameters[1:]) ^ 1 << bit
    turned = tag_notice(Frame(2, CommandCode.POLL_ONCE, notice.frame().parameters[:1] + answer.to_bytes(16)))
    assert turned is not None
    assert not turned.intact


def test_a_tag_that_fails_its_crc_is_not_counted(
    emulator: ReaderEmulator, reader: SerialReader, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.tags = {MELON: -55}
    wrong = TagNotice(-40, 0x3000, b"MILK" + bytes(8), tag_crc(0x3000, b"MILK" + bytes(8)) ^ 1)
    emulator.send(wrong.frame().encode())
    assert set(reader.cycle()) == {Sighting(MELON, -55)}
    assert "a tag's answer fails its CRC and is not counted" in caplog.text


def test_the_emulator_takes_no_place_but_its_own(tmp_path: Path) -> None:
    file, link = tmp_path / "diary", tmp_path / "link"
    file.write_text("precious")
    link.symlink_to(file)
    for taken in (file, link, tmp_path):
        with pytest.raises(FileExistsError, match="is no emulator's link"):
            ReaderEmulator(link=taken).plug_in()
    assert file.read_text() == "precious"
    assert link.readlink() == file


def test_the_emulator_replaces_the_link_of_one_that_was_killed(tmp_path: Path, emulator: ReaderEmulator) -> None:
    link = tmp_path / "reader"
    link.symlink_to(f"{emulator.path}999")
    with ReaderEmulator(link=link) as later:
        assert link.is_symlink()
        assert link.exists()
        # A file that came in its place stays.
        link.unlink()
        link.write_text("precious")
        later.unplug()
    assert link.read_text() == "precious"


@pytest.mark.parametrize("arguments", [("--link", "{file}", "MLON"), ("--link", "/nowhere/reader"), ("MELON",)])
def test_the_emulator_says_in_one_sentence_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    file = tmp_path / "diary"
    file.write_text("precious")
    assert main([argument.format(file=file) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("emulator: ")
    assert len(said.splitlines()) == 1
    assert file.read_text() == "precious"


class Line:
    """The emulator's other end, byte by byte."""

    def __init__(self, path: str) -> None:
        import serial  # noqa: PLC0415 -- only here

        self.port = serial.Serial(path, 115200, timeout=1)

    def ask(self, text: str, length: int) -> str:
        self.port.write(bytes.fromhex(text))
        return self.port.read(length).hex(" ").upper()


@pytest.mark.parametrize(
    ("command", "response"),
    [
        ("BB 00 07 00 01 06 0E 7E", "BB 01 07 00 01 00 09 7E"),
        ("BB 00 07 00 01 09 11 7E", "BB 01 FF 00 01 17 18 7E"),
        ("BB 00 AB 00 01 01 AD 7E", "BB 01 AB 00 01 00 AD 7E"),
        ("BB 00 AD 00 01 FF AD 7E", "BB 01 AD 00 01 00 AF 7E"),
        ("BB 00 B6 00 02 07 D0 8F 7E", "BB 01 B6 00 01 00 B8 7E"),
        ("BB 00 28 00 00 28 7E", "BB 01 28 00 01 00 2A 7E"),
        ("BB 00 22 00 00 22 7E", "BB 01 FF 00 01 15 16 7E"),
        ("BB 00 99 00 00 99 7E", "BB 01 FF 00 01 17 18 7E"),
    ],
)
def test_the_emulator_answers_byte_for_byte(emulator: ReaderEmulator, command: str, response: str) -> None:
    line = Line(emulator.path)
    assert line.ask(command, 8) == response
    line.port.close()


def test_the_emulator_polls_as_often_as_it_is_told(emulator: ReaderEmulator) -> None:
    emulator.tags = {bytes.fromhex("30751FEB705C5904E3D50D70"): -55}
    line = Line(emulator.path)
    notice = "BB 02 22 00 11 C9 30 00 30 75 1F EB 70 5C 59 04 E3 D5 0D 70"
    said = line.ask("BB 00 27 00 03 22 00 02 4E 7E", 48)
    assert said.startswith(notice)
    assert said[len(said) // 2 + 1 :].startswith(notice)
    line.port.timeout = 0.05
    assert line.port.read(1) == b""
    line.port.close()


def test_the_emulator_ignores_a_frame_with_a_wrong_checksum(emulator: ReaderEmulator) -> None:
    line = Line(emulator.path)
    assert line.ask("BB 00 28 00 00 29 7E BB 00 28 00 00 28 7E", 8) == "BB 01 28 00 01 00 2A 7E"
    assert emulator.received == [Frame(0, CommandCode.STOP)]
    line.port.close()


def test_a_line_that_nobody_read_for_long_does_not_stop_the_emulator(emulator: ReaderEmulator) -> None:
    for _ in range(2000):
        emulator.send(bytes(100))
    emulator.tags = {MELON: -55}
    reader = SerialReader(emulator.path, CYCLE)
    reader.start()
    assert set(reader.cycle()) == {Sighting(MELON, -55)}
    reader.close()
