"""The fast path: whole reads parsed at once, whole writes, and messages that never pass through paho.

Packets go out in the order they were queued, paho's own among them. `frames` of the client is the only queue; the
network loop empties it into one `send`.
"""

import logging
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from typing import override

from paho.mqtt import MQTTException
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException as PropertyException
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from communicator.common.exception import ProtocolDecodeError
from communicator.protocols.mqtt.configuration import MQTTConfig
from communicator.protocols.mqtt.fast_client import FastClient
from communicator.protocols.mqtt.frames import (
    CONNACK,
    DISCONNECT,
    PUBACK,
    PUBACK_HEAD,
    PUBCOMP,
    PUBCOMP_HEAD,
    PUBLISH,
    PUBREC,
    PUBREC_HEAD,
    PUBREL,
    PUBREL_HEAD,
    SUBSCRIPTION_IDENTIFIER,
    PreparedPublish,
    decode_length,
    encode_publish,
)
from communicator.protocols.mqtt.held_packets import HeldPackets, must_be_held, topic_of
from communicator.protocols.mqtt.link import Link
from communicator.protocols.mqtt.outbox import OutgoingMessage
from communicator.protocols.mqtt.properties import decode_properties
from communicator.protocols.mqtt.session import Session
from communicator.protocols.mqtt.topic_aliases import TopicAliases

_logger = logging.getLogger(__name__)

READ_BYTES = 65_536
"""For more at once the C library would map new memory at every read: a tenth of a message's whole cost."""
TLS_RECORD_BYTES = 16_384
UNSENT_BYTES = 16 * 1_048_576
"""Above it a message of QoS 0 is refused: the network does not take what is published."""

# Paho has two exceptions of the name MQTTException.
_MALFORMED = (ProtocolDecodeError, MQTTException, PropertyException, struct.error, IndexError, KeyError, ValueError)


