"""Timers that end together."""

import asyncio
from collections.abc import Callable


class DelayedCalls:
    """Things to do later on the running event loop; `cancel` forgets those that are left."""

    __slots__ = ("_handles",)

    def __init__(self) -> None:
        self._handles: set[asyncio.TimerHandle] = set()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` after so many seconds."""
        handle: asyncio.TimerHandle

        def run() -> None:
            self._handles.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._handles.add(handle)

    def cancel(self) -> None:
        """Forget what was not done yet."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
