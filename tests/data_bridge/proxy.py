"""A TCP proxy in front of a broker that can hold back what the client sends, from a wanted text on."""

import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Listens on a port of the loopback interface, a random one unless it is given; a context manager."""

    def __init__(self, port: int, own_port: int = 0) -> None:
        self.held = threading.Event()
        self._broker_port = port
        self._wanted: bytes | None = None
        self._listening = socket.create_server(("127.0.0.1", own_port))
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Return where it listens."""
        port: int = self._listening.getsockname()[1]
        return port

    def hold(self, wanted: bytes) -> None:
        """Let nothing more of a client's through once it sends something that holds these bytes; `held` tells."""
        self._wanted = wanted

    def release(self) -> None:
        """Let everything of later connections through."""
        self._wanted = None
        self.held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections, and take no more."""
        for each in (self._listening, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                return
            self._sockets += [client, broker]
            for arguments in ((client, broker, True), (broker, client, False)):
                thread = threading.Thread(target=self._carry, args=arguments)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, target: socket.socket, from_client: bool) -> None:
        holding = False
        while True:
            try:
                data = source.recv(65536)
                if not data:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                wanted = self._wanted
                if from_client and wanted is not None and wanted in data:
                    holding = True
                    self.held.set()
                if not holding:
                    target.sendall(data)
            except OSError:
                return
