"""The running bridge: connection, layers and announcements, kept up by periodic tasks, and an orderly end."""

import asyncio
import gc
from collections.abc import Callable, Iterable

from communicator.common.exception import ProtocolConnectionError
from data_bridge import VERSION
from data_bridge.announcements.announcer import TICK_SECONDS, Announcer
from data_bridge.announcements.retained_states import RetainedStates
from data_bridge.catalog.store import CatalogStore
from data_bridge.damaged_files import DamagedFile, DamagedFiles, check_file
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import DeadLetterStore
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import get_logger, reopen_log_files
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.pipeline.ways import Ways
from data_bridge.reasons import Reason
from data_bridge.runtime.broker_watch import BrokerWatch
from data_bridge.runtime.catalog_reloader import CatalogReloader
from data_bridge.runtime.command_queue import CommandQueue
from data_bridge.runtime.commands import CommandContext, Commands
from data_bridge.runtime.event_reporter import EventReporter
from data_bridge.runtime.health import INTERVAL_SECONDS
from data_bridge.runtime.health_writer import HealthWriter
from data_bridge.runtime.limited_reports import LimitedReports
from data_bridge.runtime.metrics import BrokerMetrics, Metrics
from data_bridge.runtime.mqtt import BrokerLink
from data_bridge.runtime.periodic import Periodic
from data_bridge.runtime.problems import SHOWN_SECONDS, Problems, ProblemType, reused_trace_text
from data_bridge.runtime.session_filters import SessionFilters
from data_bridge.settings import Settings

_LOG = get_logger("data_bridge")
# How long after the first connect retained states of an earlier run are taken.
_RETAINED_SECONDS = 2.0
# How often it is looked whether the broker has answered the subscriptions of a catalog, which is then kept.
_KEEP_SECONDS = 0.25
# How often everything is announced that a broker without retained messages does not keep for later readers.
_AGAIN_SECONDS = 60.0


