"""Periodic tasks that continue after failures."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.stdlib import BoundLogger


class Periodic:
    """A set of periodic tasks; a failure is logged, and the next call follows as usual."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, name: str, action: Callable[[], Awaitable[None] | None]) -> None:
        """Call `action` every so many seconds; a call that takes longer delays the next."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._repeat(seconds, name, action), name=name))

    async def _repeat(self, seconds: float, name: str, action: Callable[[], Awaitable[None] | None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                pending = action()
                if pending is not None:
                    await pending
            except Exception:  # noqa: BLE001 -- the bridge continues after errors of disks and files
                self._log.exception("periodic_task_failed", task=name)

    async def stop(self) -> None:
        """Cancel all and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
