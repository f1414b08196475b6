"""Detection of files that are being written: a half-written file is often a valid catalog."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

type Stamp = tuple[tuple[int, int, int], ...]

REST_SECONDS = 0.5


class FileWatch:
    """Looks at files; they rest when two looks, at least `rest` seconds apart, find the same."""

    def __init__(
        self, paths: Sequence[Path], rest: float = REST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rest = rest
        self._paths = paths
        self._clock = clock
        self._stamp: Stamp | None = None
        self._since = 0.0

    def look(self) -> Stamp:
        """Return modification time, size and inode of each file: they differ after a change."""
        stamp = tuple(_stamp(path) for path in self._paths)
        if stamp != self._stamp:
            self._stamp, self._since = stamp, self._clock()
        return stamp

    def rested(self) -> bool:
        """Look, and return whether the files rest."""
        self.look()
        return self._clock() - self._since >= self.rest

    def begin_again(self) -> None:
        """Let the files rest once more before they are used."""
        self._since = self._clock()

    def is_young(self) -> bool:
        """Return whether a file was modified so recently that it may still be written; for a first look."""
        now = time.time()
        ages = [now - modified / 1e9 for modified, _, _ in self.look()]
        return any(0 <= age < 2 * self.rest for age in ages)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
