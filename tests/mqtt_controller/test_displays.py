"""What a customer reads: in a terminal, and on an LCD whose controller is emulated down to the I2C bytes."""

import importlib
import io
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_controller.displays import COLUMNS, MOST_DECIMALS, DisplayError, PriceFormat, total_lines
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


@pytest.mark.parametrize(
    ("total", "currency", "decimals", "amount"),
    [
        ("21.99", "EUR", 2, "21.99 EUR"),
        ("22", "EUR", 2, "22.00 EUR"),
        ("21.9000", "EUR", 2, "21.90 EUR"),
        ("1234567.5", "EUR", 2, "1,234,567.50 EUR"),
        ("12345", "JPY", 0, "12,345 JPY"),
        ("1.5", "KWD", 3, "1.500 KWD"),
        # Too long for the display with everything: the amount stays.
        ("12345678.5", "EUR", 2, "12345678.50 EUR"),
        ("123456789012.5", "EUR", 2, "123456789012.50"),
        ("1234567890.5", "EUR", 2, "1,234,567,890.50"),
        ("99999999999.99", "EUR", 2, "99999999999.99"),
        ("99999999999.9999", "CLF", 4, "99999999999.9999"),
        # Another currency's amounts on a display of whole won are not rounded to them.
        ("21.99", "원", 0, "21.99 원"),
        ("999.5", "원", 0, "999.5 원"),
        ("0.125", "EUR", 2, "0.125 EUR"),
    ],
)
def test_an_amount_is_shown_in_full(total: str, currency: str, decimals: int, amount: str) -> None:
    assert total_lines(Decimal(total), PriceFormat(currency, decimals))[1] == amount


@given(
    st.decimals(0, 99_999_999_999, places=4),
    st.sampled_from(["원", "EUR", "kr.", "US$", "KRW"]),
    st.integers(0, MOST_DECIMALS),
)
def test_every_amount_fits_and_loses_no_digit(total: Decimal, currency: str, decimals: int) -> None:
    amount = PriceFormat(currency, decimals).amount(total)
    assert len(amount) <= COLUMNS
    assert Decimal(amount.removesuffix(currency).replace(",", "")) == total


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


def test_the_lcd_shows_another_currency(lcd: Hd44780, display: CharacterLcd) -> None:
    display.show(total_lines(Decimal("21.99"), PriceFormat("EUR", 2)))
    assert lcd.lines == ("Total Price:    ", "21.99 EUR       ")


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
