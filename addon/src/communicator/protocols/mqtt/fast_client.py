"""A paho client whose packets leave through a queue of ours; what it overrides is private: see paho_contract."""

import itertools
from collections import deque
from collections.abc import Callable
from typing import Literal

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from communicator.protocols.mqtt.configuration import MAXIMUM_INFLIGHT, MAXIMUM_UINT16
from communicator.protocols.mqtt.frames import DISCONNECT


class FastClient(Client):
    """Paho for connect, authentication, TLS, last will, subscribe and keep-alive; it neither reads nor writes."""

    def __init__(
        self,
        callback_api_version: CallbackAPIVersion,
        client_id: str,
        clean_session: bool | None,
        userdata: object = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        transport: Literal["tcp", "websockets", "unix"] = "tcp",
        reconnect_on_failure: bool = False,
        manual_ack: bool = True,
    ) -> None:
        super().__init__(
            callback_api_version,
            client_id,
            clean_session,
            userdata,
            protocol,
            transport,
            reconnect_on_failure,
            manual_ack,
        )
        self.frames: deque[bytes] = deque()
        self.said_goodbye = False
        self.frames_added: Callable[[], None] = lambda: None
        self._identifiers = itertools.cycle(range(MAXIMUM_INFLIGHT + 1, MAXIMUM_UINT16 + 1))

    def _packet_queue(
        self, command: int, packet: bytes, mid: int, qos: int, info: MQTTMessageInfo | None = None
    ) -> MQTTErrorCode:
        del mid, qos, info  # paho's book-keeping for messages, which are not published through it
        self.frames.append(bytes(packet))
        if command & 0xF0 == DISCONNECT:
            self.said_goodbye = True
        self.frames_added()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _mid_generate(self) -> int:
        # A range of its own, so that SUBSCRIBE never meets the identifier of a message in flight.
        return next(self._identifiers)
