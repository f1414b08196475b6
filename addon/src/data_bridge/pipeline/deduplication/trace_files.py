"""Generations of identities on disk: one file each, with number and time of its beginning in the name.

A file beside them has the same times by the uptime of the machine: a machine without a battery-backed clock starts
with a wrong time and corrects it later, which would make identities of a minute ago appear days old.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from data_bridge.damaged_files import DamagedFile, DamagedFileError, read_json, reason_of, unreadable
from data_bridge.files import make_private_folder, private, write_atomically
from data_bridge.pipeline.deduplication.boot_clock import BootTime, boot_time

# seen-12-1732190000.txt: the twelfth, begun at that Unix time.
_NAME = re.compile(r"seen-(\d{1,18})-(\d{1,18})\.txt")
# {"boot": "…", "began": {"12": 345.6}}: the seconds between that start of the machine and the twelfth's beginning.
_CLOCK_FILE = "clock.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """Content of an earlier process: both generations, and the age of the current one in seconds.

    `cut` are files whose last line ended early.
    """

    current: set[str]
    previous: set[str]
    age: float
    cut: tuple[DamagedFile, ...]


@dataclass(frozen=True, slots=True)
class _Generation:
    number: int
    began: int
    path: Path


class GenerationFiles:
    """Two files in a folder, the current generation's and the one's before.

    Their order is the order of their numbers, since a clock may be set back. Their age is counted by the uptime of the
    machine; generations from before a reboot begin anew, since the length of the reboot is unknown: identities are kept
    too long rather than too short. All but `append` may wait for the disk and belongs on a thread.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        wall_clock: Callable[[], float] = time.time,
        now: Callable[[], BootTime] = boot_time,
    ) -> None:
        """A generation is current for half of `seconds`, and is deleted after `seconds`.

        `wall_clock` is used where there is no clock since the machine's start: in a folder of an earlier version, and
        on systems that have none that two processes share.
        """
        self._folder = folder
        self._seconds = seconds
        self._wall_clock = wall_clock
        self._now = now
        self._began: dict[int, BootTime] = {}
        self._generations: list[_Generation] = []
        self._file: BinaryIO | None = None

    def load(self) -> Kept:
        """Read the valid generations, remove older ones, and open the file of the current one.

        Raises:
            DamagedFileError: a file, or the folder, cannot be used.
            OSError: the folder cannot be written to.
        """
        found = sorted(self._found(), key=lambda each: each.number)
        self._read_clock()
        kept, age = self._young(found)
        self._note_ages({each: self._age(each) for each in kept[:-1]} | {kept[-1]: age})
        contents = [_read(each.path) for each in kept]
        self._generations = kept
        self._file = _open(kept[-1].path)
        _remove(each for each in found if each not in kept)
        previous = contents[0].identities if len(contents) > 1 else set()
        cut = tuple(each.cut for each in contents if each.cut is not None)
        return Kept(contents[-1].identities, previous, age, cut)

    def prepare(self) -> tuple[_Generation, BinaryIO]:
        """Return the next generation with its open file, for `rotate`.

        Raises:
            OSError: it cannot be made.
        """
        following = self._next(self._generations)
        file = _open(following.path)
        try:
            self._note_ages({each: self._age(each) for each in self._generations[-1:]} | {following: 0.0})
        except OSError:
            file.close()
            raise
        return following, file

    def rotate(self, prepared: tuple[_Generation, BinaryIO]) -> Callable[[], None]:
        """Use the next generation from now on; return a function, for a thread, that closes and removes the old one."""
        following, file = prepared
        old, self._file = self._file, file
        self._generations.append(following)
        gone, self._generations = self._generations[:-2], self._generations[-2:]

        def clean_up() -> None:
            if old is not None:
                old.close()
            _remove(gone)

        return clean_up

    def append(self, identities: list[str]) -> None:
        """Hand identities of the current generation to the operating system.

        Raises:
            OSError: the disk is full or removed.
            ValueError: an identity is no text that can be encoded.
        """
        if self._file is None:
            return
        data = ("\n".join(identities) + "\n").encode()
        if data.count(b"\n") != len(identities):
            # An identity with a line break would be read as two, whose messages would be dropped as duplicates.
            data = "".join(f"{each}\n" for each in identities if "\n" not in each).encode()
        while data:
            data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the current generation's file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _young(self, found: list[_Generation]) -> tuple[list[_Generation], float]:
        """Return the current generation, after the one before where there is one, and the age of the current."""
        kept = [each for each in found if self._age(each) < self._seconds][-2:]
        age = self._age(kept[-1]) if kept else 0.0
        if kept and age < self._seconds / 2:
            return kept, age
        # The newest generation is no longer current: a new one begins.
        return [*kept[-1:], self._next(found)], 0.0

    def _found(self) -> list[_Generation]:
        try:
            make_private_folder(self._folder)
            matches = [(each, _NAME.fullmatch(each.name)) for each in self._folder.iterdir()]
        except FileExistsError:
            raise DamagedFileError(self._folder, "it is no folder") from None
        except PermissionError as error:
            raise unreadable(self._folder, error) from error
        return [_Generation(int(match[1]), int(match[2]), path) for path, match in matches if match is not None]

    def _next(self, generations: list[_Generation]) -> _Generation:
        number = generations[-1].number + 1 if generations else 1
        began = int(self._wall_clock())
        return _Generation(number, began, self._folder / f"seen-{number}-{began}.txt")

    def _age(self, generation: _Generation) -> float:
        began, now = self._began.get(generation.number), self._now()
        if began is None or not now.boot:
            return max(0.0, self._wall_clock() - generation.began)
        return now.since(began) or 0.0

    def _read_clock(self) -> None:
        path = self._folder / _CLOCK_FILE
        document = read_json(path)
        if document is None:
            return
        try:
            boot, began = document["boot"], document["began"]  # type: ignore[index]  # other JSON is damaged
            self._began = {int(number): BootTime(str(boot), float(seconds)) for number, seconds in began.items()}
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise DamagedFileError(path, "it holds no times of generations") from error

    def _note_ages(self, ages: dict[_Generation, float]) -> None:
        now = self._now()
        if not now.boot:
            return
        self._began = {each.number: BootTime(now.boot, now.seconds - age) for each, age in ages.items()}
        began = {str(number): at.seconds for number, at in self._began.items()}
        write_atomically(self._folder / _CLOCK_FILE, orjson.dumps({"boot": now.boot, "began": began}))


@dataclass(frozen=True, slots=True)
class _Content:
    identities: set[str]
    cut: DamagedFile | None


def _remove(generations: Iterable[_Generation]) -> None:
    for each in generations:
        each.path.unlink(missing_ok=True)


def _open(path: Path) -> BinaryIO:
    try:
        # Unbuffered: written data survives the process.
        return open(path, "ab", buffering=0, opener=private)
    except (PermissionError, IsADirectoryError) as error:
        raise DamagedFileError(path, f"it cannot be written: {reason_of(error)}") from error


def _read(path: Path) -> _Content:
    """Return the identities of a file.

    Raises:
        DamagedFileError: it cannot be read or continued, or is no text.
    """
    try:
        data = path.read_bytes()
        # A process killed in the middle of a write leaves half an identity at the end.
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        identities = set(whole.decode().split("\n")[:-1])
    except FileNotFoundError:
        return _Content(set(), None)
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise DamagedFileError(path, f"it is no text (byte {error.start})") from error
    lost = len(data) - len(whole)
    cut = DamagedFile(path, None, f"its last line was cut off: {lost} bytes are dropped") if lost else None
    return _Content(identities, cut)
