"""The MQTT client of the bridge: its settings, and its connection on the bridge's event loop."""

from collections.abc import Callable

from communicator.common.exception import ProtocolValidationError
from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol
from communicator.protocols.mqtt.tls import client_context
from data_bridge.announcements.announcer import OFFLINE
from data_bridge.settings import Settings, SettingsError


def connection_settings(settings: Settings) -> MQTTConfig:
    """Return the MQTT client's settings: a fixed client id and a session that outlives the process.

    Raises:
        SettingsError: the password's file cannot be read.
    """
    broker = settings.broker
    tls = broker.tls
    return MQTTConfig(
        broker_address=broker.host,
        port=broker.port,
        timeout=broker.timeout,
        keepalive=broker.keepalive,
        username=broker.username,
        password=settings.broker_password(),
        client_id=f"iot_data_bridge-{settings.bridge_id}",
        clean_start=False,
        session_expiry_interval=broker.session_expiry,
        protocol_version=broker.protocol,
        reconnect_initial_delay=broker.reconnect_minimum,
        reconnect_max_delay=broker.reconnect_maximum,
        receive_maximum=broker.receive_maximum,
        max_inflight=broker.max_inflight,
        publish_queue_maxsize=broker.queue_size,
        tls=tls.enabled or None,
        ca_certs=str(tls.ca_certs) if tls.ca_certs else None,
        certfile=str(tls.certfile) if tls.certfile else None,
        keyfile=str(tls.keyfile) if tls.keyfile else None,
        # A broker with fewer features is used with lower QoS; the bridge reports the limited guarantees.
        lower_to_broker=True,
    )


def check_connection(settings: Settings) -> None:
    """Refuse files that the connection needs and cannot use; a connection is not made.

    Raises:
        SettingsError: with the setting.
    """
    config = connection_settings(settings)
    if config.uses_tls:
        try:
            client_context(config)
        except ProtocolValidationError as error:
            raise SettingsError(settings.complain("broker.tls", str(error))) from error


class BrokerLink:
    """One MQTT client with the bridge's last will."""

    def __init__(
        self,
        settings: Settings,
        connected: Callable[[], None],
        disconnected: Callable[[str], None],
        unhandled: Callable[[str], None],
        dropped: Callable[[str], None],
    ) -> None:
        self.connection = MQTTProtocol(connection_settings(settings))
        self.connection.set_will(settings.own_topics.availability, OFFLINE, 1, True)
        self.connection.callbacks.connected = connected
        self.connection.callbacks.disconnected = disconnected
        self.connection.callbacks.unhandled = unhandled
        self.connection.callbacks.dropped = dropped

    @property
    def connected(self) -> bool:
        """Return whether the broker has accepted the connection."""
        return self.connection.is_connected

    async def connect(self) -> None:
        """Connect; from then on a lost connection is made again by itself.

        Raises:
            ProtocolError: there is no connection, and why.
        """
        await self.connection.connect_async()

    async def disconnect(self) -> None:
        """Send the waiting messages and disconnect."""
        await self.connection.disconnect_async()

    def unroute(self, topic_filter: str) -> None:
        """Unsubscribe."""
        self.connection.unsubscribe(topic_filter)
