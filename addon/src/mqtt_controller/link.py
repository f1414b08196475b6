"""The basket's connection to the broker: commands in; updates, session and availability out; the last will."""

import logging
import threading
from collections.abc import Callable

from communicator.common.exception import ProtocolAuthenticationError, ProtocolError
from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol, ReceivedMessage
from mqtt_controller.settings import Settings

CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS = 30
RETRY_FIRST_SECONDS = 1.0
RETRY_LAST_SECONDS = 30.0

ONLINE = "online"
OFFLINE = "offline"
# What Home Assistant publishes when it has come up or found its broker again.
BIRTH = b"online"

log = logging.getLogger(__name__)


class Link:
    """Connects in the background and keeps trying. The callbacks run in threads of the link.

    `on_command` gets each payload of the command topic, `on_refused` the broker's reason when it does not let this
    user in.
    """

    def __init__(
        self, settings: Settings, on_command: Callable[[bytes], None], on_refused: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._on_command = on_command
        self._on_refused = on_refused
        self._closing = threading.Event()
        self._connections = 0
        self._offline_seen = threading.Event()
        self._birth_seen = threading.Event()
        self._mqtt = MQTTProtocol(
            MQTTConfig(
                broker_address=settings.host,
                port=settings.port,
                timeout=CONNECT_SECONDS,
                keepalive=KEEPALIVE_SECONDS,
                username=settings.user,
                password=settings.password if settings.user else None,
                reconnect_initial_delay=RETRY_FIRST_SECONDS,
                reconnect_max_delay=RETRY_LAST_SECONDS,
            )
        )
        self._mqtt.set_will(settings.availability_topic, OFFLINE, qos=1, retain=True)
        self._mqtt.callbacks.connected = self._count_connection
        # Before connect(), so that the basket listens when it says that it is online.
        self._mqtt.subscribe(settings.availability_topic, self._take_availability, qos=1)
        self._mqtt.observe(settings.command_topic, self._take_command, qos=1)
        self._mqtt.observe(settings.birth_topic, self._take_birth, qos=1)
        self._connector = threading.Thread(target=self._connect, name="mqtt-connector")

    @property
    def connection(self) -> int | None:
        """Return the number of the connection that stands, a new one for each; None without one."""
        return self._connections if self._connections and self._mqtt.is_connected else None

    def start(self) -> None:
        """Begin to connect."""
        log.info("Connecting to %s:%d as %s", self._settings.host, self._settings.port, self._settings.root)
        self._connector.start()

    def close(self) -> None:
        """Say goodbye and disconnect; the broker publishes no last will after that, so this does."""
        self._closing.set()
        if self._connector.ident is not None:
            self._connector.join()
        if self.connection is not None:
            self._publish(self._settings.availability_topic, OFFLINE.encode(), qos=1, retain=True)
        self._mqtt.disconnect()

    def announce(self) -> bool:
        """Publish that the basket is online."""
        self._offline_seen.clear()
        return self._publish(self._settings.availability_topic, ONLINE.encode(), qos=1, retain=True)

    def called_offline(self) -> bool:
        """Tell whether the broker says that we are offline, as when the last will of a dead connection comes late."""
        return self._offline_seen.is_set()

    def server_came_up(self) -> bool:
        """Tell whether a server said since the last call that it has just come up."""
        seen = self._birth_seen.is_set()
        self._birth_seen.clear()
        return seen

    def say_session(self, payload: bytes) -> bool:
        """Publish the session; return False when there is no connection to do so."""
        return self.connection is not None and self._publish(self._settings.session_topic, payload, qos=1, retain=True)

    def send(self, payload: bytes) -> bool:
        """Publish one update; return False when there is no connection to do so."""
        return self.connection is not None and self._publish(self._settings.update_topic, payload, qos=0, retain=False)

    def _publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        try:
            return self._mqtt.publish(topic, payload, qos=qos, retain=retain)
        except ProtocolError as error:
            log.warning("Could not publish on %s: %s", topic, error)
            return False

    def _connect(self) -> None:
        delay = RETRY_FIRST_SECONDS
        reported = False
        while not self._closing.is_set():
            try:
                self._mqtt.connect()
            except ProtocolAuthenticationError as error:
                self._on_refused(str(error))
                return
            except ProtocolError as error:
                if not reported:
                    log.warning("No connection to the broker yet: %s; trying again", error)
                reported = True
                self._closing.wait(delay)
                delay = min(2 * delay, RETRY_LAST_SECONDS)
            else:
                return

    def _count_connection(self) -> None:
        self._connections += 1

    def _take_command(self, message: ReceivedMessage) -> None:
        if message.retain:
            # It may be of yesterday, and would begin a session without a customer.
            log.warning(
                "Ignored a retained message on %s, left there by some server; an empty retained message clears it",
                message.topic,
            )
        else:
            self._on_command(message.payload)

    def _take_availability(self, _topic: str, payload: bytes) -> None:
        if payload != ONLINE.encode():
            self._offline_seen.set()

    def _take_birth(self, message: ReceivedMessage) -> None:
        # A retained one says that a server came up at some time; at a new connection everything is said anyway.
        if message.payload == BIRTH and not message.retain:
            self._birth_seen.set()