class FastLink(Link):
    """See the module; the stock link is the same in all but speed."""

    def __init__(self, config: MQTTConfig, session: Session, client: FastClient) -> None:
        super().__init__(config, session, client)
        self._fast = client
        self._session = session
        self._lock = session.lock
        self._dispatcher = session.dispatcher
        self._frames = client.frames
        client.frames_added = self._stir
        self._buffer = b""
        self._parts: list[bytes] = []
        self._missing = 0
        self._more = False
        self._unsent: memoryview | None = None
        self._unsent_bytes = 0
        self._held = HeldPackets()
        self._in_flight = session.outbox.in_flight
        self._read_for_answers = False  # there was no room for messages already when it was last read
        self._receives_aliases = self.version5 and config.topic_alias_maximum > 0
        self._paused = False
        self._received = session.received
        self._aliases = TopicAliases(config.topic_alias_maximum)
        self._goodbye_reason: str | None = None
        self._unanswered = False  # nothing was written since the last read, so that TCP has not acknowledged it

    # ------------------------------------------------------------------ the connection

    @property
    @override
    def wants_read(self) -> bool:
        # While an answer is to come the socket is read however much is held: who paused us may be waiting for it.
        return not self._paused or not self._held.full or bool(self._in_flight or self._requests)

    @property
    @override
    def wants_write(self) -> bool:
        return self._unsent is not None

    @override
    def begin(self, session_present: bool, alias_limit: int, keepalive: int | None) -> None:
        self._aliases.send_limit = alias_limit
        if keepalive is not None:
            self._fast._keepalive = keepalive  # noqa: SLF001 -- paho 2.1 does not heed the broker's (3.2.2.3.14)
        if not session_present:
            self._received.clear()

    @override
    def forget(self) -> None:
        with self._lock:
            self._frames.clear()
            self._unsent_bytes = 0
            # Not acknowledged is not received: the broker sends it again.
            for identifier in [identifier for identifier, sent in self._received.items() if not sent]:
                del self._received[identifier]
        self._unsent = None
        self._buffer = b""
        self._parts.clear()
        self._missing = 0
        self._more = False
        self._held.keep_unrepeatable()
        self._aliases.clear()
        self._fast.said_goodbye = False

    @override
    def open(self) -> None:
        self.forget()
        self._goodbye_reason = None
        super().open()

    @override
    def close(self) -> None:
        self._end(MQTTErrorCode.MQTT_ERR_CONN_LOST)

    @override
    def tick(self) -> None:
        if not self.wants_read:
            # The answer to our ping is not read while we hold the broker back; that is no lost connection.
            self._fast._ping_t = 0.0  # noqa: SLF001
        super().tick()

    def _end(self, code: MQTTErrorCode) -> None:
        if self._fast.socket() is not None:
            self._fast._loop_rc_handle(code)  # noqa: SLF001
        self._tell()

    @override
    def _reason_of_end(self, reason: ReasonCode) -> str:
        return self._goodbye_reason or super()._reason_of_end(reason)

    # ------------------------------------------------------------------ reading

    @override
    def receive(self, limit: int) -> bool:
        """Read once and handle up to `limit` packets; True when more of them are here already."""
        handled = 0
        if self._held.waiting and not self._paused:
            handled = self._release_held(limit)
            if self._held.waiting:
                return not self._paused
        if not self.wants_read:
            return False
        # Whole packets that the last turn left come first; the socket keeps what it has.
        data = b"" if self._more else self._read()
        if self._fast.socket() is None:
            return False
        if self._missing:
            # One large packet: joined once, when it is whole.
            self._parts.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return False
            self._parts.insert(0, self._buffer)
            data = b"".join(self._parts)
            self._parts.clear()
            self._missing = 0
        elif self._buffer:
            data = self._buffer + data
        self._buffer = b""
        try:
            self._more = self._handle(data, limit - handled)
        except _MALFORMED as error:
            self._session.counters.malformed += 1
            self._goodbye_reason = f"what the broker sent is not MQTT: {error}"
            _logger.warning("%s:%d: %s", self._config.broker_address, self._config.port, self._goodbye_reason)
            self._end(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        return self._more

    def _read(self) -> bytes:
        opened = self._fast.socket()
        counters = self._session.counters
        self._read_for_answers = self._held.full
        try:
            if isinstance(opened, ssl.SSLSocket):
                data = self._read_records(opened)
            elif isinstance(opened, socket.socket):
                data = opened.recv(READ_BYTES)
                self._unanswered = True
            else:
                return b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as error:
            self.error = error
            self._end(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            return b""
        counters.socket_reads += 1
        if not data:
            self._goodbye_reason = self._goodbye_reason or "the broker closed the connection"
            self._end(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            return b""
        counters.bytes_received += len(data)
        self._fast._last_msg_in = time.monotonic()  # noqa: SLF001
        return data

    @staticmethod
    def _read_records(opened: ssl.SSLSocket) -> bytes:
        # One read gives one record at most. After a full one more are likely here, and what is decrypted already would
        # never wake the selector.
        records = [opened.recv(READ_BYTES)]
        size = len(records[0])
        try:
            while size < READ_BYTES and (len(records[-1]) == TLS_RECORD_BYTES or opened.pending()):
                records.append(opened.recv(READ_BYTES))
                size += len(records[-1])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b"".join(records)
        return b"".join(records)

    def _handle(self, data: bytes, limit: int) -> bool:  # noqa: C901, PLR0912 -- the hot loop: a call costs more than a branch
        position = 0
        end = len(data)
        more = False
        session = self._session
        while end - position > 1:
            if limit <= 0:
                more = True
                break
            command = data[position]
            length = data[position + 1]
            body = position + 2
            if length > 0x7F:  # noqa: PLR2004 -- the continuation bit
                if body < end and data[body] < 0x80:  # noqa: PLR2004 -- decode_length() without the call, for nearly all
                    length = length & 0x7F | data[body] << 7
                    body += 1
                else:
                    decoded = decode_length(data, position + 1, end)
                    if decoded is None:
                        break
                    length, body = decoded
            following = body + length
            if following > end:
                self._missing = following - end
                break
            limit -= 1
            kind = command & 0xF0
            if kind == PUBLISH:
                if self._paused or self._held.waiting:
                    self._hold(data[position:following])
                else:
                    self._publish_received(data, command, body, following)
            elif kind == PUBACK:
                if length < 2:  # noqa: PLR2004 -- the packet identifier
                    raise ProtocolDecodeError(_SHORT)
                session.settled(data[body] << 8 | data[body + 1], data[body + 2] if length > 2 else 0)  # noqa: PLR2004
            elif kind in _QOS2:
                if length < 2:  # noqa: PLR2004 -- the packet identifier
                    raise ProtocolDecodeError(_SHORT)
                self._qos2(kind, data[body : body + 2], data[body + 2] if length > 2 else 0)  # noqa: PLR2004
            else:
                self._hand_to_paho(command, data[body:following])
                if self._fast.socket() is None:
                    self._missing = 0
                    return False
            if session.stopping:
                # What is left was not acknowledged, so a kept session sends it again.
                self._missing = 0
                return False
            position = following
        self._buffer = data[position:] if position else data
        return more

    def _publish_received(  # noqa: C901 -- once for each message: a call costs more than a branch
        self, data: bytes, command: int, body: int, following: int
    ) -> None:
        start = body + 2
        # What lies beyond the packet's end is refused below; beyond the data's it is an IndexError.
        position = start + (data[body] << 8 | data[body + 1])
        topic_bytes = data[start:position]
        qos = (command & 0x06) >> 1
        identifier = b""
        if qos:
            if qos == 3:  # noqa: PLR2004
                raise ProtocolDecodeError("there is no QoS 3")
            identifier = data[position : position + 2]
            position += 2
        properties: Properties | None = None
        identifiers: Sequence[int] | bytes = ()
        if self.version5:
            if position >= following:
                raise ProtocolDecodeError(_SHORT)
            size = data[position]
            if size == 0:
                position += 1
            elif (
                size == 5  # noqa: PLR2004
                and data[position + 1] == SUBSCRIPTION_IDENTIFIER
                and data[position + 2] & data[position + 3] & data[position + 4] & 0x80
                and data[position + 5] < 0x80  # noqa: PLR2004
            ):
                # Nothing but the number of a subscription of ours, in four bytes: what nearly every message has.
                identifiers = data[position + 2 : position + 6]
                position += 6
            else:
                properties, position = self._read_properties(data, position, following)
                topic_bytes = self._aliases.resolve(topic_bytes, properties)
                identifiers = getattr(properties, "SubscriptionIdentifier", ())
        if position > following or not topic_bytes:
            raise ProtocolDecodeError(_SHORT)
        recipients = self._dispatcher.recipients(topic_bytes, identifiers)
        if qos == 2:  # noqa: PLR2004
            with self._lock:
                sent = self._received.get(identifier)
                self._received[identifier] = bool(sent)
            if sent is not None:
                self._session.counters.received_duplicates += 1
                if sent:
                    self._frames.append(PUBREC_HEAD + identifier)
                return
        self._dispatcher.deliver(recipients, data[position:following], command, identifier, properties)

    def _read_properties(self, data: bytes, position: int, following: int) -> tuple[Properties, int]:
        decoded = decode_length(data, position, following)
        if decoded is None or sum(decoded) > following:
            raise ProtocolDecodeError("a message's properties are longer than its packet")
        return decode_properties(PacketTypes.PUBLISH, data[position:following]), sum(decoded)

    def _qos2(self, kind: int, identifier: bytes, code: int) -> None:
        number = identifier[0] << 8 | identifier[1]
        if kind == PUBREC:
            if code >= 0x80:  # noqa: PLR2004 -- a failure ends the exchange
                self._session.settled(number, code)
                return
            with self._lock:
                self._session.outbox.release(number)
                self._frames.append(PUBREL_HEAD + identifier)
        elif kind == PUBREL:
            with self._lock:
                self._received.pop(identifier, None)
                self._frames.append(PUBCOMP_HEAD + identifier)
        else:
            self._session.settled(number, code)

    def _hand_to_paho(self, command: int, body: bytes) -> None:
        kind = command & 0xF0
        if kind == DISCONNECT and body:
            self._goodbye_reason = (
                f"the broker ended the connection: {ReasonCode(PacketTypes.DISCONNECT, identifier=body[0])}"
            )
            self._session.ended_by_broker(body[0])
        elif kind == CONNACK and not self.version5 and len(body) == 2 and body[1] == 1:  # noqa: PLR2004
            # Paho would try MQTT 3.1 or say nothing.
            self._session.refused(0x84, "Unsupported protocol version", None)
        client = self._fast
        client._in_packet = {  # noqa: SLF001
            "command": command,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        code = client._packet_handle()  # noqa: SLF001
        if code > 0:
            self._end(code)
        else:
            self._tell()

    # ------------------------------------------------------------------ holding back

    @override
    def pause(self, paused: bool) -> None:
        self._paused = paused
        if not paused:
            self._stir()

    def _hold(self, packet: bytes) -> None:
        if self._read_for_answers and not must_be_held(packet, aliases=self._receives_aliases):
            self._session.dropped(topic_of(packet).decode(errors="replace"))
        else:
            self._held.add(packet)

    def _release_held(self, limit: int) -> int:
        handled = 0
        while self._held.waiting and handled < limit and not self._paused:
            frame = self._held.take()
            handled += 1
            decoded = decode_length(frame, 1, len(frame))
            if decoded is not None:
                self._publish_received(frame, frame[0], decoded[1], len(frame))
        return handled

    @property
    @override
    def pending(self) -> bool:
        if self._paused and not self.wants_read:
            return False
        return bool(self._held.waiting and not self._paused) or super().pending

    # ------------------------------------------------------------------ writing

    @override
    def publish(self, message: OutgoingMessage, again: bool) -> None:
        identifier = message.identifier.to_bytes(2)
        if message.released:
            frame = PUBREL_HEAD + identifier
        else:
            frame = self._encode(message.prepared, message.payload, identifier, again)
        self._unsent_bytes += len(frame)
        self._frames.append(frame)

    @override
    def publish_at_most_once(self, prepared: PreparedPublish, payload: bytes) -> bool:
        if self._unsent_bytes > UNSENT_BYTES:
            return False
        frame = self._encode(prepared, payload, b"", False)
        self._unsent_bytes += len(frame)
        self._frames.append(frame)
        return True

    def _encode(self, prepared: PreparedPublish, payload: bytes, identifier: bytes, again: bool) -> bytes:
        if self._aliases.send_limit:
            prepared = self._aliases.shorten(prepared)
        return encode_publish(prepared, payload, identifier, self.version5, again)

    @override
    def acknowledge(self, identifier: bytes, qos: int) -> None:
        if qos == 1:
            self._frames.append(PUBACK_HEAD + identifier)
        else:
            self._received[identifier] = True
            self._frames.append(PUBREC_HEAD + identifier)

    @override
    def subscribe(
        self, filters: Sequence[tuple[str, int]], request: int, restored: bool, identifier: int | None = None
    ) -> None:
        self._ask_to_subscribe(filters, request, restored, identifier)

    @override
    def unsubscribe(self, filters: Sequence[str], request: int) -> None:
        self._ask_to_unsubscribe(filters, request)

    @override
    def flush(self) -> None:
        """Write everything queued in one call, as far as the socket takes it."""
        opened = self._fast.socket()
        frames = self._frames
        counters = self._session.counters
        while opened is not None:
            if self._unsent is None:
                count = len(frames)
                if not count:
                    if self._unanswered:
                        self._unanswered = False
                        self._acknowledge_quickly(opened)
                    if self._fast.said_goodbye:
                        self._end(MQTTErrorCode.MQTT_ERR_CONN_LOST)
                    return
                self._unsent = memoryview(b"".join([frames.popleft() for _ in range(count)]))
                with self._lock:
                    # Acknowledgements and the like are sent too, and were not counted in.
                    self._unsent_bytes = max(0, self._unsent_bytes - len(self._unsent))
            try:
                sent = opened.send(self._unsent)  # type: ignore[arg-type]  # paho's socket type asks for bytes only
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self.error = error
                # Why it was closed may have been said before: a TLS alert, a DISCONNECT.
                if not self._session.stood:
                    self._read()
                self._end(MQTTErrorCode.MQTT_ERR_CONN_LOST)
                return
            self._unanswered = False
            counters.socket_writes += 1
            counters.bytes_sent += sent
            self._fast._last_msg_out = time.monotonic()  # noqa: SLF001
            if sent < len(self._unsent):
                self._unsent = self._unsent[sent:]
            else:
                self._unsent = None


_QOS2 = frozenset({PUBREC, PUBREL, PUBCOMP})
_SHORT = "a packet is shorter than its parts"
