"""Commands from the broker, carried out one after the other and acknowledged once answered."""

import asyncio
from collections.abc import Awaitable, Callable

from data_bridge.pipeline.connection import Connection
from data_bridge.runtime.commands import Answer, command_id, refusal

_MOST_WAITING = 100


class CommandQueue:
    """Queues command messages; a command that finds the queue full is refused at once.

    `execute` carries out a command and returns its result message, `answer` publishes one.
    """

    def __init__(
        self,
        connection: Connection,
        execute: Callable[[bytes], Awaitable[Answer]],
        answer: Callable[[Answer], None],
    ) -> None:
        self._connection = connection
        self._execute = execute
        self._answer = answer
        self._waiting: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    def listen(self, topic: str) -> None:
        """Subscribe to commands; those that arrive wait for `start`."""
        self._connection.route(topic, self._receive, 1)

    def start(self) -> None:
        """Begin to carry out commands on the running event loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="commands")

    async def stop(self) -> None:
        """Cancel the command that is being carried out, and take no other."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _receive(self, _topic: str, payload: bytes, ack_token: int) -> None:
        try:
            self._waiting.put_nowait((payload, ack_token))
        except asyncio.QueueFull:
            self._answer(refusal(command_id(payload), f"more than {_MOST_WAITING} commands wait"))
            self._acknowledge(ack_token)

    async def _run(self) -> None:
        while True:
            payload, ack_token = await self._waiting.get()
            result = await self._execute(payload)
            try:
                self._answer(result)
            except TypeError as error:
                # A result nested deeper than JSON is written; sent again, the command would only meet it again.
                self._answer(refusal(result["id"], f"no answer can be written: {error}"))
            finally:
                self._acknowledge(ack_token)

    def _acknowledge(self, ack_token: int) -> None:
        if ack_token:
            self._connection.acknowledge(ack_token)
