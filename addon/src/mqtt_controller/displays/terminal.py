"""The display of a basket that has none: a box in a terminal, or one line per change where a program reads."""

import sys
import unicodedata
from typing import TextIO

from mqtt_controller.displays import COLUMNS, DisplayError, Lines


def _padded(text: str) -> str:
    # Hangul takes two columns of a terminal, and one of the LCD.
    width = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
    return text + " " * (COLUMNS - width)


class TerminalDisplay:
    """Prints each change to `stream` (standard output unless given)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._boxed = self._stream.isatty()

    def show(self, lines: Lines) -> None:
        """Print both lines.

        Raises:
            DisplayError: nobody reads them any more.
        """
        if self._boxed:
            edge = "─" * COLUMNS
            self._print("\n".join([f"┌{edge}┐", *(f"│{_padded(line)}│" for line in lines), f"└{edge}┘"]))
        else:
            self._print(f"LCD {' / '.join(lines)}")

    def off(self) -> None:
        """Say that the display is dark.

        Raises:
            DisplayError: nobody reads it any more.
        """
        self._print("LCD off")

    def close(self) -> None:
        """Nothing to release."""

    def _print(self, text: str) -> None:
        # A terminal in an 8-bit or ASCII locale has no 원: the display must not end the program for that.
        encoding = self._stream.encoding or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except OSError as error:
            raise DisplayError(f"standard output: {error}") from error