class Bridge:
    """One bridge: `run` connects, carries messages until `stop`, and ends without losing any."""

    def __init__(self, settings: Settings, damaged_before: Iterable[DamagedFile] = ()) -> None:
        """Load the catalog and open the dead-letter store; construct it on the event loop.

        `damaged_before` are files that were found damaged before there was a bridge to report them.

        Raises:
            CatalogError: the catalog cannot be used, and there is no last good one.
            SettingsError: a secret's file cannot be read.
            DamagedFileError: a damaged file cannot be moved aside.
            DeadLetterStoreError: the store cannot be used.
        """
        self._settings = settings
        self._reporter = EventReporter(_LOG, lambda: self._link.connected)
        self._damaged = DamagedFiles(self._reporter.damaged_file)
        for each in damaged_before:
            self._damaged.report(each)
        self._damaged.run(lambda: check_file(settings.health_path))
        self._topics = settings.own_topics
        self._stopping = asyncio.Event()
        self._link = BrokerLink(settings, self._connected, self._disconnected, self._unhandled, self._dropped)
        self._connection = self._link.connection
        self._catalogs = CatalogStore(settings.catalog_files(), settings.data_directory / "last-good-catalog.json")
        loaded = self._damaged.run(self._catalogs.start)
        self._filters = self._damaged.run(lambda: SessionFilters(settings.data_directory / "subscriptions.json"))
        self._problems = Problems(self._reporter.problem)
        self._broker_watch = self._damaged.run(
            lambda: BrokerWatch(
                self._connection, self._problems, self._reporter.warning, settings.data_directory / "broker.json"
            )
        )
        self._limited = LimitedReports(self._reporter.publish)
        self._letters = DeadLetterWriter(self._damaged.run(lambda: _open_store(settings)), _LOG, self._damaged)
        self._pipeline = Pipeline(
            self._connection,
            settings,
            loaded.catalog,
            self._dead_letter,
            self._limited.rejections,
            _log_message if settings.logging.level == "debug" else None,
            self._report_reused_trace,
        )
        self._announcer = Announcer(
            self._connection, self._topics, settings.name, settings.announcements, self._limited.record_refusal
        )
        self._reporter.publish_with(self._announcer.event)
        self._reloader = CatalogReloader(
            self._catalogs,
            loaded,
            self._pipeline,
            self._announcer,
            self._set_wanted,
            self._forget_answers,
            lambda: self._connection.is_subscribed,
        )
        self._retained = RetainedStates(self._connection, self._topics, self._pipeline, self._announcer.forget)
        self._metrics = Metrics(
            self._pipeline,
            self._letters,
            self._announcer,
            self._catalogs,
            BrokerMetrics(self._connection, self._broker_watch, self._problems, self._damaged, self._reporter),
        )
        self._health = HealthWriter(
            settings.health_path, self._link, self._broker_watch, self._letters, self._problems, self._metrics.now
        )
        commands = Commands(
            CommandContext(settings, self._pipeline, self._letters, self._reloader.reload_on_command, self._metrics.now)
        )
        self._commands = CommandQueue(self._connection, commands.execute, self._announcer.result)
        self._periodic = Periodic(_LOG)

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping.set()

    def reopen_log_files(self) -> None:
        """Write the log to new files from now on: the old ones may have been renamed."""
        if files := reopen_log_files():
            _LOG.info("log_file_reopened", files=files)

    async def run(self) -> None:
        """Carry messages until `stop` is called.

        Raises:
            ProtocolError: the broker refuses us for good.
        """
        try:
            await asyncio.to_thread(self._pipeline.open, self._damaged)
            _LOG.info("starting", version=VERSION, bridge_id=self._settings.bridge_id)
            self._reloader.report_loaded()
            self._set_wanted(self._pipeline.ways)
            # Before the connection: a kept session sends its queued messages at once, and they need their handlers.
            self._retained.listen()
            self._broker_watch.listen()
            self._commands.listen(self._topics.command)
            self._pipeline.start()
            if not await self._connect():
                return
            self._commands.start()
            self._begin_periodic_tasks()
            # Objects made up to here live as long as the process: the collector need not look at them again.
            gc.collect()
            gc.freeze()
            await self._stopping.wait()
        finally:
            await self._end()

    async def _connect(self) -> bool:
        """Connect, trying again while there is no broker; False when asked to stop meanwhile."""
        delay = self._settings.broker.reconnect_minimum
        while not self._stopping.is_set():
            try:
                await self._link.connect()
            except ProtocolConnectionError as error:
                _LOG.warning("broker_unreachable", error=str(error), next_attempt_seconds=delay)
                self._broker_watch.attempt_failed(error.reason)
                self._health.write()
                try:
                    async with asyncio.timeout(delay):
                        await self._stopping.wait()
                except TimeoutError:
                    delay = min(delay * 2, self._settings.broker.reconnect_maximum)
            else:
                return True
        return False

    async def _end(self) -> None:
        """Take no more input, wait for the messages in flight, say goodbye, and close everything."""
        self._connection.pause()
        await self._commands.stop()
        # Letters of inputs too: one that is stored after the goodbye was never acknowledged, and comes again.
        seconds = self._settings.delivery.stop_timeout
        completion = self._pipeline.transport.completion
        undone, unstored = await asyncio.gather(completion.drain(seconds), self._letters.drain(seconds))
        if undone or unstored:
            note = "unacknowledged input is sent again"
            _LOG.warning("stopped_with_open_messages", count=undone, dead_letters_waiting=unstored, note=note)
        await self._periodic.stop()
        self._announce_states(last=True)
        self._limited.flush(everything=True)
        self._announcer.goodbye()
        await self._reloader.keep()
        was_connected = self._link.connected
        await self._link.disconnect()
        if was_connected:
            # The broker has read our goodbye after the first messages of each connection.
            self._note_filters(self._filters.end_stale)
        self._pipeline.transport.close()
        await self._letters.close()
        self._health.remove()
        _LOG.info("stopped")

    # ------------------------------------------------------------ the connection

    def _connected(self) -> None:
        _LOG.info("connected", host=self._settings.broker.host, port=self._settings.broker.port)
        for each in self._filters.stale:
            self._connection.unsubscribe(each)
        self._announcer.announce(self._pipeline.states.values())
        self._reporter.connected()
        self._broker_watch.connected()
        self._reloader.connected()
        self._health.write()

    def _disconnected(self, reason: str) -> None:
        if not self._stopping.is_set():
            _LOG.warning("disconnected", reason=reason)
            self._broker_watch.disconnected(reason)
        self._health.write()

    def _unhandled(self, topic: str) -> None:
        # Our own states come back for a moment after those of an earlier run were read.
        if not self._is_own(topic):
            self._pipeline.rejections.count(Reason.UNSUBSCRIBED, f"no rule of this catalog reads {topic}")

    def _dropped(self, topic: str) -> None:
        if not self._is_own(topic):
            text = f"deliveries are slower than the input of QoS 0 on {topic}"
            self._pipeline.rejections.count(Reason.OVERLOAD, text)

    def _is_own(self, topic: str) -> bool:
        return topic.startswith((f"{self._topics.root}/", "$SYS/"))

    def _set_wanted(self, ways: Ways) -> None:
        self._note_filters(lambda: self._filters.set_wanted(ways.table.subscribed))

    def _forget_answers(self, ways: Ways) -> None:
        """Forget the SUBACKs of subscriptions that have ended."""
        self._broker_watch.keep([*ways.table.subscribed, self._topics.command])

    def _note_filters(self, note: Callable[[], None]) -> None:
        try:
            note()
        except OSError as error:
            _LOG.warning("subscriptions_not_kept", error=str(error))

    # ------------------------------------------------------------ again and again

    def _begin_periodic_tasks(self) -> None:
        settings = self._settings
        every = self._periodic.every
        every(_KEEP_SECONDS, "last good catalog", self._reloader.keep)
        every(TICK_SECONDS, "states", self._announce_states)
        every(settings.announcements.metrics_interval, "metrics", self._announce_metrics)
        every(INTERVAL_SECONDS, "dead-letter store", self._health.check_store)
        every(INTERVAL_SECONDS, "health", self._health.write)
        every(5.0, "problems", self._problems.end_overdue)
        every(_AGAIN_SECONDS, "announcements without retained messages", self._announce_again)
        every(5.0, "overdue log lines", self._limited.flush)
        every(min(1.0, settings.deduplication.ttl / 8), "de-duplication", self._pipeline.deduplication.rotate_when_due)
        if settings.catalogs.watch:
            every(settings.catalogs.watch, "catalog watch", self._reloader.reload_when_changed)
        asyncio.get_running_loop().call_later(_RETAINED_SECONDS, self._end_of_retained_states)

    def _end_of_retained_states(self) -> None:
        if not self._stopping.is_set():
            self._retained.end()
            self._link.unroute(self._retained.topic_filter)
            self._forget_answers(self._pipeline.ways)

    def _announce_states(self, last: bool = False) -> None:
        transport = self._pipeline.transport
        changed, transport.changed = transport.changed, []
        announce = self._announcer.flush if last else self._announcer.tick
        announce(changed, self._pipeline.states)

    def _announce_metrics(self) -> None:
        metrics = self._metrics.interval()
        self._announcer.metrics(metrics)
        _LOG.debug("metrics", **metrics)

    def _announce_again(self) -> None:
        # Without retained messages an announcement reaches present subscribers only.
        if self._link.connected and ProblemType.BROKER_WITHOUT_RETAINED in self._problems:
            self._announcer.announce(self._pipeline.states.values())

    # ------------------------------------------------------------ reports

    def _report_reused_trace(self, trace_id: str, topic: str) -> None:
        text = reused_trace_text(trace_id, topic, by_key=self._settings.deduplication.identity == "trace_and_key")
        self._problems.meet(ProblemType.TRACE_ID_REUSED, text, seconds=SHOWN_SECONDS)

    def _dead_letter(self, letter: DeadLetter, on_stored: Callable[[], None]) -> None:
        self._letters.add(letter, on_stored)
        self._limited.record_dead_letter(letter)


def _log_message(topic: str, payload: bytes) -> None:
    _LOG.debug("received", topic=topic, bytes=len(payload), payload=payload[:200].decode(errors="replace"))


def _open_store(settings: Settings) -> DeadLetterStore:
    limits = settings.dead_letters
    return DeadLetterStore(settings.dead_letter_path, limits.maximum_entries, limits.maximum_bytes)
