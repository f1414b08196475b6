"""The bridge's connection over the communicator's plain publish and subscribe."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from data_bridge.connection import MessageHandler, PreparedPublish


@dataclass(frozen=True, slots=True)
class _Prepared:
    topic: str
    qos: int
    retain: bool


class PlainConnection:
    """Routes over callbacks; a publish counts as acknowledged when it was handed over."""

    def __init__(self, protocol: MQTTProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._protocol = protocol
        self._loop = loop

    def route(self, topic_filter: str, handler: MessageHandler, qos: int = 1) -> None:
        """Subscribe; the handler runs on the loop."""

        def receive(topic: str, payload: bytes) -> None:
            self._loop.call_soon_threadsafe(handler, topic, payload, 0)

        self._protocol.subscribe(topic_filter, receive, qos=qos)

    def acknowledge(self, delivery: int) -> None:
        """Do nothing: the protocol has acknowledged already."""

    def prepare(
        self,
        topic: str,
        qos: int = 1,
        retain: bool = False,
        message_expiry: int | None = None,  # noqa: ARG002 -- the plain publish has none
    ) -> PreparedPublish:
        """Keep what publish will need."""
        return _Prepared(topic, qos, retain)

    def publish_prepared[T](
        self,
        prepared: PreparedPublish,
        payload: bytes,
        on_acknowledged: Callable[[T, int], None] | None = None,
        token: T | None = None,
    ) -> bool:
        """Publish."""
        if not isinstance(prepared, _Prepared):
            raise TypeError("not prepared here")
        self._protocol.publish(prepared.topic, payload, qos=prepared.qos, retain=prepared.retain)
        if on_acknowledged is not None and token is not None:
            self._loop.call_soon(on_acknowledged, token, 0)
        return True

    def pause(self) -> None:
        """Do nothing: the protocol cannot pause."""

    def resume(self) -> None:
        """Do nothing, as pause did."""
