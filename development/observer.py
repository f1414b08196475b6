"""Looks at the stack's broker as its devices do: a part is healthy when what it should publish arrives."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from development.connection import BrokerAccount


class NothingArrivedError(RuntimeError):
    """What was waited for did not arrive in time."""


class Observer:
    """One connection that waits for messages. Close it when done."""

    def __init__(self, account: BrokerAccount) -> None:
        self._client = account.client()

    async def connect(self) -> None:
        """Connect, and see one message of our own come back."""
        await asyncio.to_thread(self._client.connect)
        topic = f"development/round-trip/{uuid.uuid4()}"
        with self.expect(topic) as arrived:
            self.publish(topic, "ping")
            await self.within(5, arrived, "the broker did not return a message")

    async def close(self) -> None:
        """End the connection."""
        await asyncio.to_thread(self._client.disconnect)

    def publish(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish one message."""
        self._client.publish(topic, payload, qos=qos, retain=retain)

    @contextmanager
    def expect(
        self, topic: str, accepts: Callable[[bytes], bool] = lambda _payload: True
    ) -> Iterator[asyncio.Future[bytes]]:
        """Give a future of the first accepted payload on a topic filter from now on, retained ones included."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[bytes] = loop.create_future()

        def take(payload: bytes) -> None:
            if not arrived.done():
                arrived.set_result(payload)

        def receive(_topic: str, payload: bytes) -> None:
            if accepts(payload):
                loop.call_soon_threadsafe(take, payload)

        self._client.subscribe(topic, receive, qos=1)
        try:
            yield arrived
        finally:
            self._client.unsubscribe(topic)

    async def wait_for(
        self, topic: str, seconds: float, what: str, accepts: Callable[[bytes], bool] = lambda _payload: True
    ) -> bytes:
        """Return the first accepted payload on a topic filter.

        Raises:
            NothingArrivedError: none came; the text says `what`.
        """
        with self.expect(topic, accepts) as arrived:
            return await self.within(seconds, arrived, f"{what} (nothing on {topic})")

    @staticmethod
    async def within(seconds: float, arrived: asyncio.Future[bytes], what: str) -> bytes:
        """Await a future of `expect`.

        Raises:
            NothingArrivedError: after `seconds`.
        """
        try:
            return await asyncio.wait_for(arrived, seconds)
        except TimeoutError:
            raise NothingArrivedError(f"{what} within {seconds:g} s") from None
