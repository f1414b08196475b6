"""The running bridge: connection, layers and announcements, kept up by periodic tasks, and an orderly end."""

import asyncio
import gc
from collections.abc import Callable, Iterable
from dataclasses import asdict

from communicator.common.exception import ProtocolConnectionError
from data_bridge import VERSION
from data_bridge.announcements.announcer import TICK_SECONDS, Announcer
from data_bridge.announcements.retained_states import RetainedStates
from data_bridge.catalog.file_watch import REST_SECONDS
from data_bridge.catalog.model import Catalog
from data_bridge.catalog.store import CatalogDeferredError, CatalogStore, Loaded
from data_bridge.damaged_files import DamagedFile, DamagedFiles, check_file
from data_bridge.dead_letters.letter import Undelivered
from data_bridge.dead_letters.store import DeadLetterStore
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.log_file import reopen_log_files
from data_bridge.logs import LimitedLog, get_logger
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.pipeline.ways import Ways
from data_bridge.reasons import Reason
from data_bridge.runtime.broker_watch import BrokerWatch
from data_bridge.runtime.commands import Answer, CommandContext, CommandError, Commands, command_id, refusal
from data_bridge.runtime.event_reporter import EventReporter
from data_bridge.runtime.health import INTERVAL_SECONDS, write_health
from data_bridge.runtime.metrics import BrokerMetrics, Metrics
from data_bridge.runtime.mqtt import BrokerLink
from data_bridge.runtime.periodic import Periodic
from data_bridge.runtime.problems import Problems, ProblemType
from data_bridge.runtime.session_filters import SessionFilters
from data_bridge.settings import Settings
from data_bridge.yaml_documents import CatalogError

