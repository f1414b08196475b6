"""Whether the broker answers: one message to itself and back."""

import queue
import secrets
from dataclasses import dataclass

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

# Below it only the health check may read or write.
TOPIC = "healthcheck"


class UnhealthyError(RuntimeError):
    """The broker did not answer, or not as it should."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens, and who asks."""

    host: str
    port: int
    username: str
    password: str


def round_trip(broker: Broker, seconds: float) -> None:
    """Publish one message and wait until it comes back.

    Raises:
        UnhealthyError: it did not within `seconds`, or the broker cannot be reached or refused.
    """
    answers: queue.SimpleQueue[bytes | UnhealthyError] = queue.SimpleQueue()
    token = secrets.token_hex(8)
    topic = f"{TOPIC}/{token}"

    def connected(
        client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            answers.put(UnhealthyError(f"the broker refused the health check: {reason}"))
        else:
            client.subscribe(topic, qos=1)

    def subscribed(
        client: Client, _data: object, _message_id: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            answers.put(UnhealthyError(f"the broker refused the health check's subscription: {reasons[0]}"))
        else:
            client.publish(topic, token, qos=1)

    def received(_client: Client, _data: object, message: MQTTMessage) -> None:
        answers.put(message.payload)

    client = Client(CallbackAPIVersion.VERSION2, f"healthcheck-{token}", protocol=MQTTv5)
    client.username_pw_set(broker.username, broker.password)
    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_message = received
    client.connect_timeout = seconds
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise UnhealthyError(f"the broker at {broker.host}:{broker.port} cannot be reached: {error}") from error
    client.loop_start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise UnhealthyError(f"no answer of the broker within {seconds:g} s") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if isinstance(answer, UnhealthyError):
        raise answer
    if answer != token.encode():
        raise UnhealthyError("the broker sent another message back than it got")
