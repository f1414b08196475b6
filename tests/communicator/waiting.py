"""What tests of callbacks wait with: conditions, never times."""

import threading
from collections.abc import Callable

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol

MakeClient = Callable[..., MQTTProtocol]

WAIT_SECONDS = 15.0


class Collected[T]:
    """What callbacks were called with, and a way to wait for it."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = threading.Condition()

    def add(self, item: T) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, count: int, seconds: float = WAIT_SECONDS) -> list[T]:
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.items) >= count, seconds)
            assert arrived, f"{len(self.items)} of {count} came: {self.items[-5:]}"
            return list(self.items)

    def wait_until(self, condition: Callable[[list[T]], bool], seconds: float = WAIT_SECONDS) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.items), seconds), self.items[-5:]


class Messages(Collected[tuple[str, bytes]]):
    """Messages; the object itself is the callback."""

    def __call__(self, topic: str, payload: bytes) -> None:
        self.add((topic, payload))


def wait_for(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    pause = threading.Event()
    for _ in range(int(seconds * 200)):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("the condition did not come true in time")
