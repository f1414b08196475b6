"""The bytes of MQTT packets that the fast path writes and reads itself (MQTT 3.1.1 and 5.0, sections 2 and 3.3)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from communicator.common.exception import ProtocolDecodeError, ProtocolValidationError
from communicator.protocols.mqtt.properties import encode_properties, new_properties
from communicator.topics import MAXIMUM_BYTES, check_text, check_topic

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
PUBREC = 0x50
PUBREL = 0x60
PUBCOMP = 0x70
DISCONNECT = 0xE0

DUPLICATE = 0x08
QOS_BITS = 0x06
RETAIN = 0x01

PUBACK_HEAD = b"\x40\x02"
PUBREC_HEAD = b"\x50\x02"
PUBREL_HEAD = b"\x62\x02"
PUBCOMP_HEAD = b"\x70\x02"

MAXIMUM_REMAINING_LENGTH = 268_435_455
MAXIMUM_EXPIRY = 4_294_967_295
FAILURE = 0x80
"""Reason codes from here on are failures (MQTT 5.0, section 2.4)."""

SUBSCRIPTION_IDENTIFIER = 0x0B
_TOPIC_ALIAS = 0x23
_OVERHEAD = 12
"""Bytes of a PUBLISH beside topic, properties and payload, at most: type, lengths, packet identifier, topic alias."""
_LENGTH_BYTES = 4


def encode_length(length: int) -> bytes:
    """Return a variable byte integer (MQTT 5.0, section 1.5.5).

    Raises:
        ProtocolValidationError: it is above 268,435,455.
    """
    if length < _KNOWN_LENGTHS:
        return _LENGTHS[length]
    return _encode_length(length)


def _encode_length(length: int) -> bytes:
    if length > MAXIMUM_REMAINING_LENGTH:
        raise ProtocolValidationError(f"an MQTT packet may have {MAXIMUM_REMAINING_LENGTH} bytes, not {length}")
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        if not length:
            encoded.append(low)
            return bytes(encoded)
        encoded.append(low | 0x80)


_KNOWN_LENGTHS = 4096
_LENGTHS = tuple(_encode_length(length) for length in range(_KNOWN_LENGTHS))


def decode_length(data: bytes, position: int, end: int) -> tuple[int, int] | None:
    """Return a variable byte integer and where it ends, or None when its bytes are not all there yet.

    Raises:
        ProtocolDecodeError: it has more than four bytes.
    """
    length = 0
    for shift in range(_LENGTH_BYTES):
        if position >= end:
            return None
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004 -- the continuation bit
            return length, position
    raise ProtocolDecodeError("a packet's length has more than four bytes")


@dataclass(frozen=True, slots=True)
class PreparedPublish:
    """What all PUBLISH packets of one topic, QoS and set of properties have in common, encoded once."""

    topic: str
    qos: int
    retain: bool
    command: int
    topic_bytes: bytes
    topic_part: bytes  # with its two length bytes
    properties: Properties | None
    properties_part: bytes  # with its length; only MQTT 5.0 carries it
    most_bytes: int  # of the packet beside the payload, at most


def prepare_publish(
    topic: str,
    qos: int,
    retain: bool,
    *,
    message_expiry: int | None = None,
    user_properties: Iterable[tuple[str, str]] = (),
    response_topic: str | None = None,
    correlation_data: bytes | None = None,
    content_type: str | None = None,
) -> PreparedPublish:
    """Check and encode everything of a PUBLISH but its payload; `message_expiry` is in seconds.

    Raises:
        ProtocolValidationError: the topic, the QoS or a property is impossible.
    """
    encoded = check_topic(topic)
    check_qos(qos)
    properties: Properties | None = None
    pairs = [(str(name), str(value)) for name, value in user_properties]
    for text in (*(text for pair in pairs for text in pair), content_type or ""):
        check_text("property", text)
    if pairs or any(value is not None for value in (message_expiry, response_topic, correlation_data, content_type)):
        properties = new_properties(PacketTypes.PUBLISH)
        if message_expiry is not None:
            if not 0 <= message_expiry <= MAXIMUM_EXPIRY:
                raise ProtocolValidationError(f"message_expiry must be 0..{MAXIMUM_EXPIRY} s, not {message_expiry}")
            properties.MessageExpiryInterval = message_expiry
        if response_topic is not None:
            check_topic(response_topic)
            properties.ResponseTopic = response_topic
        if correlation_data is not None:
            if len(correlation_data) > MAXIMUM_BYTES:
                raise ProtocolValidationError(f"correlation_data may have {MAXIMUM_BYTES} bytes")
            properties.CorrelationData = correlation_data
        if content_type is not None:
            properties.ContentType = content_type
        if pairs:
            properties.UserProperty = pairs
    properties_part = encode_properties(properties)
    return PreparedPublish(
        topic=topic,
        qos=qos,
        retain=retain,
        command=PUBLISH | qos << 1 | (RETAIN if retain else 0),
        topic_bytes=encoded,
        topic_part=len(encoded).to_bytes(2) + encoded,
        properties=properties,
        properties_part=properties_part,
        most_bytes=len(encoded) + len(properties_part) + _OVERHEAD,
    )


def lower_publish(prepared: PreparedPublish, maximum_qos: int, retain_available: bool) -> PreparedPublish:
    """Return the same with a QoS of at most `maximum_qos`, and not retained where nothing is kept."""
    qos, retain = min(prepared.qos, maximum_qos), prepared.retain and retain_available
    if (qos, retain) == (prepared.qos, prepared.retain):
        return prepared
    return replace(prepared, qos=qos, retain=retain, command=PUBLISH | qos << 1 | (RETAIN if retain else 0))


def check_qos(qos: int) -> int:
    """Return the QoS.

    Raises:
        ProtocolValidationError: it is not 0, 1 or 2.
    """
    if qos not in (0, 1, 2):
        raise ProtocolValidationError(f"QoS must be 0, 1 or 2, not {qos!r}")
    return qos


def with_topic_alias(prepared: PreparedPublish, alias: int, *, named: bool) -> PreparedPublish:
    """Return the same with a topic alias; `named` with the topic too, as the first use of an alias must."""
    decoded = decode_length(prepared.properties_part, 0, len(prepared.properties_part))
    content = prepared.properties_part[decoded[1] :] if decoded else b""
    properties_part = encode_length(len(content) + 3) + bytes((_TOPIC_ALIAS,)) + alias.to_bytes(2) + content
    topic_part = prepared.topic_part if named else b"\0\0"
    return replace(prepared, topic_part=topic_part, properties_part=properties_part)


def encode_publish(
    prepared: PreparedPublish, payload: bytes, identifier: bytes, version5: bool, duplicate: bool
) -> bytes:
    """Return a whole PUBLISH packet; `identifier` is its packet identifier in two bytes, or empty for QoS 0."""
    topic_part = prepared.topic_part
    command = prepared.command | DUPLICATE if duplicate else prepared.command
    properties = prepared.properties_part if version5 else b""
    length = len(topic_part) + len(identifier) + len(properties) + len(payload)
    # encode_length() without the call, for nearly all
    encoded = _LENGTHS[length] if length < _KNOWN_LENGTHS else encode_length(length)
    return b"".join((_COMMANDS[command], encoded, topic_part, identifier, properties, payload))


_COMMANDS = tuple(bytes((command,)) for command in range(256))
