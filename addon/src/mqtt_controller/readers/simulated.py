"""Readers without hardware: a basket in memory that a script, a random shopper or a person fills."""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mqtt_controller.presence import PRODUCT_CODE_LENGTH, Sighting, product_code, tag_code

EPC_LENGTH = 12
SIMULATED_RSSI = -45
MOST_OF_ONE_PRODUCT = 1000


class ScriptError(ValueError):
    """A script that cannot be run, with its line number."""


class SimulatedBasket:
    """Products in memory, each with its own tag; safe to be filled from another thread than the poller's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: list[bytes] = []
        self._serial_number = 0

    def add(self, code: str, count: int = 1) -> None:
        """Put `count` products in, each with a tag of its own.

        Raises:
            ValueError: no tag can carry the code.
        """
        beginning = tag_code(code)
        with self._lock:
            for _ in range(count):
                self._serial_number += 1
                serial = self._serial_number.to_bytes(EPC_LENGTH - PRODUCT_CODE_LENGTH, "big")
                self._tags.append(beginning + serial)

    def remove(self, code: str, count: int = 1) -> int:
        """Take at most `count` products out; return how many there were."""
        with self._lock:
            taken = [tag for tag in self._tags if product_code(tag) == code][-count:] if count > 0 else []
            self._tags = [tag for tag in self._tags if tag not in taken]
            return len(taken)

    def clear(self) -> None:
        """Take everything out."""
        with self._lock:
            self._tags.clear()

    def tags(self) -> tuple[bytes, ...]:
        """Return the EPCs of all products inside."""
        with self._lock:
            return tuple(self._tags)

    def codes(self) -> tuple[str, ...]:
        """Return the product code of every product inside, one for each."""
        return tuple(code for tag in self.tags() if (code := product_code(tag)) is not None)


class SimulatedReader:
    """Sees everything in `basket`, once a cycle of `cycle_seconds`."""

    def __init__(self, basket: SimulatedBasket, cycle_seconds: float, *, name: str = "simulated") -> None:
        self.basket = basket
        self._cycle_seconds = cycle_seconds
        self._name = name
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """Return the name of the simulation."""
        return self._name

    def start(self) -> None:
        """Begin to see."""
        self._stopped.clear()

    def cycle(self) -> Collection[Sighting]:
        """Wait for one cycle and see all tags."""
        self._stopped.wait(self._cycle_seconds)
        return [Sighting(epc, SIMULATED_RSSI) for epc in self.basket.tags()]

    def stop(self) -> None:
        """See nothing more."""
        self._stopped.set()

    def close(self) -> None:
        """Nothing to release."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens to a simulated basket."""

    action: Literal["add", "remove", "clear"]
    code: str = ""
    count: int = 1

    def apply(self, basket: SimulatedBasket) -> None:
        """Make it happen."""
        match self.action:
            case "add":
                basket.add(self.code, self.count)
            case "remove":
                basket.remove(self.code, self.count)
            case "clear":
                basket.clear()


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One line of a script: a change, so many seconds after the session's start."""

    seconds: float
    change: Change


def parse_change(words: Sequence[str]) -> Change:
    """Read `add|remove CODE [COUNT]` or `clear`.

    Raises:
        ScriptError: it is neither.
    """
    match words:
        case ["clear"]:
            return Change("clear")
        case [("add" | "remove") as action, code, *rest] if len(rest) <= 1:
            try:
                tag_code(code)
            except ValueError as error:
                raise ScriptError(str(error)) from error
            count = rest[0] if rest else "1"
            if not count.isdecimal() or not 1 <= int(count) <= MOST_OF_ONE_PRODUCT:
                raise ScriptError(f"{count!r} is not a count from 1 to {MOST_OF_ONE_PRODUCT}")
            return Change("add" if action == "add" else "remove", code, int(count))
    raise ScriptError(f"cannot read {' '.join(words)!r}; expected: add|remove CODE [COUNT], or clear")


def parse_script(text: str) -> tuple[ScriptStep, ...]:
    """Read a script: one step a line, the seconds and then the change; # begins a comment.

    Raises:
        ScriptError: a line is none of these; the text has its number.
    """
    steps: list[ScriptStep] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            steps.append(ScriptStep(_seconds(words[0]), parse_change(words[1:])))
        except ScriptError as error:
            raise ScriptError(f"line {number}: {error}") from error
    return tuple(sorted(steps, key=lambda step: step.seconds))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ScriptError(f"{text!r} is not a time in seconds from the session's start")
    return seconds


def read_script(path: Path) -> tuple[ScriptStep, ...]:
    """Read a script from a file; the errors name the file.

    Raises:
        ScriptError: the file cannot be read, or a line of it is wrong.
    """
    try:
        return parse_script(path.read_text(encoding="utf-8"))
    except (OSError, ScriptError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: {error}") from error


class ScriptedReader(SimulatedReader):
    """Runs its script from the beginning, on an empty basket, at every session's start."""

    def __init__(
        self, steps: Iterable[ScriptStep], cycle_seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(SimulatedBasket(), cycle_seconds, name="script")
        self._steps = tuple(steps)
        self._clock = clock
        self._next = 0
        self._started_at = 0.0

    def start(self) -> None:
        """Empty the basket and begin the script."""
        super().start()
        self.basket.clear()
        self._next = 0
        self._started_at = self._clock()

    def cycle(self) -> Collection[Sighting]:
        """Wait for one cycle, take every step that is due, and see all tags."""
        self._stopped.wait(self._cycle_seconds)
        elapsed = self._clock() - self._started_at
        while self._next < len(self._steps) and self._steps[self._next].seconds <= elapsed:
            self._steps[self._next].change.apply(self.basket)
            self._next += 1
        return [Sighting(epc, SIMULATED_RSSI) for epc in self.basket.tags()]


class RandomShopper(SimulatedReader):
    """Puts products in, and now and then one back, about every `mean_seconds`; a seed makes it repeatable.

    What it does depends on the number of cycles, not on the clock, so that one seed gives one shopping list.
    """

    MOST_ITEMS = 30

    def __init__(
        self, products: Iterable[str], cycle_seconds: float, *, mean_seconds: float = 3.0, seed: int | None = None
    ) -> None:
        super().__init__(SimulatedBasket(), cycle_seconds, name="random")
        self._products = tuple(products)
        self._chance = min(1.0, cycle_seconds / mean_seconds)
        self._random = random.Random(seed)  # noqa: S311 -- a shopper, not a secret

    def start(self) -> None:
        """Take an empty basket."""
        super().start()
        self.basket.clear()

    def cycle(self) -> Collection[Sighting]:
        """Perhaps add or remove one product, and see all tags."""
        if self._random.random() < self._chance:
            inside = self.basket.codes()
            # The fuller the basket, the more often something goes back: it fills to about half of the most.
            if inside and self._random.random() < len(inside) / self.MOST_ITEMS:
                self.basket.remove(self._random.choice(inside))
            else:
                self.basket.add(self._random.choice(self._products))
        return super().cycle()