_LOG = get_logger("data_bridge")
# How long after the first connect retained states of an earlier run are taken.
_RETAINED_SECONDS = 2.0
_MOST_COMMANDS = 100
# How often a reload on command waits for files that are being written.
_MOST_LOOKS = 20
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
        self._damaged = DamagedFiles(self._report_damaged_file)
        for each in damaged_before:
            self._damaged.report(each)
        self._damaged.run(lambda: check_file(settings.health_path))
        self._topics = settings.own_topics
        self._stopping = asyncio.Event()
        self._link = BrokerLink(settings, self._connected, self._disconnected, self._unhandled, self._dropped)
        self._connection = self._link.connection
        self._catalogs = CatalogStore(settings.catalog_files(), settings.data_directory / "last-good-catalog.json")
        loaded = self._damaged.run(self._catalogs.start)
        self._refused_at_start = loaded.refused
        self._filters = self._damaged.run(lambda: SessionFilters(settings.data_directory / "subscriptions.json"))
        self._problems = Problems(self._report_problem)
        self._broker_watch = self._damaged.run(
            lambda: BrokerWatch(
                self._connection, self._problems, self._reporter.warning, settings.data_directory / "broker.json"
            )
        )
        self._reloading = asyncio.Lock()
        self._limited = LimitedLog(self._say_skipped)
        self._limited_letters = LimitedLog(self._say_dead_letter)
        letters = settings.dead_letters
        store = self._damaged.run(
            lambda: DeadLetterStore(settings.dead_letter_path, letters.maximum_entries, letters.maximum_bytes)
        )
        self._letters = DeadLetterWriter(store, _LOG, self._damaged)
        self._pipeline = Pipeline(
            self._connection,
            settings,
            loaded.catalog,
            self._dead_letter,
            self._limited,
            self._watch_message if settings.logging.level == "debug" else None,
        )
        self._settle(loaded)
        self._limited_announcements = LimitedLog(self._say_not_announced)
        self._announcer = Announcer(
            self._connection, self._topics, settings.name, settings.announcements, self._not_announced
        )
        self._reporter.publish_with(self._announcer.event)
        self._announcer.use(self._pipeline.announcement.payload, self._pipeline.states.keys())
        self._retained = RetainedStates(self._connection, self._topics, self._pipeline, self._announcer.forget)
        self._metrics = Metrics(
            self._pipeline,
            self._letters,
            self._announcer,
            self._catalogs,
            BrokerMetrics(self._connection, self._broker_watch, self._problems, self._damaged, self._reporter),
        )
        self._commands: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue(_MOST_COMMANDS)
        self._command_executor = Commands(
            CommandContext(settings, self._pipeline, self._letters, self._reload_on_command, self._metrics.now)
        )
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
        commands: asyncio.Task[None] | None = None
        try:
            await asyncio.to_thread(self._pipeline.open, self._damaged)
            self._report_start()
            self._want(self._pipeline.ways)
            # Before the connection: a session that was kept sends what waits at once, and it must find its handlers.
            self._retained.listen()
            self._broker_watch.listen()
            self._connection.route(self._topics.command, self._receive_command, 1)
            self._pipeline.start()
            if not await self._connect():
                return
            commands = asyncio.get_running_loop().create_task(self._carry_out_commands(), name="commands")
            self._begin_periodic_tasks()
            # What was made up to here lives as long as the process: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await self._stopping.wait()
        finally:
            await self._end(commands)

    async def _connect(self) -> bool:
        """Connect, trying again while there is no broker; False when asked to stop meanwhile."""
        delay = self._settings.broker.reconnect_minimum
        while not self._stopping.is_set():
            try:
                await self._link.connect()
            except ProtocolConnectionError as error:
                _LOG.warning("broker_unreachable", error=str(error), next_attempt_seconds=delay)
                self._broker_watch.attempt_failed(error.reason)
                self._write_health()
                try:
                    async with asyncio.timeout(delay):
                        await self._stopping.wait()
                except TimeoutError:
                    delay = min(delay * 2, self._settings.broker.reconnect_maximum)
            else:
                return True
        return False

    async def _end(self, commands: asyncio.Task[None] | None) -> None:
        """Take no more input, wait for what is under way, say goodbye, and close everything."""
        self._connection.pause()
        if commands is not None:
            commands.cancel()
            await asyncio.gather(commands, return_exceptions=True)
        # Letters of inputs too: one that is stored after the goodbye was never acknowledged, and comes again.
        seconds = self._settings.delivery.stop_timeout
        left, unstored = await asyncio.gather(self._pipeline.transport.drain(seconds), self._letters.drain(seconds))
        if left or unstored:
            _LOG.warning(
                "stopped_with_open_messages",
                count=left,
                dead_letters_waiting=unstored,
                note="unacknowledged input is sent again",
            )
        await self._periodic.stop()
        self._announce_states(last=True)
        self._limited.flush(everything=True)
        self._limited_letters.flush(everything=True)
        self._limited_announcements.flush(everything=True)
        self._announcer.goodbye()
        was_connected = self._link.connected
        await self._link.disconnect()
        if was_connected:
            # The broker read our goodbye after what each connection begins with.
            self._note_filters(self._filters.end_left)
        self._pipeline.transport.close()
        await self._letters.close()
        self._settings.health_path.unlink(missing_ok=True)
        _LOG.info("stopped")

    # ------------------------------------------------------------ the connection

    def _connected(self) -> None:
        _LOG.info("connected", host=self._settings.broker.host, port=self._settings.broker.port)
        for each in self._filters.left:
            self._connection.unsubscribe(each)
        self._announcer.announce(self._pipeline.states.values())
        self._reporter.connected()
        self._broker_watch.connected()
        if self._refused_at_start is not None:
            self._say_refused(self._refused_at_start)
            self._refused_at_start = None
        self._write_health()

    def _disconnected(self, reason: str) -> None:
        if not self._stopping.is_set():
            _LOG.warning("disconnected", reason=reason)
            self._broker_watch.disconnected(reason)
        self._write_health()

    def _unhandled(self, topic: str) -> None:
        # Our own states come back for a moment after those of an earlier run were read.
        if not self._is_own(topic):
            self._pipeline.skips.count(Reason.UNSUBSCRIBED, f"no rule of this catalog reads {topic}")

    def _dropped(self, topic: str) -> None:
        if not self._is_own(topic):
            self._pipeline.skips.count(Reason.OVERLOAD, f"deliveries are slower than the input of QoS 0 on {topic}")

    def _is_own(self, topic: str) -> bool:
        return topic.startswith((f"{self._topics.root}/", "$SYS/"))

    def _want(self, ways: Ways) -> None:
        self._note_filters(lambda: self._filters.want(ways.table.subscribed))

    def _note_filters(self, note: Callable[[], None]) -> None:
        try:
            note()
        except OSError as error:
            _LOG.warning("subscriptions_not_kept", error=str(error))

    # ------------------------------------------------------------ again and again

    def _begin_periodic_tasks(self) -> None:
        settings = self._settings
        every = self._periodic.every
        every(TICK_SECONDS, "states", self._announce_states)
        every(settings.announcements.metrics_interval, "metrics", self._announce_metrics)
        every(INTERVAL_SECONDS, "dead-letter store", self._check_store)
        every(INTERVAL_SECONDS, "health", self._write_health)
        every(5.0, "problems", self._problems.end_overdue)
        every(_AGAIN_SECONDS, "announcements without retained messages", self._announce_again)
        every(5.0, "overdue log lines", self._limited.flush)
        every(5.0, "overdue dead-letter lines", self._limited_letters.flush)
        every(5.0, "overdue announcement lines", self._limited_announcements.flush)
        every(min(1.0, settings.deduplication.ttl / 8), "de-duplication", self._pipeline.deduplication.turn_when_due)
        if settings.catalogs.watch:
            every(settings.catalogs.watch, "catalog watch", self._reload_when_changed)
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

    def _write_health(self) -> None:
        try:
            write_health(
                self._settings.health_path,
                connected=self._link.connected,
                connection_error=self._broker_watch.last_error,
                store_error=self._letters.error,
                content=self._metrics.now(),
            )
        except OSError as error:
            _LOG.warning("health_file_not_written", path=str(self._settings.health_path), error=str(error))

    async def _check_store(self) -> None:
        await self._letters.check()
        if self._letters.error is None:
            self._problems.solve(ProblemType.DEAD_LETTERS_NOT_STORED)
        else:
            text = f"dead letters cannot be stored, and wait in memory: {self._letters.error}"
            self._problems.meet(ProblemType.DEAD_LETTERS_NOT_STORED, text)

    def _announce_again(self) -> None:
        # Without retained messages only those who are there hear what is said.
        if self._link.connected and ProblemType.BROKER_WITHOUT_RETAINED in self._problems:
            self._announcer.announce(self._pipeline.states.values())

    # ------------------------------------------------------------ catalogs

    async def _reload_when_changed(self) -> None:
        if not await asyncio.to_thread(self._catalogs.changed):
            return
        try:
            await self._reload()
        except CatalogDeferredError as deferred:
            self._say_deferred(deferred)
        except CatalogError as error:
            self._say_refused(error)

    async def _reload(self) -> Catalog:
        """Load, check and compile beside the running catalog, then swap between two messages."""
        async with self._reloading:
            loaded = await asyncio.to_thread(self._catalogs.load)
            ready = await asyncio.to_thread(self._pipeline.prepare, loaded.catalog)
            # Before they are subscribed.
            await asyncio.to_thread(self._want, ready.ways)
            self._pipeline.swap(ready)
            self._forget_answers(ready.ways)
            self._announcer.use(ready.announcement.payload, ready.states.keys())
            self._announcer.announce_catalog()
            await asyncio.to_thread(self._settle, loaded)
        self._say_loaded(loaded.catalog)
        return loaded.catalog

    def _settle(self, loaded: Loaded) -> None:
        try:
            self._catalogs.settle(loaded)
        except OSError as error:
            # It is in use all the same; only a later start on a bad one would go back further than this.
            _LOG.warning("catalog_copy_not_kept", version=loaded.catalog.version, error=str(error))

    async def _reload_on_command(self) -> Answer:
        try:
            catalog = await self._reload_at_rest()
        except CatalogDeferredError as deferred:
            raise CommandError(f"{deferred}; the old catalog stays") from deferred
        except CatalogError as error:
            self._say_refused(error)
            more = f" (and {len(error.more)} more errors)" if error.more else ""
            raise CommandError(f"the catalog was refused, the old one stays: {error}{more}") from error
        return {
            "version": catalog.version,
            "rules": len(catalog.rules),
            "warnings": [str(each) for each in catalog.warnings],
        }

    async def _reload_at_rest(self) -> Catalog:
        """Reload as soon as the files have come to rest.

        Raises:
            CatalogDeferredError: they do not.
        """
        for _ in range(_MOST_LOOKS):
            try:
                return await self._reload()
            except CatalogDeferredError as deferred:
                self._say_deferred(deferred)
            await asyncio.sleep(REST_SECONDS)
        return await self._reload()

    def _say_deferred(self, deferred: CatalogDeferredError) -> None:
        shrinks = deferred.shrinks
        if shrinks is not None:
            counts = asdict(shrinks)
            _LOG.warning("catalog_shrinks", **counts, note="it is used unless the files change before the next look")
            self._announcer.event("catalog_shrinks", **counts)

    def _say_loaded(self, catalog: Catalog) -> None:
        counts = {"rules": len(catalog.rules), "objects": len(catalog.objects), "devices": len(catalog.devices)}
        _LOG.info("catalog_loaded", version=catalog.version, **counts, warnings=len(catalog.warnings))
        for each in catalog.warnings[:20]:
            _LOG.warning("catalog_warning", file=str(each.path), line=each.line, text=each.text)
        omitted = self._pipeline.announcement.omitted
        if omitted:
            _LOG.warning("catalog_too_large_to_announce", objects_not_announced=omitted)
        self._announcer.event(
            "catalog_loaded",
            version=catalog.version,
            **counts,
            warnings=len(catalog.warnings),
            not_announced=omitted,
        )

    def _say_refused(self, error: CatalogError) -> None:
        for each in error.every()[:20]:
            _LOG.error("catalog_refused", file=str(each.path), line=each.line, reason=each.reason, error=each.text)
        where = {"file": str(error.path), "line": error.line, "reason": error.reason}
        self._announcer.event("catalog_refused", **where, error=error.text, errors=1 + len(error.more))

    # ------------------------------------------------------------ commands and complaints

    def _receive_command(self, _: str, payload: bytes, delivery: int) -> None:
        try:
            self._commands.put_nowait((payload, delivery))
        except asyncio.QueueFull:
            self._announcer.result(refusal(command_id(payload), f"more than {_MOST_COMMANDS} commands wait"))
            if delivery:
                self._connection.acknowledge(delivery)

    async def _carry_out_commands(self) -> None:
        while True:
            payload, delivery = await self._commands.get()
            result = await self._command_executor.execute(payload)
            try:
                self._announcer.result(result)
            except TypeError as error:
                # A result nested deeper than JSON is written; sent again, the command would only meet it again.
                self._announcer.result(refusal(result["id"], f"no answer can be written: {error}"))
            finally:
                if delivery:
                    self._connection.acknowledge(delivery)

    def _forget_answers(self, ways: Ways) -> None:
        """Forget what the broker answered to subscriptions that have ended."""
        self._broker_watch.keep([*ways.table.subscribed, self._topics.command])

    def _report_damaged_file(self, damaged: DamagedFile) -> None:
        moved_to = None if damaged.moved_to is None else str(damaged.moved_to)
        self._reporter.error("file_damaged", file=str(damaged.path), moved_to=moved_to, cause=damaged.cause)

    def _report_problem(self, problem: ProblemType, text: str | None) -> None:
        if text is None:
            self._reporter.warning("problem_solved", problem=problem.value)
        else:
            self._reporter.error(problem.value, text=text)

    def _report_start(self) -> None:
        catalog = self._pipeline.catalog.catalog
        _LOG.info("starting", version=VERSION, bridge_id=self._settings.bridge_id)
        self._say_loaded(catalog)

    def _dead_letter(self, letter: Undelivered, on_stored: Callable[[], None]) -> None:
        self._letters.add(letter, on_stored)
        target = f"{letter.device} {letter.object}" if letter.device else f"input of {letter.topic}"
        self._limited_letters.happened(letter.reason, f"{target}: {letter.detail}")

    def _say_dead_letter(self, reason: str, count: int, detail: str) -> None:
        _LOG.warning("dead_letter", reason=reason, count=count, last=detail)
        self._announcer.event("dead_letter", reason=reason, count=count, detail=detail)

    def _not_announced(self, topic: str, error: str) -> None:
        self._limited_announcements.happened("announcement_refused", f"{topic}: {error}")

    def _say_not_announced(self, event: str, count: int, last: str) -> None:
        _LOG.error(event, count=count, last=last)

    def _watch_message(self, topic: str, payload: bytes) -> None:
        _LOG.debug("received", topic=topic, bytes=len(payload), payload=payload[:200].decode(errors="replace"))

    def _say_skipped(self, reason: str, count: int, detail: str) -> None:
        _LOG.warning("skipped", reason=reason, count=count, last=detail)
        self._announcer.event("mapping_failed", reason=reason, count=count, detail=detail)
