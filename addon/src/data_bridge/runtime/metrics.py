"""The numbers that a running bridge tells: since its start, but for the latencies, which are of the last interval."""

import time
from dataclasses import dataclass

from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol
from data_bridge.announcements.announcer import Announcer
from data_bridge.catalog.store import CatalogStore
from data_bridge.damaged_files import DamagedFiles
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.runtime.broker_watch import BrokerWatch
from data_bridge.runtime.event_reporter import EventReporter
from data_bridge.runtime.problems import Problems


@dataclass(frozen=True, slots=True)
class BrokerMetrics:
    """The numbers of the connection, and the problems that need a person."""

    connection: MQTTProtocol
    watch: BrokerWatch
    problems: Problems
    damaged: DamagedFiles
    reporter: EventReporter

    def now(self) -> dict[str, object]:
        """Return the numbers."""
        statistics = self.connection.statistics()
        return {
            "connections_lost": statistics.connections_lost,
            "connection_attempts_failed": statistics.connect_failures,
            "subscriptions_refused": statistics.subscriptions_refused,
            "broker_dropped": self.watch.dropped,
            "lossless": self.watch.lossless,
            "files_damaged": self.damaged.count,
            "problems": self.problems.current(),
        }


class Metrics:
    """Collects from all parts; `interval` also begins a new interval of latencies."""

    def __init__(
        self,
        pipeline: Pipeline,
        letters: DeadLetterWriter,
        announcer: Announcer,
        catalogs: CatalogStore,
        broker: BrokerMetrics,
    ) -> None:
        self._pipeline = pipeline
        self._letters = letters
        self._announcer = announcer
        self._catalogs = catalogs
        self._broker = broker
        self._started = time.monotonic()
        self._latencies: tuple[float | None, float | None] = (None, None)

    def now(self) -> dict[str, object]:
        """Return the numbers."""
        transport = self._pipeline.transport
        p50, p99 = self._latencies
        return {
            "ts": round(time.time(), 3),
            "uptime": round(time.monotonic() - self._started),
            "received": self._pipeline.input.received,
            "mapped": transport.completion.mapped,
            "delivered": transport.completion.finished,
            "retried": transport.failures.retried,
            "skipped": self._pipeline.skipped(),
            "dead_letters": self._letters.stored,
            "inputs_not_kept": self._pipeline.rejections.not_kept,
            "deliveries_not_kept": transport.failures.not_kept,
            "dead_letters_dropped": self._letters.dropped,
            "queue_depth": transport.completion.open,
            "backlog": transport.backlog + self._letters.waiting,
            "latency_p50_ms": p50,
            "latency_p99_ms": p99,
            "traces_not_written": transport.completion.unwritten,
            "traces_reused": self._pipeline.input.reused_traces,
            "traces_remembered": len(self._pipeline.deduplication),
            "traces_forgotten_early": self._pipeline.deduplication.early_rotations,
            "states_sent": self._announcer.states_sent,
            "states_waiting": self._announcer.waiting,
            "events_dropped": self._announcer.events_dropped + self._broker.reporter.dropped,
            "catalog_version": self._pipeline.catalog.catalog.version,
            "catalogs_refused": dict(self._catalogs.refusals),
            "catalog_copies_failed": self._catalogs.copies_failed,
            **self._broker.now(),
        }

    def interval(self) -> dict[str, object]:
        """Return the numbers with the latencies since the last call."""
        histogram = self._pipeline.transport.completion.histogram
        self._latencies = (_rounded(histogram.quantile(0.5)), _rounded(histogram.quantile(0.99)))
        histogram.reset()
        return self.now()


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
