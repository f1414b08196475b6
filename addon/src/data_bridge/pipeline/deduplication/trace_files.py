"""Generations of identities on disk: one file each, which says in its name which it is and when it began."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from data_bridge.files import private

# seen-12-1732190000.txt: the twelfth, begun at that Unix time.
_NAME = re.compile(r"seen-(\d{1,18})-(\d{1,18})\.txt")


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier process left: both generations, and how many seconds ago the current one began."""

    current: set[str]
    previous: set[str]
    age: float


@dataclass(frozen=True, slots=True)
class _Generation:
    number: int
    began: int
    path: Path


class GenerationFiles:
    """Two files in a folder, the current generation's and the one's before.

    Their order is that of their numbers, for a clock may go back. One that began in the future is taken to begin now:
    it is rather kept too long than forgotten. All but `append` may wait for the disk and belongs on a thread.
    """

    def __init__(self, folder: Path, seconds: float, clock: Callable[[], float] = time.time) -> None:
        """Make it for generations that are forgotten so many seconds after they began, which are current for half."""
        self._folder = folder
        self._seconds = seconds
        self._clock = clock
        self._generations: list[_Generation] = []
        self._file: BinaryIO | None = None

    def load(self) -> Kept:
        """Read what is not too old, remove the rest, and open the current generation's file.

        Raises:
            OSError: the folder cannot be read or written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        found = sorted(self._found(), key=lambda each: each.number)
        kept = [each for each in found if self._age(each) < self._seconds][-2:]
        age = self._age(kept[-1]) if kept else 0.0
        if not kept or age >= self._seconds / 2:
            # The newest has had its time: it is the one before, and a new one begins.
            kept = [*kept[-1:], self._next(found)]
            age = 0.0
        current, previous = _read(kept[-1].path), _read(kept[0].path) if len(kept) > 1 else set()
        self._generations = kept
        self._file = _open(kept[-1].path)
        for each in found:
            if each not in kept:
                each.path.unlink(missing_ok=True)
        return Kept(current, previous, age)

    def prepare(self) -> tuple[_Generation, BinaryIO]:
        """Return the next generation with its file, open, for `turn`.

        Raises:
            OSError: it cannot be made.
        """
        following = self._next(self._generations)
        return following, _open(following.path)

    def turn(self, prepared: tuple[_Generation, BinaryIO]) -> Callable[[], None]:
        """Use the next generation from now on; return what closes and removes the old, which may wait for the disk."""
        following, file = prepared
        old, self._file = self._file, file
        self._generations.append(following)
        gone, self._generations = self._generations[:-2], self._generations[-2:]

        def clean_up() -> None:
            if old is not None:
                old.close()
            for each in gone:
                each.path.unlink(missing_ok=True)

        return clean_up

    def append(self, identities: list[str]) -> None:
        """Hand identities of the current generation to the operating system.

        Raises:
            OSError: the disk is full or gone.
            ValueError: an identity is no text that can be encoded.
        """
        if self._file is None:
            return
        data = ("\n".join(identities) + "\n").encode()
        if data.count(b"\n") != len(identities):
            # One that holds a line's end would be read as two others, whose messages would be lost as duplicates.
            data = "".join(f"{each}\n" for each in identities if "\n" not in each).encode()
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the current generation's file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _found(self) -> list[_Generation]:
        matches = [(each, _NAME.fullmatch(each.name)) for each in self._folder.iterdir()]
        return [_Generation(int(match[1]), int(match[2]), path) for path, match in matches if match is not None]

    def _next(self, generations: list[_Generation]) -> _Generation:
        number = generations[-1].number + 1 if generations else 1
        began = int(self._clock())
        return _Generation(number, began, self._folder / f"seen-{number}-{began}.txt")

    def _age(self, generation: _Generation) -> float:
        return max(0.0, self._clock() - generation.began)


def _open(path: Path) -> BinaryIO:
    # Unbuffered: what was written survives the process.
    return open(path, "ab", buffering=0, opener=private)


def _read(path: Path) -> set[str]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return set()
    # A process killed in the middle of a write leaves half an identity at the end.
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return set(whole.decode(errors="replace").split("\n")[:-1])
