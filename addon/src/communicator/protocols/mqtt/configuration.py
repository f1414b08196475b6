"""The settings of an MQTT client, in the two shapes that are in the field."""

from dataclasses import dataclass, field
from typing import Literal, TypedDict

from communicator.common.exception import ProtocolValidationError

Mode = Literal["non-blocking", "blocking"]
"""non-blocking: a call returns when its message is on the way. blocking: when the broker has confirmed it."""

ProtocolVersion = Literal["3.1.1", "5.0"]

Transport = Literal["tcp", "websockets"]

MAXIMUM_PORT = 65535
MAXIMUM_UINT16 = 65535
MAXIMUM_UINT32 = 4_294_967_295


@dataclass(frozen=True, slots=True)
class MQTTConfig:
    """All settings of a client. Its publish and subscribe use QoS 1 unless told otherwise.

    Seconds everywhere; None means "not set". Passwords are not shown by `repr`.
    """

    broker_address: str
    port: int = 1883
    timeout: float = 60  # for connect, and for each confirmation in blocking mode
    keepalive: int = 60
    mode: Mode = "non-blocking"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: str | None = None  # PEM file of the authorities to trust; with it the connection is TLS
    tls_version: int | None = (
        None  # ssl.TLSVersion: the oldest allowed, 1.2 by default. ssl.PROTOCOL_… means the default
    )
    session_expiry_interval: int = 3600  # MQTT 5: how long the broker keeps the session after the connection is lost
    max_reconnect_attempts: int | None = None  # None: endless
    reconnect_initial_delay: float = 1
    reconnect_max_delay: float = 60
    heartbeat_check_ratio: float = (
        0.5  # the heartbeat is checked every keepalive * ratio seconds, at least every second
    )
    publish_queue_maxsize: int = 1000  # messages that wait, above those that are in flight

    client_id: str | None = None  # None: a new random one, so that no two clients throw each other out
    clean_start: bool = True  # False, with a client_id: the broker's session outlives this program
    protocol_version: ProtocolVersion | None = None  # None: 5.0, or 3.1.1 when the broker does not know it
    tls: bool | None = None  # None: when ca_certs or certfile is set. True without ca_certs: the system's authorities
    certfile: str | None = None  # PEM file of the client's own certificate
    keyfile: str | None = None
    keyfile_password: str | None = field(default=None, repr=False)
    tls_insecure: bool = False  # True: accept any certificate. For a bench, never for a network
    receive_maximum: int = 1000  # MQTT 5: messages of QoS 1 and 2 that the broker may send without an acknowledgement
    max_inflight: int = 1000  # messages of QoS 1 and 2 that we send without one; the broker's own maximum counts too
    transport: Transport = "tcp"  # "websockets": on paho's public interface, without the fast path
    websocket_path: str = "/mqtt"
    topic_alias_maximum: int = 0  # MQTT 5: aliases used in both directions, as far as the broker allows
    default_qos: int = 1
    lower_to_broker: bool = False  # MQTT 5: True sends at the broker's highest QoS, and not retained, what it refuses

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the setting.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        rules = (
            (bool(self.broker_address), "broker_address must not be empty"),
            (0 < self.port <= MAXIMUM_PORT, f"port must be 1..{MAXIMUM_PORT}, not {self.port}"),
            (self.timeout > 0, f"timeout must be above 0 s, not {self.timeout}"),
            (0 <= self.keepalive <= MAXIMUM_UINT16, f"keepalive must be 0..{MAXIMUM_UINT16} s, not {self.keepalive}"),
            (
                self.mode in ("blocking", "non-blocking"),
                f'mode must be "blocking" or "non-blocking", not {self.mode!r}',
            ),
            (
                0 <= self.session_expiry_interval <= MAXIMUM_UINT32,
                f"session_expiry_interval must be 0..{MAXIMUM_UINT32} s, not {self.session_expiry_interval}",
            ),
            (
                self.max_reconnect_attempts is None or self.max_reconnect_attempts >= 0,
                f"max_reconnect_attempts must not be negative, but is {self.max_reconnect_attempts}",
            ),
            (
                0 < self.reconnect_initial_delay <= self.reconnect_max_delay,
                "reconnect_initial_delay must be above 0 s and not above reconnect_max_delay",
            ),
            (
                0 < self.heartbeat_check_ratio <= 1,
                f"heartbeat_check_ratio must be above 0 and not above 1, not {self.heartbeat_check_ratio}",
            ),
            (
                self.publish_queue_maxsize > 0,
                f"publish_queue_maxsize must be above 0, not {self.publish_queue_maxsize}",
            ),
            (
                self.clean_start or bool(self.client_id),
                "clean_start=False needs a client_id: the session is kept under it",
            ),
            (
                self.protocol_version in (None, "3.1.1", "5.0"),
                f'protocol_version must be "3.1.1", "5.0" or None, not {self.protocol_version!r}',
            ),
            (self.password is None or self.username is not None, "a password needs a username"),
            (
                0 < self.receive_maximum <= MAXIMUM_UINT16,
                f"receive_maximum must be 1..{MAXIMUM_UINT16}, not {self.receive_maximum}",
            ),
            (
                0 < self.max_inflight <= MAXIMUM_INFLIGHT,
                f"max_inflight must be 1..{MAXIMUM_INFLIGHT}, not {self.max_inflight}",
            ),
            (
                0 <= self.topic_alias_maximum <= MAXIMUM_UINT16,
                f"topic_alias_maximum must be 0..{MAXIMUM_UINT16}, not {self.topic_alias_maximum}",
            ),
            (
                self.transport in ("tcp", "websockets"),
                f'transport must be "tcp" or "websockets", not {self.transport!r}',
            ),
            (self.default_qos in (0, 1, 2), f"default_qos must be 0, 1 or 2, not {self.default_qos}"),
        )
        for right, message in rules:
            if not right:
                raise ProtocolValidationError(message)

    @property
    def uses_tls(self) -> bool:
        """Tell whether the connection is TLS."""
        return self.tls if self.tls is not None else self.ca_certs is not None or self.certfile is not None


