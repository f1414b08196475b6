"""Delayed calls that are cancelled together."""

import asyncio
from collections.abc import Callable


class DelayedCalls:
    """Calls scheduled on the running event loop; `cancel` drops those that have not run."""

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
        """Cancel all calls that have not run."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
