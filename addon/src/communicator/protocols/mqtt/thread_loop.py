"""The network loop in a thread of its own."""

import contextlib
import logging
import selectors
import socket
import threading
import time

from communicator.common.exception import ProtocolError
from communicator.protocols.mqtt.link import NETWORK_FRAMES_A_TURN, Link
from communicator.protocols.mqtt.session import Session
from communicator.protocols.mqtt.timers import Timers

_logger = logging.getLogger(__name__)


class ThreadLoop:
    """Connects, serves the connection, and connects again, until stopped or given up."""

    def __init__(self, session: Session, *, daemon: bool) -> None:
        self._session = session
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{session.client_id}", daemon=daemon)
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._awake = False  # a wake-up is on its way, or the loop looks at everything before it sleeps again
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._session.wake = self.wake
        self._thread.start()

    @property
    def running(self) -> bool:
        """Tell whether the thread has not ended."""
        return not self._ended.is_set()

    @property
    def inside(self) -> bool:
        """Tell whether the caller is in this thread, in a callback."""
        return threading.current_thread() is self._thread

    def wake(self) -> None:
        """Make the loop look at what there is to do; once is enough until it has."""
        if self._awake:
            return
        self._awake = True
        with contextlib.suppress(OSError):  # full: it will wake; closed: it has ended
            self._sender.send(b"\0")

    def wait_ended(self, seconds: float | None) -> bool:
        """Wait for the end of the thread; False when it takes longer."""
        if self.inside:
            return False
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        session = self._session
        established = False
        try:
            while not session.must_stop():
                self._connection()
                if session.fall_back():
                    continue
                established = established or session.stood
                if session.must_stop() or not established:
                    break
                delay = session.plan_reconnect()
                if delay is None:
                    break
                self._sleep(delay)
        finally:
            session.loop_ended()
            self._ended.set()
            self._receiver.close()
            self._sender.close()

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._receiver, selectors.EVENT_READ)
            while not self._session.must_stop() and (left := until - time.monotonic()) > 0:
                self._awake = False
                if not self._session.must_stop() and selector.select(left):
                    self._drain()
                self._session.about_to_write()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._receiver.recv(4096)

    def _connection(self) -> None:
        try:
            link = self._session.open_link()
        except ProtocolError:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._receiver, selectors.EVENT_READ)
            try:
                self._serve(link, _Watch(selector, link))
            except Exception:
                # A defect of ours or of paho's ends this connection, not the client.
                _logger.exception("the network loop failed")
                link.close()

    def _serve(self, link: Link, watch: "_Watch") -> None:
        timers = Timers(self._session)
        more = False
        while link.is_open():
            # From here on a new wake-up is needed: what comes before it is seen below.
            self._awake = False
            timers.say_goodbye_if_due()
            self._session.about_to_write()
            link.flush()
            if not watch.update():
                break
            ready = watch.selector.select(0 if more or link.pending else timers.seconds_left())
            self._awake = True
            readable = more
            for key, events in ready:
                if key.fileobj is self._receiver:
                    self._drain()
                elif events & selectors.EVENT_READ:
                    readable = True
            if readable or link.pending:
                more = link.receive(NETWORK_FRAMES_A_TURN)
            timers.act(link)


class _Watch:
    """The socket in a selector, with what it waits for."""

    def __init__(self, selector: selectors.BaseSelector, link: Link) -> None:
        self.selector = selector
        self._link = link
        self._descriptor = -1
        self._interest = 0

    def update(self) -> bool:
        """Wait for what the link wants now; False when its socket is closed."""
        opened = self._link.connection
        if opened is None:
            return False
        wanted = selectors.EVENT_READ if self._link.wants_read else 0
        if self._link.wants_write:
            wanted |= selectors.EVENT_WRITE
        if wanted != self._interest:
            if self._interest:
                self.selector.unregister(self._descriptor)
            if wanted:
                self._descriptor = opened.fileno()
                self.selector.register(self._descriptor, wanted)
            self._interest = wanted
        return True
