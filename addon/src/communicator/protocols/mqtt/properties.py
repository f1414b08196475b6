"""Paho's MQTT 5.0 properties behind types: paho's own class has none."""

from dataclasses import dataclass

from paho.mqtt.properties import Properties


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """What an MQTT 5.0 message carries beside its payload; all empty with MQTT 3.1.1. Expiry in seconds."""

    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: str | None = None
    message_expiry: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()


def new_properties(packet_type: int) -> Properties:
    """Return empty properties for one of paho's `PacketTypes`."""
    return Properties(packet_type)  # type: ignore[no-untyped-call]  # paho's __init__ has no annotations


def encode_properties(properties: Properties | None) -> bytes:
    """Return properties with their length before them."""
    return b"\0" if properties is None else bytes(properties.pack())  # type: ignore[no-untyped-call]  # the same


def decode_properties(packet_type: int, data: bytes) -> Properties:
    """Return the properties at the beginning of `data`.

    Raises:
        MQTTException, ValueError, IndexError, KeyError or struct.error: they are not MQTT.
    """
    properties = new_properties(packet_type)
    properties.unpack(data)  # type: ignore[no-untyped-call]  # the same
    return properties


def read_properties(properties: Properties | None) -> MessageProperties:
    """Return a received message's properties."""
    if properties is None:
        return MessageProperties()
    return MessageProperties(
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        content_type=getattr(properties, "ContentType", None),
        message_expiry=getattr(properties, "MessageExpiryInterval", None),
        user_properties=tuple(getattr(properties, "UserProperty", ())),
    )
