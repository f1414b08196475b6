"""Stores dead letters beside the event loop: a disk may stall, messages must not."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from structlog.stdlib import BoundLogger

from data_bridge.damaged_files import DamagedFileError, DamagedFiles
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import DeadLetterStore, DeadLetterStoreError, DeadLetterStoreGoneError, is_damage

# Letters and bytes of one transaction: its journal lies beside the database until the next.
_BATCH = 500
_BATCH_BYTES = 8 * 1024 * 1024
_RETRY_SECONDS = 1.0


type _Change = DeadLetter | int
"""A letter to store, or the number of one to remove."""


class DeadLetterWriter:
    """Collects letters and stores them in batches; each letter's `on_stored` runs on the loop when it is safe.

    While the disk refuses, letters wait in memory and their inputs stay unacknowledged: the broker still has them.
    A store that is found damaged is moved aside, and a new one takes its place.
    """

    def __init__(self, store: DeadLetterStore, log: BoundLogger, damaged: DamagedFiles) -> None:
        self.stored = 0
        self.dropped = 0  # of the oldest, for lack of room
        self.error: str | None = None  # the cause while letters cannot be stored
        self.store = store
        self._damaged = damaged
        self._log = log
        self._queue: deque[tuple[_Change, Callable[[], None]]] = deque()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="dead-letters")
        self._task: asyncio.Task[None] | None = None
        self._being_stored = 0

    @property
    def waiting(self) -> int:
        """Return how many letters are not stored yet."""
        return len(self._queue) + self._being_stored

    def add(self, letter: DeadLetter, on_stored: Callable[[], None]) -> None:
        """Store a letter soon."""
        self._change(letter, on_stored)

    def remove(self, number: int, on_removed: Callable[[], None]) -> None:
        """Remove a stored letter soon."""
        self._change(number, on_removed)

    def _change(self, change: _Change, on_done: Callable[[], None]) -> None:
        self._queue.append((change, on_done))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write(), name="dead letters")

    async def call[T](self, action: Callable[[DeadLetterStore], T]) -> T:
        """Run something with the store on its own thread.

        Raises:
            DeadLetterStoreError: the store cannot be used.
        """
        try:
            return await self._run(action)
        except sqlite3.Error as error:
            await self._reopen_if_lost(error)
            raise DeadLetterStoreError(f"the dead letters in {self.store.path} cannot be used: {error}") from error

    async def check(self) -> None:
        """Check whether a letter could be stored now, and set `error`."""
        try:
            await self._run(lambda store: store.check())
        except (sqlite3.Error, DeadLetterStoreError, OSError) as error:
            self.error = str(error)
            await self._reopen_if_lost(error)
        else:
            if not self._queue:
                self.error = None

    async def _run[T](self, action: Callable[[DeadLetterStore], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(action, self.store))

    async def _reopen_if_lost(self, error: Exception) -> None:
        """Open the store again after an error of a damaged, closed or removed file, but not of a busy or full one."""
        lost = isinstance(error, DeadLetterStoreGoneError | sqlite3.ProgrammingError)
        if not lost and not (isinstance(error, sqlite3.Error) and is_damage(error)):
            return
        try:
            await self._run(lambda store: store.reopen(self._damaged, error))
        except (DamagedFileError, DeadLetterStoreError) as still:
            self.error = str(still)
            self._log.error("dead_letters_not_reopened", error=str(still))

    async def _write(self) -> None:
        while self._queue:
            batch = self._take_batch()
            letters = [change for change, _ in batch if isinstance(change, DeadLetter)]
            numbers = [change for change, _ in batch if isinstance(change, int)]
            self._being_stored = len(letters)
            dropped = 0
            try:
                if letters:
                    dropped = await self._add(letters)
                else:
                    await self._remove(numbers)
            except sqlite3.Error as error:
                self._queue.extendleft(reversed(batch))
                self.error = str(error)
                self._log.error("dead_letters_not_stored", waiting=len(self._queue), error=str(error))
                await self._reopen_if_lost(error)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            except asyncio.CancelledError:
                self._queue.extendleft(reversed(batch))
                raise
            finally:
                self._being_stored = 0
            self.error = None
            self.stored += len(letters)
            if dropped:
                self.dropped += dropped
                self._log.warning("dead_letters_dropped", oldest=dropped)
            for _, on_done in batch:
                on_done()

    async def _add(self, letters: list[DeadLetter]) -> int:
        return await self._run(lambda store: store.add(letters))

    async def _remove(self, numbers: list[int]) -> None:
        await self._run(lambda store: store.remove(numbers))

    def _take_batch(self) -> list[tuple[_Change, Callable[[], None]]]:
        """Take letters or numbers, as many as one transaction should have; never both."""
        kind = type(self._queue[0][0])
        batch: list[tuple[_Change, Callable[[], None]]] = []
        size = 0
        while self._queue and len(batch) < _BATCH and type(self._queue[0][0]) is kind:
            change = self._queue[0][0]
            size += len(change.payload) if isinstance(change, DeadLetter) else 0
            if batch and size > _BATCH_BYTES:
                break
            batch.append(self._queue.popleft())
        return batch

    async def drain(self, seconds: float) -> int:
        """Wait until every letter is stored, at most so long, and return how many are not."""
        try:
            async with asyncio.timeout(seconds):
                while self._task is not None and not self._task.done():
                    await asyncio.wait([self._task])
        except TimeoutError:
            pass
        return self.waiting

    async def close(self) -> None:
        """Store the waiting letters once more, and close the file."""
        if self._task is not None and not self._task.done():
            try:
                async with asyncio.timeout(5):
                    await self._task
            except TimeoutError:
                self._log.error("dead_letters_lost_at_stop", waiting=len(self._queue))
        self._executor.shutdown()
        self.store.close()
