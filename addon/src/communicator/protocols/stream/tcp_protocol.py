"""Request and response over TCP, on asyncio streams in a loop of its own."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Mapping
from typing import override

from communicator.common.exception import ProtocolConnectionError, ProtocolTimeoutError, ProtocolValidationError
from communicator.protocols.stream.framing import Framing
from communicator.protocols.stream.stream_protocol import StreamProtocol

MAXIMUM_PORT = 65_535
CLOSE_SECONDS = 1.0


class TCPProtocol(StreamProtocol):
    """A TCP peer that answers requests; from any thread, with an asyncio loop in a thread of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 5.0,
        framing: Framing | Mapping[str, object] | None = None,
        reconnect_attempts: int = 3,
        reconnect_delay: float = 0.5,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make it for one peer; times in seconds, `tls` a client context.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if not host:
            raise ProtocolValidationError("host must not be empty")
        if not 0 < port <= MAXIMUM_PORT:
            raise ProtocolValidationError(f"port must be 1..{MAXIMUM_PORT}, not {port}")
        super().__init__(
            f"{host}:{port}",
            timeout=timeout,
            framing=framing,
            reconnect_attempts=reconnect_attempts,
            reconnect_delay=reconnect_delay,
        )
        self._host = host
        self._port = port
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    @override
    def is_connected(self) -> bool:
        return self._writer is not None and self._reader is not None and not self._reader.at_eof()

    @override
    def disconnect(self) -> None:
        """Close the connection and end the loop's thread; doing it twice is no error."""
        super().disconnect()
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    @override
    def _open(self) -> None:
        self._close()
        try:
            self._reader, self._writer = self._run(
                asyncio.wait_for(asyncio.open_connection(self._host, self._port, ssl=self._tls), self.timeout)
            )
        except TimeoutError as error:
            raise ProtocolTimeoutError(
                f"no connection within {self.timeout:g} s", host=self._host, port=self._port
            ) from error
        except OSError as error:
            raise ProtocolConnectionError(str(error), host=self._host, port=self._port) from error

    @override
    def _close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            self._run(_close(writer))

    @override
    def _write(self, data: bytes) -> None:
        try:
            self._run(self._send(data))
        except TimeoutError as error:
            raise ProtocolTimeoutError(
                f"the peer did not take the request within {self.timeout:g} s", host=self._host, port=self._port
            ) from error
        except OSError as error:
            raise ProtocolConnectionError(str(error), host=self._host, port=self._port) from error

    @override
    def _read(self, count: int, seconds: float) -> bytes:
        try:
            data = self._run(self._take(count, seconds))
        except TimeoutError:
            return b""
        except OSError as error:
            raise ProtocolConnectionError(str(error), host=self._host, port=self._port) from error
        if not data:
            raise ProtocolConnectionError("the peer closed the connection", host=self._host, port=self._port)
        return data

    async def _send(self, data: bytes) -> None:
        if self._writer is None:
            raise ConnectionError("not connected")
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), self.timeout)

    async def _take(self, count: int, seconds: float) -> bytes:
        if self._reader is None:
            raise ConnectionError("not connected")
        # One turn at least, so that what is here already is found without waiting.
        return await asyncio.wait_for(self._reader.read(count), max(seconds, 0.001))

    def _run[T](self, coroutine: Coroutine[object, object, T]) -> T:
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_serve, args=(loop,), name=f"tcp-{self._host}:{self._port}", daemon=True
            )
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)
    except TimeoutError:
        writer.transport.abort()  # a TLS peer that does not say goodbye
    except OSError:
        return  # it was lost already: closed is closed
