"""What a customer reads: in a terminal, and on an LCD whose controller is emulated down to the I2C bytes."""

import importlib
import io
from collections.abc import Iterator

import pytest

from mqtt_controller.displays import DisplayError, total_lines
from mqtt_controller.displays.character_lcd import WON_DOTS, CharacterLcd
from mqtt_controller.displays.terminal import TerminalDisplay
from mqtt_controller.settings import LcdSettings
from tests.mqtt_controller.hd44780 import Bus, Hd44780


@pytest.mark.parametrize(
    ("total", "second_line"), [(0, "0 원"), (12345, "12,345 원"), (99_999_999_999, "99,999,999,999 원")]
)
def test_the_total_is_shown_as_in_the_field(total: int, second_line: str) -> None:
    assert total_lines(total) == ("Total Price:", second_line)
    assert len(second_line) <= 16


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_program_reads_one_line_for_each_change() -> None:
    stream = io.StringIO()
    display = TerminalDisplay(stream)
    display.show(total_lines(12345))
    display.off()
    assert stream.getvalue() == "LCD Total Price: / 12,345 원\nLCD off\n"


def test_a_person_sees_a_box_whose_sides_are_straight_though_hangul_is_wide() -> None:
    stream = Terminal()
    TerminalDisplay(stream).show(total_lines(12345))
    assert stream.getvalue().splitlines() == [
        "┌────────────────┐",
        "│Total Price:    │",
        "│12,345 원       │",
        "└────────────────┘",
    ]


def test_a_terminal_without_hangul_does_not_end_the_program() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    TerminalDisplay(stream).show(total_lines(12345))
    assert raw.getvalue() == b"LCD Total Price: / 12,345 ?\n"


class BrokenPipe(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def test_a_closed_pipe_is_a_display_that_does_not_work() -> None:
    with pytest.raises(DisplayError, match=r"standard output: .*Broken pipe"):
        TerminalDisplay(BrokenPipe()).off()


@pytest.fixture
def lcd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hd44780]:
    monkeypatch.setattr(importlib.import_module("RPLCD.i2c"), "SMBus", Bus)
    monkeypatch.setattr(Bus, "devices", {0x27: Hd44780()})
    monkeypatch.setattr(Bus, "open_buses", 0)
    yield Bus.devices[0x27]
    assert Bus.open_buses == 0


@pytest.fixture
def display(lcd: Hd44780) -> Iterator[CharacterLcd]:
    del lcd
    display = CharacterLcd(LcdSettings())
    yield display
    display.close()


def test_the_lcd_shows_the_total_with_a_drawn_won(lcd: Hd44780, display: CharacterLcd) -> None:
    display.show(total_lines(12345))
    assert lcd.lines == ("Total Price:    ", "12,345 \0        ")
    assert bytes(lcd.dots[:8]) == bytes(WON_DOTS)
    assert lcd.display_on
    assert lcd.backlight


def test_a_shorter_total_leaves_nothing_of_the_longer_one(lcd: Hd44780, display: CharacterLcd) -> None:
    display.show(total_lines(99_999_999_999))
    assert lcd.lines[1] == "99,999,999,999 \0"
    display.show(total_lines(0))
    assert lcd.lines == ("Total Price:    ", "0 \0             ")


def test_off_is_blank_and_dark(lcd: Hd44780, display: CharacterLcd) -> None:
    display.show(total_lines(12345))
    display.off()
    assert lcd.lines == (" " * 16, " " * 16)
    assert not lcd.display_on
    assert not lcd.backlight


def test_what_a_killed_program_left_on_the_lcd_is_wiped(lcd: Hd44780, display: CharacterLcd) -> None:
    assert lcd.lines[0] == "?" * 16
    display.off()
    assert lcd.lines[0] == " " * 16
    assert not lcd.backlight


def test_an_lcd_that_lost_its_power_between_two_sessions_is_set_up_anew(lcd: Hd44780, display: CharacterLcd) -> None:
    display.show(total_lines(1))
    display.off()
    lcd.power_on()
    display.show(total_lines(0))
    assert lcd.lines == ("Total Price:    ", "0 \0             ")
    assert bytes(lcd.dots[:8]) == bytes(WON_DOTS)


def test_an_lcd_that_is_not_there_is_named_and_works_when_it_is_back(
    lcd: Hd44780, display: CharacterLcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Bus, "devices", {})
        with pytest.raises(DisplayError, match=r"the LCD at address 0x27 of I2C bus 1: .*Remote I/O error"):
            display.show(total_lines(1))
    display.show(total_lines(2))
    assert lcd.lines[1].startswith("2 ")


def test_a_missing_bus_is_named(lcd: Hd44780) -> None:
    del lcd
    with pytest.raises(DisplayError, match=r"I2C bus 3: .*No such file"):
        CharacterLcd(LcdSettings(bus=3)).off()


def test_missing_libraries_are_named_with_the_extra_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "RPLCD.i2c", None)
    with pytest.raises(DisplayError, match=r"iot-data-bridge\[lcd\]"):
        CharacterLcd(LcdSettings())
