"""Looks at the stack's broker as its devices do: a part is healthy when what it should publish arrives."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from development.connection import BrokerAccount


class NothingArrivedError(RuntimeError):
    """What was waited for did not arrive in time."""


class Observer:
    """One connection that waits for messages. Close it when done."""

    def __init__(self, account: BrokerAccount) -> None:
        self._client = account.client()
        self._returned: dict[bytes, asyncio.Future[None]] = {}
        self._round_trip = f"development/round-trip/{uuid.uuid4()}"

    async def connect(self) -> None:
        """Connect, and see one message of our own come back."""
        loop = asyncio.get_running_loop()

        def receive(_topic: str, payload: bytes) -> None:
            loop.call_soon_threadsafe(take, payload)

        def take(payload: bytes) -> None:
            waiting = self._returned.pop(payload, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

        await asyncio.to_thread(self._client.connect)
        self._client.subscribe(self._round_trip, receive, qos=1)
        await self.settle()

    async def close(self) -> None:
        """End the connection."""
        await asyncio.to_thread(self._client.disconnect)

    def publish(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Publish one message."""
        self._client.publish(topic, payload, qos=qos, retain=retain)

    async def settle(self) -> None:
        """Wait until the broker has done all that we asked: it does so in order, so one message back is proof.

        Raises:
            NothingArrivedError: nothing came back.
        """
        sent = str(uuid.uuid4()).encode()
        returned = self._returned[sent] = asyncio.get_running_loop().create_future()
        self.publish(self._round_trip, sent)
        await self.within(10, returned, "the broker returned no message")

    @asynccontextmanager
    async def expect(
        self, topic: str, accepts: Callable[[bytes], bool] = lambda _payload: True
    ) -> AsyncIterator[asyncio.Future[bytes]]:
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
        await self.settle()
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
        async with self.expect(topic, accepts) as arrived:
            return await self.within(seconds, arrived, f"{what} (nothing on {topic})")

    @staticmethod
    async def within[T](seconds: float, arrived: Awaitable[T], what: str) -> T:
        """Await a future of `expect`.

        Raises:
            NothingArrivedError: after `seconds`.
        """
        try:
            return await asyncio.wait_for(arrived, seconds)
        except TimeoutError:
            raise NothingArrivedError(f"{what} within {seconds:g} s") from None
