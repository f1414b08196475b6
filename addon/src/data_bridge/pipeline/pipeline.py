"""The layers wired together: one object that takes messages and swaps catalogs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_bridge.catalog.announcement import Announcement, announce
from data_bridge.catalog.casts import Raw
from data_bridge.catalog.collector import collector_paused
from data_bridge.catalog.model import Catalog
from data_bridge.damaged_files import DamagedFiles
from data_bridge.dead_letters.letter import DeadLetterSink
from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.connection import Connection, FilterMatch, MessageHandler
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries
from data_bridge.pipeline.deduplication.trace_files import GenerationFiles
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.device_state import DeviceState, device_states
from data_bridge.pipeline.input import Input, ReportReuse
from data_bridge.pipeline.mapping import Mapping
from data_bridge.pipeline.rejections import Rejections
from data_bridge.pipeline.resolver import CompiledCatalog, compile_catalog
from data_bridge.pipeline.transport import Transport
from data_bridge.pipeline.ways import Ways
from data_bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """The ways of a catalog, with its device states and announcement."""

    ways: Ways
    states: dict[str, DeviceState]
    announcement: Announcement


class Pipeline:
    """Input, mapping, resolver and transport over one connection; `watch(topic, payload)` sees each message first."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        catalog: Catalog,
        dead_letter: DeadLetterSink,
        limited: LimitedLog,
        watch: Callable[[str, bytes], None] | None = None,
        report_reuse: ReportReuse = lambda *_: None,
    ) -> None:
        self.states: dict[str, DeviceState] = {}
        self._connection = connection
        self._settings = settings
        given = settings.deduplication
        folder: Path | None = settings.data_directory / "seen" if given.persist else None
        files = GenerationFiles(folder, given.ttl) if folder is not None else None
        self.deduplication = Deduplication(given.entries, given.ttl, files, enabled=given.enabled)
        self.redeliveries = Redeliveries(
            settings.broker.receive_maximum,
            folder / "redelivered.bin" if folder is not None and given.enabled else None,
        )
        self._by_key = by_key = given.identity == "trace_and_key"
        letters = settings.dead_letters
        self.transport = Transport(
            connection,
            self.deduplication,
            dead_letter,
            RateLimiter(dead_letter, letters.keep_per_second, letters.keep_bytes_per_second),
            tries=settings.delivery.tries,
            backoff=settings.delivery.backoff,
            ordered=by_key,
            redeliveries=self.redeliveries,
        )
        self.rejections = Rejections(
            connection.acknowledge,
            limited,
            RateLimiter(dead_letter, letters.keep_per_second, letters.keep_bytes_per_second),
            reasons=frozenset(letters.keep),
            largest=letters.too_large_bytes,
        )
        ready = self.prepare(catalog)
        self.states = ready.states
        self.announcement = ready.announcement
        self.mapping = Mapping(
            ready.ways,
            self.transport,
            self.rejections.reject,
            self.rejections.note,
            self.rejections.part,
            ordered=by_key,
            topics_ordered=settings.delivery.topic_order,
        )
        self.input = Input(
            connection,
            self.deduplication,
            self.transport,
            self.mapping,
            self.rejections.reject,
            self.rejections.count,
            report_reuse,
            maximum_bytes=settings.ingress.maximum_bytes,
            redeliveries=self.redeliveries if given.enabled else None,
            by_key=by_key,
        )
        self._watch = watch

    @property
    def catalog(self) -> CompiledCatalog:
        """Return the catalog that is in use."""
        return self.ways.catalog

    @property
    def ways(self) -> Ways:
        """Return the ways of that catalog."""
        return self.mapping.ways

    def prepare(self, catalog: Catalog) -> Ready:
        """Return the catalog ready for use: no later step can fail; safe on another thread than the loop's.

        Raises:
            ProtocolValidationError: a topic or a filter is impossible, which the loader refuses before.
        """
        with collector_paused():
            return self._prepare(catalog)

    def _prepare(self, catalog: Catalog) -> Ready:
        announcement = announce(catalog, self._settings.announcements.maximum_bytes)
        states = device_states(catalog, announcement.objects, self.states)
        compiled = compile_catalog(catalog, self._connection.prepare, states)
        return Ready(self._ways(compiled), states, announcement)

    def _ways(self, compiled: CompiledCatalog) -> Ways:
        ingress = self._settings.ingress
        return Ways(compiled, dict.fromkeys(ingress.topics, ingress.qos), self._handlers, by_key=self._by_key)

    def open(self, damaged: DamagedFiles) -> None:
        """Read the identities of an earlier process; before `start`, and best on a thread.

        Raises:
            DamagedFileError: a damaged file cannot be moved aside.
            OSError: the data directory cannot be used.
        """
        for each in damaged.run(self.deduplication.open):
            damaged.report(each)
        damaged.run(self.redeliveries.open)

    def start(self) -> None:
        """Subscribe to everything that is mapped."""
        self._connection.route_topics(self.ways.table)

    def swap(self, ready: Ready) -> None:
        """Use another catalog from the next message on."""
        earlier, self.states, self.announcement = self.states, ready.states, ready.announcement
        self.mapping.swap(ready.ways)
        self._connection.route_topics(ready.ways.table)
        for device, state in self.states.items():
            before = earlier.get(device)
            if before is None or before is state:
                continue
            state.changed_ns = before.changed_ns
            if not state.keep(before.values) or before.dirty:
                self._changed(state)

    def restore(self, device: str, values: dict[str, Raw]) -> bool:
        """Add values that an earlier process announced for a device; False when this catalog does not announce it."""
        state = self.states.get(device)
        if state is None:
            return False
        if not state.keep(values) or not state.values:
            self._changed(state)
        return True

    def _changed(self, state: DeviceState) -> None:
        if not state.dirty:
            state.dirty = True
            self.transport.changed.append(state)

    def _handlers(self, topic: str, matches: Sequence[FilterMatch]) -> list[MessageHandler]:
        handlers = self.input.handlers(topic, self.ways.of(matches))
        if self._watch is not None and handlers:
            handlers[0] = _watched(self._watch, handlers[0])
        return handlers

    def skipped(self) -> dict[str, int]:
        """Return the counts of everything that was skipped, by reason."""
        return {reason.value: count for reason, count in self.rejections.counts.items()}


def _watched(watch: Callable[[str, bytes], None], handler: MessageHandler) -> MessageHandler:
    def receive(topic: str, payload: bytes, ack_token: int) -> None:
        watch(topic, payload)
        handler(topic, payload, ack_token)

    return receive
