"""An HD44780 with 16x2 characters behind a PCF8574 on an I2C bus, fed with the bytes that a real one gets.

Sources: Hitachi's HD44780U data sheet (instructions, 4-bit mode, start-up), and the common backpack's wiring:
D7 D6 D5 D4 backlight enable read/write register-select.
"""

from typing import ClassVar

REGISTER_SELECT, ENABLE, BACKLIGHT = 0x01, 0x04, 0x08


class Hd44780:
    def __init__(self) -> None:
        self.power_on()

    def power_on(self) -> None:
        self.backlight = False
        self.display_on = False
        self.cells = bytearray(b"?" * 0x80)  # whatever it showed before
        self.dots = bytearray(64)
        self._address = 0
        self._in_dots = False
        self._port = 0
        self._four_bits = False
        self._high: int | None = None

    @property
    def lines(self) -> tuple[str, str]:
        upper, lower = (bytes(self.cells[row : row + 16]).decode("latin-1") for row in (0x00, 0x40))
        return upper, lower

    def write(self, value: int) -> None:
        self.backlight = bool(value & BACKLIGHT)
        if self._port & ENABLE and not value & ENABLE:
            self._nibble(value >> 4, data=bool(value & REGISTER_SELECT))
        self._port = value

    def _nibble(self, nibble: int, *, data: bool) -> None:
        if not self._four_bits:
            # Eight-bit mode with four wires: every pulse is an instruction whose low half is 0.
            self._instruction(nibble << 4)
        elif self._high is None:
            self._high = nibble
        else:
            value, self._high = self._high << 4 | nibble, None
            if data:
                self._data(value)
            else:
                self._instruction(value)

    def _data(self, value: int) -> None:
        if self._in_dots:
            self.dots[self._address % 64] = value
            self._address += 1
        else:
            self.cells[self._address % 0x80] = value
            self._address += 1

    def _instruction(self, value: int) -> None:
        if value & 0x80:
            self._address, self._in_dots = value & 0x7F, False
        elif value & 0x40:
            self._address, self._in_dots = value & 0x3F, True
        elif value & 0x20:
            self._four_bits = not value & 0x10
        elif value & 0x10:
            raise AssertionError("nobody shifts this display")
        elif value & 0x08:
            self.display_on = bool(value & 0x04)
        elif value & 0x04:
            assert value & 0x03 == 0x02, "left to right, without shifting"
        elif value & 0x02:
            self._address, self._in_dots = 0, False
        elif value & 0x01:
            self.cells[:] = b" " * 0x80
            self._address, self._in_dots = 0, False


class Bus:
    """What RPLCD takes for the operating system's I2C bus; `devices` are by address."""

    devices: ClassVar[dict[int, Hd44780]] = {}
    open_buses: ClassVar[int] = 0

    def __init__(self, number: int) -> None:
        if number != 1:
            raise FileNotFoundError(2, "No such file or directory", f"/dev/i2c-{number}")
        Bus.open_buses += 1

    def write_byte(self, address: int, value: int) -> None:
        if address not in Bus.devices:
            raise OSError(121, "Remote I/O error")
        Bus.devices[address].write(value)

    def close(self) -> None:
        Bus.open_buses -= 1
