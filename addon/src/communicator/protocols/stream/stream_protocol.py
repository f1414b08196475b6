"""Request and response over any stream of bytes: timeouts, reconnecting and framing, whatever carries the bytes."""

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import override

from communicator.common.exception import (
    ProtocolConnectionError,
    ProtocolDecodeError,
    ProtocolTimeoutError,
    ProtocolValidationError,
)
from communicator.interfaces.protocol import ReqResProtocol
from communicator.protocols.stream.framing import Framing, RawFraming, framing_from

_logger = logging.getLogger(__name__)

READ_BYTES = 65_536


class StreamProtocol(ReqResProtocol):
    """One peer at the other end of a stream. Thread-safe: `request` keeps a request and its response together.

    A connection that was lost is made again by the next `send`, up to `reconnect_attempts` times with delays that
    double. A request is never sent twice by itself: only the application knows whether that is harmless.
    """

    def __init__(
        self,
        place: str,
        *,
        timeout: float,
        framing: Framing | Mapping[str, object] | None,
        reconnect_attempts: int,
        reconnect_delay: float,
    ) -> None:
        """Make it; `place` names the peer in errors, times are in seconds.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if timeout <= 0:
            raise ProtocolValidationError(f"timeout must be above 0 s, not {timeout}")
        if reconnect_attempts < 0:
            raise ProtocolValidationError(f"reconnect_attempts must not be negative, but is {reconnect_attempts}")
        if reconnect_delay < 0:
            raise ProtocolValidationError(f"reconnect_delay must not be negative, but is {reconnect_delay}")
        self.timeout = timeout
        self.place = place
        self._framing = framing_from(framing)
        self._attempts = reconnect_attempts
        self._delay = reconnect_delay
        self._received = bytearray()
        self._wanted = False  # connect() was called and disconnect() was not
        self._lock = threading.RLock()
        self._ended = threading.Event()

    # ------------------------------------------------------------------ what carries the bytes

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Tell whether the stream is open and not known to be lost."""

    @abstractmethod
    def _open(self) -> None:
        """Open the stream within the timeout.

        Raises:
            ProtocolConnectionError: it cannot be opened.
        """

    @abstractmethod
    def _close(self) -> None:
        """Close the stream, if it is open."""

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Write everything within the timeout.

        Raises:
            ProtocolConnectionError: the stream is lost, or does not take it in time.
        """

    @abstractmethod
    def _read(self, count: int, seconds: float) -> bytes:
        """Return between 1 and `count` bytes, or none when `seconds` have passed.

        Raises:
            ProtocolConnectionError: the stream is lost.
        """

    # ------------------------------------------------------------------ ReqResProtocol

    @override
    def connect(self) -> bool:
        """Open the stream, and return True; once, without trying again.

        Raises:
            ProtocolConnectionError: it cannot be opened, with the peer and the system's reason.
        """
        with self._lock:
            self._ended.clear()
            if not self.is_connected:
                self._received.clear()
                self._open()
            self._wanted = True
        return True

    @override
    def disconnect(self) -> None:
        """Close the stream; doing it twice is no error."""
        self._ended.set()
        with self._lock:
            self._wanted = False
            self._close()

    @override
    def send(self, data: bytes) -> bool:
        """Send one message, and return True when the system has it. Connects again first when the connection was lost.

        Raises:
            ProtocolConnectionError: there is no connection and none could be made.
            ProtocolValidationError: the message cannot be framed.
        """
        encoded = self._framing.encode(data)
        with self._lock:
            self._ensure_connected()
            try:
                self._write(encoded)
            except ProtocolConnectionError:
                self._close()
                raise
        return True

    @override
    def receive(self, buffer_size: int = 1024) -> bytes:
        """Return the next message; without framing what has come, at most `buffer_size` bytes.

        Raises:
            ProtocolTimeoutError: none came in time; what came of it is kept for the next call.
            ProtocolConnectionError: the connection is lost.
            ProtocolDecodeError: what came can never be a message; the connection is closed.
        """
        with self._lock:
            if not self.is_connected:
                raise ProtocolConnectionError(f"{self.place}: not connected")
            try:
                message = self._wait_for_message(buffer_size)
            except (ProtocolConnectionError, ProtocolDecodeError):
                self._close()
                self._received.clear()
                raise
        if message is None:
            raise ProtocolTimeoutError(f"{self.place}: no answer within {self.timeout:g} s")
        return message

    def request(self, data: bytes) -> bytes:
        """Send a message and return the answer; what came before, late answers say, is dropped and logged.

        Raises:
            ProtocolError: as `send` and `receive`.
        """
        with self._lock:
            self._ensure_connected()
            while late := self._read(READ_BYTES, 0):
                self._received += late
            if self._received:
                _logger.warning("%s: dropped %d bytes that nobody asked for", self.place, len(self._received))
                self._received.clear()
            self.send(data)
            return self.receive(READ_BYTES)

    # ------------------------------------------------------------------ inside

    def _wait_for_message(self, buffer_size: int) -> bytes | None:
        until = time.monotonic() + self.timeout
        while True:
            message = self._next(buffer_size)
            left = until - time.monotonic()
            if message is not None or left <= 0:
                return message
            self._received += self._read(READ_BYTES, left)

    def _next(self, buffer_size: int) -> bytes | None:
        message = self._framing.decode(self._received)
        if message is not None and len(message) > buffer_size and isinstance(self._framing, RawFraming):
            # What is more than asked for waits for the next call.
            self._received[:0] = message[buffer_size:]
            return message[:buffer_size]
        return message

    def _ensure_connected(self) -> None:
        if self.is_connected:
            return
        if not self._wanted:
            raise ProtocolConnectionError(f"{self.place}: not connected; connect() comes first")
        delay = self._delay
        for attempt in range(self._attempts + 1):
            self._received.clear()
            try:
                self._open()
            except ProtocolConnectionError as error:
                if attempt == self._attempts:
                    raise
                _logger.info("%s; trying again in %.1f s", error, delay)
                if self._ended.wait(delay):
                    raise
                delay *= 2
            else:
                return
