"""The MQTT client: `MQTTProtocol`, with the settings of both generations of its API."""

import secrets
import threading
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, topic_matches_sub
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from communicator.common.exception import (
    ProtocolAuthenticationError,
    ProtocolConnectionError,
    ProtocolTimeoutError,
)
from communicator.interfaces.protocol import MessageCallback, PubSubProtocol
from communicator.protocols.mqtt.configuration import BrokerConfig, ClientConfig, MQTTConfig, combine

__all__ = ["BrokerConfig", "ClientConfig", "MQTTConfig", "MQTTProtocol"]


class MQTTProtocol(PubSubProtocol):
    """An MQTT client."""

    def __init__(
        self,
        config: MQTTConfig | BrokerConfig | str | None = None,
        client: ClientConfig | None = None,
        **settings: Any,  # noqa: ANN401 -- the fields of MQTTConfig
    ) -> None:
        if isinstance(config, BrokerConfig):
            self.config = combine(config, client or ClientConfig())
        elif isinstance(config, MQTTConfig):
            self.config = config
        elif config is not None:
            self.config = MQTTConfig(config, **settings)
        else:
            self.config = MQTTConfig(**settings)
        self._callbacks: dict[str, list[tuple[MessageCallback, int]]] = {}
        self._lock = threading.RLock()
        self._answered = threading.Event()
        self._refusal: ReasonCode | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.config.client_id or f"eq1-{secrets.token_hex(8)}",
            clean_session=self.config.clean_start,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        if self.config.username is not None:
            self._client.username_pw_set(self.config.username, self.config.password)
        if self.config.uses_tls:
            self._client.tls_set(self.config.ca_certs, self.config.certfile, self.config.keyfile)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    @property
    def is_connected(self) -> bool:
        """Tell whether the broker has accepted us."""
        return self._client.is_connected()

    def set_will(self, topic: str, payload: str | bytes, qos: int = 0, retain: bool = False) -> None:
        """Set the message that the broker publishes when this client is lost; before connect()."""
        self._client.will_set(topic, payload, qos, retain)

    def connect(self) -> bool:
        """Connect, and return True when the broker accepted."""
        self._answered.clear()
        try:
            self._client.connect(self.config.broker_address, self.config.port, self.config.keepalive)
        except OSError as error:
            raise ProtocolConnectionError(str(error), host=self.config.broker_address, port=self.config.port) from error
        self._client.loop_start()
        if not self._answered.wait(self.config.timeout):
            self.disconnect()
            raise ProtocolTimeoutError("no answer", host=self.config.broker_address, port=self.config.port)
        if self._refusal is not None:
            self.disconnect()
            raise ProtocolAuthenticationError(
                str(self._refusal), host=self.config.broker_address, port=self.config.port
            )
        return True

    def disconnect(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self.stop_loop()

    def stop_loop(self) -> None:
        """Stop the network thread."""
        self._client.loop_stop()

    def publish(self, topic: str, message: str | bytes, qos: int | None = None, retain: bool = False) -> bool:
        """Publish one message."""
        self._client.publish(topic, message, self.config.default_qos if qos is None else qos, retain)
        return True

    def subscribe(self, topic: str, callback: MessageCallback, qos: int | None = None) -> bool:
        """Subscribe."""
        qos = self.config.default_qos if qos is None else qos
        with self._lock:
            self._callbacks.setdefault(topic, []).append((callback, qos))
        self._client.subscribe(topic, qos)
        return True

    def unsubscribe(self, topic: str, callback: MessageCallback | None = None) -> bool:  # noqa: ARG002 -- selective soon
        """End a subscription."""
        with self._lock:
            self._callbacks.pop(topic, None)
        self._client.unsubscribe(topic)
        return True

    def _on_connect(
        self, client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._refusal = reason if reason.is_failure else None
        with self._lock:
            for topic, entries in self._callbacks.items():
                client.subscribe(topic, max(qos for _, qos in entries))
        self._answered.set()

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with self._lock:
            matching = [
                callback
                for topic, entries in self._callbacks.items()
                if topic_matches_sub(topic, message.topic)
                for callback, _ in entries
            ]
        for callback in matching:
            callback(message.topic, message.payload)
