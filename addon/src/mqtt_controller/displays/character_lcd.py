"""The 16x2 character LCD (HD44780) behind an I2C port expander, driven by RPLCD."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mqtt_controller.displays import COLUMNS, ROWS, WON, DisplayError, Lines
from mqtt_controller.settings import LcdSettings

if TYPE_CHECKING:
    from RPLCD.i2c import CharLCD

# The HD44780 has no Hangul; its character memory takes a drawing of 5x8 dots.
WON_PLACE = 0
WON_DOTS = (
    0b01001,
    0b10101,
    0b01001,
    0b11111,
    0b01001,
    0b10000,
    0b10000,
    0b11111,
)


class CharacterLcd:
    """The display of a real basket.

    It is set up anew each time it lights up: an LCD that lost its power in between has lost its set-up too.

    Raises:
        DisplayError: RPLCD or smbus2 is not installed.
    """

    def __init__(self, settings: LcdSettings) -> None:
        try:
            self._rplcd = importlib.import_module("RPLCD.i2c")
        except ImportError as error:
            raise DisplayError("The I2C display needs RPLCD and smbus2: pip install 'iot-data-bridge[lcd]'") from error
        self._settings = settings
        self._lcd: CharLCD | None = None
        self._lit = False

    def show(self, lines: Lines) -> None:
        """Light up and show both lines, each padded to the display's width.

        Raises:
            DisplayError: the display did not take it.
        """
        with self._errors():
            lcd = self._connected(anew=not self._lit)
            for row, line in enumerate(lines):
                lcd.cursor_pos = (row, 0)
                lcd.write_string(line.replace(WON, chr(WON_PLACE)).ljust(COLUMNS)[:COLUMNS])
            lcd.display_enabled = True
            lcd.backlight_enabled = True
            self._lit = True

    def off(self) -> None:
        """Go blank and dark.

        Raises:
            DisplayError: the display did not take it.
        """
        with self._errors():
            lcd = self._connected(anew=False)
            lcd.clear()
            lcd.display_enabled = False
            lcd.backlight_enabled = False
            self._lit = False

    def close(self) -> None:
        """Release the bus."""
        lcd, self._lcd = self._lcd, None
        self._lit = False
        if lcd is not None:
            with contextlib.suppress(OSError):  # the bus may be gone
                lcd.bus.close()

    def _connected(self, *, anew: bool) -> "CharLCD":
        if anew:
            self.close()
        if self._lcd is None:
            # RPLCD would leave the bus open if nobody answered.
            with contextlib.closing(self._rplcd.SMBus(self._settings.bus)) as bus:
                bus.write_byte(self._settings.address, 0)
            self._lcd = self._rplcd.CharLCD(
                self._settings.expander,
                self._settings.address,
                port=self._settings.bus,
                cols=COLUMNS,
                rows=ROWS,
                charmap=self._settings.charmap,
                auto_linebreaks=False,
                backlight_enabled=False,
            )
            self._lcd.create_char(WON_PLACE, WON_DOTS)
        return self._lcd

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.close()
            raise DisplayError(
                f"the LCD at address {self._settings.address:#04x} of I2C bus {self._settings.bus}: {error}"
            ) from error
