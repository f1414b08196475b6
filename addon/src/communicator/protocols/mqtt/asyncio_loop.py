"""The network loop on an asyncio loop: readiness callbacks, no thread."""

import asyncio
import logging
import threading
import time

from communicator.common.exception import ProtocolError
from communicator.protocols.mqtt.link import NETWORK_FRAMES_A_TURN, Link
from communicator.protocols.mqtt.session import Session
from communicator.protocols.mqtt.socket_watch import SocketWatch, watch_sockets
from communicator.protocols.mqtt.timers import Timers

_logger = logging.getLogger(__name__)


class AsyncioLoop:
    """Connects, serves the connection, and connects again, as one task and the loop's readiness callbacks."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._stirred = asyncio.Event()
        self._scheduled = False
        self._continuing = False
        self._sockets: SocketWatch | None = None

    def start(self) -> None:
        """Start the task."""
        self._session.wake = self.wake
        self._task = self._loop.create_task(self._run(), name=f"mqtt-{self._session.client_id}")

    @property
    def running(self) -> bool:
        """Tell whether the task has not ended."""
        return self._task is not None and not self._task.done()

    @property
    def inside(self) -> bool:
        """Tell whether the caller is on the loop's thread, where waiting would block the loop."""
        return threading.get_ident() == self._thread

    def wake(self) -> None:
        """Make the loop look at what there is to do; once is enough until it has."""
        if self._scheduled:
            return
        self._scheduled = True
        if threading.get_ident() == self._thread:
            self._loop.call_soon(self._turn)
        else:
            self._loop.call_soon_threadsafe(self._turn)

    async def wait_ended(self) -> None:
        """Wait for the end of the task."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        session = self._session
        established = False
        try:
            while not session.must_stop():
                await self._connection()
                if session.fall_back():
                    continue
                established = established or session.stood
                if session.must_stop() or not established:
                    break
                delay = session.plan_reconnect()
                if delay is None:
                    break
                await self._sleep(delay)
        finally:
            if self._link is not None:
                self._link.close()
            session.loop_ended()

    async def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._session.must_stop() and (left := until - time.monotonic()) > 0:
            self._stirred.clear()
            await self._wait_for(self._stirred, left)

    async def _connection(self) -> None:
        session = self._session
        try:
            # Names are resolved and TLS shakes hands in a thread: both may block.
            link = await self._loop.run_in_executor(None, session.open_link)
        except ProtocolError:
            return
        self._link = link
        link.before_close = self._detach
        try:
            await self._serve(link, Timers(session))
        except Exception:
            # A defect of ours or of paho's ends this connection, not the client.
            _logger.exception("the network loop failed")
            link.close()
        self._link = None

    async def _serve(self, link: Link, timers: Timers) -> None:
        while link.is_open():
            self._stirred.clear()
            timers.say_goodbye_if_due()
            self._turn()
            if link.is_open():
                await self._wait_for(self._stirred, timers.seconds_left())
                timers.act(link)

    @staticmethod
    async def _wait_for(event: asyncio.Event, seconds: float) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return

    def _turn(self) -> None:
        """Read if there was something to read, then write everything that came of it."""
        self._handle(read=False)

    def _readable(self) -> None:
        self._handle(read=True)

    def _continue(self) -> None:
        self._continuing = False
        self._handle(read=True)

    def _handle(self, *, read: bool) -> None:
        link = self._link
        if link is None:
            self._scheduled = False
            self._session.about_to_write()
            self._stirred.set()
            return
        try:
            self._work(link, read)
        except Exception:
            # A defect of ours or of paho's ends this connection, not the client.
            _logger.exception("the network loop failed")
            link.close()
        if not link.is_open() or self._session.stopping:
            self._stirred.set()

    def _work(self, link: Link, read: bool) -> None:
        self._scheduled = True  # what handlers publish now leaves below, in one write
        more = False
        # With a continuation on its way, whatever else calls here would be a second turn in one round of the loop.
        if not self._continuing and (read or link.pending) and link.is_open():
            more = link.receive(NETWORK_FRAMES_A_TURN)
        self._session.about_to_write()
        self._scheduled = False
        link.flush()
        self._watch(link)
        if more or (link.is_open() and link.pending):
            self._scheduled = True
            if not self._continuing:
                self._continuing = True
                self._loop.call_soon(self._continue)

    def _watch(self, link: Link) -> None:
        opened = link.connection
        if opened is None:
            return
        if self._sockets is None:
            self._sockets = watch_sockets(self._loop, self._readable, self._turn)
        self._sockets.want(opened.fileno(), link.wants_read, link.wants_write)

    def _detach(self) -> None:
        sockets, self._sockets = self._sockets, None
        if sockets is not None:
            sockets.stop()
