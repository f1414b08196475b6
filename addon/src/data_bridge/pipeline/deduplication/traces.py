"""Which messages were delivered lately: two generations of sets, in memory and on disk."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from data_bridge.damaged_files import DamagedFile
from data_bridge.pipeline.deduplication.trace_files import GenerationFiles

_FREED_AT_ONCE = 2_000


type Digests = dict[str, int | None]
"""Identities with the digests of their messages, in memory only: None for messages of an earlier process"""


class Deduplication:
    """Identities that were seen within the last `ttl` seconds, at most `entries` of them.

    New identities go to `current`; every half `ttl` it becomes `previous`, and the old `previous` is forgotten: an
    identity is remembered for at least half and at most the whole of `ttl`. When half of `entries` is reached the turn
    comes early. Turns follow a clock that nobody sets.

    With `files` every identity is also written to the file of its generation, so that a bridge that was killed still
    knows the delivered messages, and for how long. They are not synced: they survive the process, and for the most part
    a power cut.
    """

    __slots__ = (
        "_began",
        "_clock",
        "_files",
        "_half",
        "_half_seconds",
        "current",
        "early_rotations",
        "enabled",
        "previous",
        "unwritten",
    )

    def __init__(
        self,
        entries: int,
        ttl: float,
        files: GenerationFiles | None = None,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.enabled = enabled
        # Public for the hot path, which asks both and adds to one without a call.
        self.current: Digests = {}
        self.previous: Digests = {}
        self.unwritten: list[str] = []
        self.early_rotations = 0
        self._half = max(entries // 2, 1)
        self._half_seconds = ttl / 2
        self._clock = clock
        self._began = clock()
        self._files = files if enabled else None

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        return len(self.current) + len(self.previous)

    def open(self) -> tuple[DamagedFile, ...]:
        """Read the files of an earlier process, and begin to write; before the first message, and best on a thread.

        Return the files that were cut off.

        Raises:
            DamagedFileError: a file cannot be used.
            OSError: the folder cannot be written to.
        """
        if self._files is None:
            return ()
        kept = self._files.load()
        self.current, self.previous = dict.fromkeys(kept.current), dict.fromkeys(kept.previous)
        self._began = self._clock() - kept.age
        return kept.cut

    async def rotate_when_due(self) -> None:
        """Begin a new generation when the current one had its time, or holds half of the allowed entries.

        Raises:
            OSError: as `turn`.
        """
        if len(self.current) >= self._half:
            self.early_rotations += 1
            await self.rotate()
        elif self._clock() - self._began >= self._half_seconds:
            await self.rotate()

    async def rotate(self) -> None:
        """Begin a new generation; the loop never waits for the disk.

        Raises:
            OSError: the disk is full or gone; in memory the new generation has begun, and the next turn tries again.
        """
        clean_up: Callable[[], None] | None = None
        try:
            if self._files is not None:
                prepared = await asyncio.to_thread(self._files.prepare)
                # Between two messages: files and sets turn together.
                with contextlib.suppress(OSError, ValueError):
                    self.write()
                clean_up = self._files.rotate(prepared)
        finally:
            forgotten = self._rotate_memory()
        if clean_up is not None:
            await asyncio.to_thread(clean_up)
        await _free(forgotten)

    def digest_of(self, identity: str) -> int | None:
        """Return the digest of the message that was delivered, None where it is not known."""
        digest = self.current.get(identity)
        return digest if digest is not None else self.previous.get(identity)

    def _rotate_memory(self) -> Digests:
        forgotten, self.previous, self.current = self.previous, self.current, {}
        self._began = self._clock()
        return forgotten

    def write(self) -> None:
        """Hand the identities added since the last call to the operating system.

        Raises:
            OSError: the disk is full or gone.
            ValueError: an identity is no text that can be encoded, or the file is closed.
        """
        if not self.unwritten:
            return
        identities, self.unwritten = self.unwritten, []
        if self._files is not None:
            self._files.append(identities)

    def close(self) -> None:
        """Write the rest and close the file."""
        with contextlib.suppress(OSError, ValueError):
            self.write()
        if self._files is not None:
            self._files.close()

    @property
    def persistent(self) -> bool:
        """Tell whether identities are written to disk."""
        return self._files is not None


async def _free(identities: Digests) -> None:
    """Give memory back in small steps: a quarter of a million texts at once would hold every message up."""
    while identities:
        for _ in range(min(len(identities), _FREED_AT_ONCE)):
            identities.popitem()
        await asyncio.sleep(0)
