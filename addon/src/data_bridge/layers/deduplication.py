"""Which messages were delivered lately: two generations of sets, in memory and on disk."""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

_NAMES = ("seen-a.txt", "seen-b.txt")


class Deduplication:
    """Identities that were seen within the last `ttl` seconds, at most `entries` of them.

    New identities go to `current`; every half `ttl` it becomes `previous`, and the old `previous` is forgotten: an
    identity is remembered for at least half and at most the whole of `ttl`. When half of `entries` is reached the turn
    comes early.

    With a folder every identity is also written to one of two files, so that a bridge that was killed still knows what
    it had delivered. They are not synced: they survive the process, and for the most part a power cut.
    """

    __slots__ = ("_file", "_folder", "_half", "_index", "current", "early_turns", "enabled", "previous", "unwritten")

    def __init__(self, entries: int, folder: Path | None = None, *, enabled: bool = True) -> None:
        self.enabled = enabled
        # Public for the hot path, which asks both sets and adds to one without a call.
        self.current: set[str] = set()
        self.previous: set[str] = set()
        self.unwritten: list[str] = []
        self.early_turns = 0
        self._half = max(entries // 2, 1)
        self._folder = folder if enabled else None
        self._file: BinaryIO | None = None
        self._index = 0

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        return len(self.current) + len(self.previous)

    def open(self) -> None:
        """Read what an earlier process left, and begin to write.

        Raises:
            OSError: the folder cannot be written to.
        """
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = [self._folder / name for name in _NAMES]
        present = sorted((path for path in paths if path.exists()), key=lambda path: path.stat().st_mtime_ns)
        if present:
            self._index = paths.index(present[-1])
            self.current = _read(present[-1])
            if len(present) > 1:
                self.previous = _read(present[0])
        self._file = paths[self._index].open("ab", buffering=0)

    def turn_if_full(self) -> None:
        """Begin a new generation early when the current one holds half of the allowed entries."""
        if len(self.current) >= self._half:
            self.early_turns += 1
            self.turn()

    def turn(self) -> None:
        """Begin a new generation; called every half of the time to live.

        Raises:
            OSError: the disk is full or gone; in memory the new generation has begun, and the next turn tries again.
        """
        self.previous = self.current
        self.current = set()
        if self._folder is None:
            return
        try:
            self.write()
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._index = 1 - self._index
            self._file = (self._folder / _NAMES[self._index]).open("wb", buffering=0)

    def write(self) -> None:
        """Hand the identities added since the last call to the operating system.

        Raises:
            OSError: the disk is full or gone.
        """
        if not self.unwritten:
            return
        names, self.unwritten = self.unwritten, []
        if self._file is not None:
            data = ("\n".join(names) + "\n").encode()
            while data:
                data = data[self._file.write(data) :]

    def close(self) -> None:
        """Write what is left and close the file."""
        with contextlib.suppress(OSError):
            self.write()
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def persistent(self) -> bool:
        """Tell whether identities are written to disk."""
        return self._folder is not None


def _read(path: Path) -> set[str]:
    data = path.read_bytes()
    # A process killed in the middle of a write leaves half an identity at the end.
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return set(whole.decode(errors="replace").split("\n")[:-1])
