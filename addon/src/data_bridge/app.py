"""The running bridge: settings, connection, layers, announcements, and an orderly end."""

import asyncio

from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol
from data_bridge.announce import OFFLINE, TICK_SECONDS, Announcer, availability_topic
from data_bridge.catalogs.loader import load
from data_bridge.dead_letter_writer import DeadLetterWriter
from data_bridge.dead_letters import DeadLetterStore
from data_bridge.logs import LimitedLog, get_logger
from data_bridge.pipeline import Pipeline
from data_bridge.plain_connection import PlainConnection
from data_bridge.settings import Settings

_LOG = get_logger("data_bridge")


def connection_settings(settings: Settings) -> MQTTConfig:
    """Return the MQTT client's settings: a fixed client id and a session that outlives the process."""
    broker = settings.broker
    tls = broker.tls
    return MQTTConfig(
        broker_address=broker.host,
        port=broker.port,
        keepalive=broker.keepalive,
        username=broker.username,
        password=broker.password_text(),
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
    )


class Bridge:
    """One bridge: `run` connects, carries messages until `stop`, and ends without losing any."""

    def __init__(self, settings: Settings) -> None:
        """Load the catalog and open the dead-letter store.

        Raises:
            CatalogError: the catalog cannot be used.
            SettingsError: a secret's file cannot be read.
            OSError, sqlite3.Error: the data directory cannot be used.
        """
        self._settings = settings
        self._stopping = asyncio.Event()
        self._catalog = load(settings.catalog_files())
        self._config = connection_settings(settings)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    async def run(self) -> None:
        """Carry messages until `stop` is called.

        Raises:
            ProtocolError: the broker refuses us for good.
        """
        loop = asyncio.get_running_loop()
        root = self._settings.root
        protocol = MQTTProtocol(self._config)
        protocol.set_will(availability_topic(root), OFFLINE, 1, True)
        connection = PlainConnection(protocol, loop)
        store = DeadLetterStore(self._settings.dead_letter_path, self._settings.dead_letters.maximum_entries)
        letters = DeadLetterWriter(store, _LOG)
        limited = LimitedLog(self._say_skipped)
        pipeline = Pipeline(
            connection,
            self._settings,
            self._catalog,
            letters.add,
            limited,
            unroute=protocol.unsubscribe,
        )
        announcer = Announcer(
            connection, root, self._settings.bridge_id, self._settings.name, self._settings.announcements
        )
        announcer.use(self._catalog)
        await asyncio.to_thread(protocol.connect)
        pipeline.deduplication.open()
        pipeline.start()
        announcer.announce(pipeline.states.values())
        try:
            while not self._stopping.is_set():
                changed, pipeline.transport.changed = pipeline.transport.changed, []
                announcer.tick(changed, pipeline.states)
                await asyncio.sleep(TICK_SECONDS)
        finally:
            announcer.goodbye()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(protocol.disconnect)
            pipeline.transport.close()
            await letters.close()

    def _say_skipped(self, reason: str, count: int, detail: str) -> None:
        _LOG.warning("skipped", reason=reason, count=count, last=detail)
