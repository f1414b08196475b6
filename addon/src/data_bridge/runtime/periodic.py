"""Tasks that do something again and again, and outlive its failures."""

import asyncio
from collections.abc import Awaitable, Callable

from structlog.stdlib import BoundLogger


class Periodic:
    """A set of such tasks; one failure is logged and the next turn comes all the same."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, name: str, action: Callable[[], Awaitable[None] | None]) -> None:
        """Begin to do `action` every so many seconds; a turn that takes longer delays the next."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._repeat(seconds, name, action), name=name))

    async def _repeat(self, seconds: float, name: str, action: Callable[[], Awaitable[None] | None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                pending = action()
                if pending is not None:
                    await pending
            except Exception:  # noqa: BLE001 -- disks fill and files vanish; the bridge goes on
                self._log.exception("periodic_task_failed", task=name)

    async def stop(self) -> None:
        """Cancel all and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
