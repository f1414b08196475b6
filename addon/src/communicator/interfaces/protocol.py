"""The two ways to talk, request/response and publish/subscribe, and what both have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

MessageCallback = Callable[[str, bytes], None]
"""Called with (topic, payload) for each message."""


class BaseProtocol(ABC):
    """Something that is connected explicitly and disconnected again; as a context manager it does both."""

    @abstractmethod
    def connect(self) -> bool:
        """Connect, and return True when the connection stands.

        Raises:
            ProtocolError: it does not; the class says why.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """End the connection; doing it twice, or before connecting, is no error."""

    def __enter__(self) -> Self:
        """Connect."""
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.disconnect()


class ReqResProtocol(BaseProtocol):
    """One peer that answers requests."""

    @abstractmethod
    def send(self, data: bytes) -> bool:
        """Send one request, and return True when it was handed to the peer's connection.

        Raises:
            ProtocolConnectionError: there is no connection and none could be made.
            ProtocolValidationError: the request cannot be framed.
        """

    @abstractmethod
    def receive(self, buffer_size: int = 1024) -> bytes:
        """Return the next response, at most `buffer_size` bytes where the protocol has no frames of its own.

        Raises:
            ProtocolTimeoutError: none came in time.
            ProtocolConnectionError: the connection was lost.
        """


class PubSubProtocol(BaseProtocol):
    """A broker that passes messages between those who publish and those who subscribe."""

    @abstractmethod
    def publish(self, topic: str, message: str | bytes, qos: int = 0, retain: bool = False) -> bool:
        """Publish one message, and return True when it was sent or is queued to be sent.

        Raises:
            ProtocolValidationError: the topic or the QoS is impossible.
        """

    @abstractmethod
    def subscribe(self, topic: str, callback: MessageCallback, qos: int = 0) -> bool:
        """Call `callback` with the topic and payload of each message whose topic matches the filter `topic`.

        Raises:
            ProtocolValidationError: the filter or the QoS is impossible, or the broker refused it.
        """