class MQTTSettings(TypedDict, total=False):
    """The fields of `MQTTConfig` as keyword arguments."""

    broker_address: str
    port: int
    timeout: float
    keepalive: int
    mode: Mode
    username: str | None
    password: str | None
    ca_certs: str | None
    tls_version: int | None
    session_expiry_interval: int
    max_reconnect_attempts: int | None
    reconnect_initial_delay: float
    reconnect_max_delay: float
    heartbeat_check_ratio: float
    publish_queue_maxsize: int
    client_id: str | None
    clean_start: bool
    protocol_version: ProtocolVersion | None
    tls: bool | None
    certfile: str | None
    keyfile: str | None
    keyfile_password: str | None
    tls_insecure: bool
    receive_maximum: int
    max_inflight: int
    transport: Transport
    websocket_path: str
    topic_alias_maximum: int
    default_qos: int
    lower_to_broker: bool


MAXIMUM_INFLIGHT = 60_000
"""Packet identifiers above it belong to SUBSCRIBE and UNSUBSCRIBE, so that they never meet a message's."""


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """Where the broker is: the first half of the first generation of settings. Publish and subscribe use QoS 0."""

    broker_address: str
    port: int = 1883
    keepalive: int = 60
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 60
    mode: Mode = "non-blocking"
    ca_certs: str | None = None


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How the client behaves: the second half of the first generation of settings."""

    client_id: str | None = None
    clean_session: bool = True
    session_expiry_interval: int = 3600
    max_reconnect_attempts: int | None = None
    reconnect_initial_delay: float = 1
    reconnect_max_delay: float = 60
    publish_queue_maxsize: int = 1000


def combine(broker: BrokerConfig, client: ClientConfig) -> MQTTConfig:
    """Return the settings of the first generation in the shape of the second."""
    return MQTTConfig(
        broker_address=broker.broker_address,
        port=broker.port,
        timeout=broker.timeout,
        keepalive=broker.keepalive,
        mode=broker.mode,
        username=broker.username,
        password=broker.password,
        ca_certs=broker.ca_certs,
        session_expiry_interval=client.session_expiry_interval,
        max_reconnect_attempts=client.max_reconnect_attempts,
        reconnect_initial_delay=client.reconnect_initial_delay,
        reconnect_max_delay=client.reconnect_max_delay,
        publish_queue_maxsize=client.publish_queue_maxsize,
        client_id=client.client_id,
        clean_start=client.clean_session,
        default_qos=0,
    )
