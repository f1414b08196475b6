"""A protocol of somebody else: every request is its own response."""

from collections import deque
from typing import override

from communicator.interfaces.protocol import ReqResProtocol


class LoopbackProtocol(ReqResProtocol):
    """Answers with what it was sent, `times` over."""

    def __init__(self, times: int = 1) -> None:
        self._times = times
        self._responses: deque[bytes] = deque()

    @override
    def connect(self) -> bool:
        return True

    @override
    def disconnect(self) -> None:
        self._responses.clear()

    @override
    def send(self, data: bytes) -> bool:
        self._responses.append(data * self._times)
        return True

    @override
    def receive(self, buffer_size: int = 1024) -> bytes:
        return self._responses.popleft()[:buffer_size]
