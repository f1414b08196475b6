"""A basket filled by hand: keys of the terminal add and remove products.

In a terminal every key acts at once; where standard input is a pipe, or the system has no termios, the characters of
each line do.
"""

import contextlib
import string
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from mqtt_controller.readers.simulated import SimulatedBasket, SimulatedReader

# q leaves the program, so it adds nothing.
KEYS = string.ascii_lowercase.replace("q", "")


class InteractiveReader(SimulatedReader):
    """Sees what the person at the keyboard put in: a small letter adds a product, the capital one takes it out."""

    def __init__(
        self,
        products: tuple[str, ...],
        cycle_seconds: float,
        quit_program: Callable[[], None],
        stream: TextIO | None = None,
    ) -> None:
        super().__init__(SimulatedBasket(), cycle_seconds, name="interactive")
        self._products = dict(zip(KEYS, products, strict=False))
        self._quit_program = quit_program
        self._stream = stream or sys.stdin
        self._keyboard = contextlib.ExitStack()
        self._keyboard.enter_context(_keys_at_once(self._stream))
        self._say(self.help())
        # A read from a terminal cannot be interrupted: the thread ends with the program.
        threading.Thread(target=self._listen, name="keyboard", daemon=True).start()

    def help(self) -> str:
        """Return what each key does."""
        keys = "  ".join(f"{key}/{key.upper()} {code}" for key, code in self._products.items())
        return f"Small letter: product in. Capital letter: product out. 0: empty. ?: this help. q: quit.\n{keys}"

    def press(self, key: str) -> None:
        """Do what one key says."""
        if key == "q":
            self._quit_program()
        elif key == "?":
            self._say(self.help())
        elif key == "0":
            self.basket.clear()
            self._say("basket emptied")
        elif (code := self._products.get(key.lower())) is None:
            pass
        elif key.islower():
            self.basket.add(code)
            self._say(f"+ {code}")
        else:
            self._say(f"- {code}" if self.basket.remove(code) else f"no {code} in the basket")

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._keyboard.close()

    def _listen(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # the stream was closed under us: no more keys
            while character := self._stream.read(1):
                self.press(character)

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


@contextlib.contextmanager
def _keys_at_once(stream: TextIO) -> Iterator[None]:
    """Let a terminal pass each key without Enter and without echo; Ctrl-C still interrupts."""
    try:
        import termios  # noqa: PLC0415 -- POSIX only
        import tty  # noqa: PLC0415 -- POSIX only
    except ImportError:
        yield
        return
    try:
        descriptor = stream.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, termios.error):  # not a terminal
        yield
        return
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
