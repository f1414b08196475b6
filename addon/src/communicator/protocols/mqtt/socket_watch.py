"""Readiness of a socket on an asyncio loop, also where the loop cannot watch sockets (Windows' default one)."""

import asyncio
import contextlib
import selectors
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import override


class SocketWatch(ABC):
    """Calls back on the loop when the socket can be read or written, as long as that is wanted."""

    @abstractmethod
    def want(self, descriptor: int, read: bool, write: bool) -> None:
        """Say what to wait for now; the socket may be another one only after `stop`."""

    @abstractmethod
    def stop(self) -> None:
        """Wait for nothing; before the socket is closed."""


def watch_sockets(
    loop: asyncio.AbstractEventLoop, readable: Callable[[], None], writable: Callable[[], None]
) -> SocketWatch:
    """Return the loop's own watch, or a thread's where the loop has none."""
    probe, other = socket.socketpair()
    try:
        loop.add_reader(probe.fileno(), lambda: None)
        loop.remove_reader(probe.fileno())
    except NotImplementedError:
        return _ThreadWatch(loop, readable, writable)
    finally:
        probe.close()
        other.close()
    return _LoopWatch(loop, readable, writable)


class _LoopWatch(SocketWatch):
    def __init__(
        self, loop: asyncio.AbstractEventLoop, readable: Callable[[], None], writable: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._readable = readable
        self._writable = writable
        self._descriptor = -1
        self._read = False
        self._write = False

    @override
    def want(self, descriptor: int, read: bool, write: bool) -> None:
        self._descriptor = descriptor
        if read != self._read:
            self._read = read
            if read:
                self._loop.add_reader(descriptor, self._readable)
            else:
                self._loop.remove_reader(descriptor)
        if write != self._write:
            self._write = write
            if write:
                self._loop.add_writer(descriptor, self._writable)
            else:
                self._loop.remove_writer(descriptor)

    @override
    def stop(self) -> None:
        if self._descriptor >= 0:
            self.want(self._descriptor, False, False)
        self._descriptor = -1


class _ThreadWatch(SocketWatch):
    """Waits in a thread, and only tells: all reading and writing stays on the loop.

    It waits once for each `want`, so that a socket that nobody has read yet is not told of again and again.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, readable: Callable[[], None], writable: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._callbacks = ((selectors.EVENT_READ, readable), (selectors.EVENT_WRITE, writable))
        self._condition = threading.Condition()
        self._wanted: tuple[int, int] | None = None
        self._waiting = False
        self._ending = False
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="mqtt-socket-watch", daemon=True)
        self._thread.start()

    @override
    def want(self, descriptor: int, read: bool, write: bool) -> None:
        events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
        wanted = (descriptor, events) if events else None
        with self._condition:
            if wanted != self._wanted:
                self._wanted = wanted
                self._wake.send(b"\0")
                self._condition.notify_all()

    @override
    def stop(self) -> None:
        with self._condition:
            self._ending = True
            self._wanted = None
            self._wake.send(b"\0")
            self._condition.notify_all()
        self._thread.join()
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ending or self._wanted is not None)
                if self._ending or self._wanted is None:
                    return
                descriptor, events = self._wanted
            with selectors.DefaultSelector() as selector:
                selector.register(self._woken, selectors.EVENT_READ)
                selector.register(descriptor, events)
                ready = 0
                for key, happened in selector.select():
                    if key.fileobj is self._woken:
                        with contextlib.suppress(BlockingIOError):
                            self._woken.recv(4096)
                    else:
                        ready |= happened
            if ready:
                with self._condition:
                    if self._wanted == (descriptor, events):
                        self._wanted = None
                for event, callback in self._callbacks:
                    if ready & event:
                        with contextlib.suppress(RuntimeError):  # the loop has ended
                            self._loop.call_soon_threadsafe(callback)
