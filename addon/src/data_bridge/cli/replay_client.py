"""The command line's own connection to the broker, with which it replays dead letters beside or without a bridge."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import orjson

from communicator.common.exception import ProtocolError, ProtocolTimeoutError
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from data_bridge.dead_letters.store import StoredDeadLetter
from data_bridge.pipeline.connection import FAILURE
from data_bridge.runtime.mqtt import connection_settings
from data_bridge.settings import Settings

_ANSWER_SECONDS = 30.0


@asynccontextmanager
async def _connected(protocol: MQTTProtocol) -> AsyncIterator[None]:
    await protocol.connect_async()
    try:
        yield
    finally:
        await protocol.disconnect_async()


def _client(settings: Settings) -> MQTTProtocol:
    config = connection_settings(settings)
    # A client of its own beside the running bridge's.
    return MQTTProtocol(config, client_id=f"{config.client_id}-replay", clean_start=True)


async def ask_to_replay(settings: Settings, numbers: Sequence[int]) -> dict[str, int]:
    """Let the running bridge replay letters, and return how many had which outcome.

    Raises:
        ProtocolError: the broker cannot be reached, the bridge does not answer, or it refuses.
    """
    protocol = _client(settings)
    identifier = str(uuid4())
    answered: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    def note(_topic: str, payload: bytes, _ack_token: int) -> None:
        result = orjson.loads(payload)
        if result["id"] == identifier and not answered.done():
            answered.set_result(result)

    protocol.route(settings.own_topics.result, note, 0)
    command = {"id": identifier, "action": "replay", "data": {"ids": list(numbers)}}
    async with _connected(protocol):
        protocol.publish_prepared(protocol.prepare(settings.own_topics.command, 1), orjson.dumps(command))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                result = await answered
        except TimeoutError:
            text = "the bridge did not answer; may its user write to `command` and read `result`?"
            raise ProtocolTimeoutError(text) from None
    data = result["data"]
    if not isinstance(data, dict):
        raise ProtocolError(f"the bridge refused: {result['error']}")
    return {str(outcome): int(count) for outcome, count in data.items()}


async def publish_again(settings: Settings, deliveries: Sequence[StoredDeadLetter]) -> list[int]:
    """Publish deliveries to their devices; return the numbers of those that the broker confirmed.

    Raises:
        ProtocolError: the broker cannot be reached.
    """
    protocol = _client(settings)
    answered = asyncio.Event()
    codes: dict[int, int] = {}

    def note(number: int, reason_code: int) -> None:
        codes[number] = reason_code
        if len(codes) == len(deliveries):
            answered.set()

    async with _connected(protocol):
        for each in deliveries:
            letter = each.letter
            # Always QoS 1: only then does the broker confirm the message.
            prepared = protocol.prepare(letter.topic, 1, letter.retain)
            while not protocol.publish_prepared(prepared, letter.payload, note, each.id):  # noqa: ASYNC110 -- a full queue has no event
                await asyncio.sleep(0.01)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await answered.wait()
        except TimeoutError:
            pass
    return [number for number, code in codes.items() if code < FAILURE]
