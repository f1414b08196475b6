"""Messages in flight until they are done: remembered, written to disk, and only then acknowledged."""

import asyncio
from collections.abc import Callable
from time import perf_counter_ns

from data_bridge.pipeline.connection import FAILURE, Connection
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage
from data_bridge.pipeline.delivery.ordering import KeyedQueue
from data_bridge.pipeline.histogram import LatencyHistogram


class Completion:
    """Counts the deliveries of each message, and acknowledges its input when the last one is safe.

    `refused(attempt, reason_code)` takes the deliveries that the broker refused. Some attributes are public for the hot
    path of the transport, which does the same for messages of QoS 0 without a call.
    """

    def __init__(
        self,
        connection: Connection,
        deduplication: Deduplication,
        redeliveries: Redeliveries,
        topics: KeyedQueue,
        refused: Callable[[DeliveryAttempt, int], None],
    ) -> None:
        self.in_flight: dict[str, InFlightMessage] = {}
        self.histogram = LatencyHistogram()
        self.counts = self.histogram.counts
        self.mapped = 0  # messages
        self.finished = 0  # messages
        self.unwritten = 0  # failed writes of the identities of delivered messages
        self.acknowledge = self._acknowledge_later if deduplication.persistent else connection.acknowledge
        self.writing = False
        self._connection = connection
        self._seen = deduplication
        self._remember = deduplication.enabled
        self._redeliveries = redeliveries
        self._by_packet = redeliveries.in_flight
        self._topics = topics
        self._topic_queues = topics.queues
        self._refused = refused
        self._ack_tokens: list[int] = []
        self._on_idle: asyncio.Event | None = None

    def acknowledged(  # noqa: C901 -- a call costs more here
        self, attempt: DeliveryAttempt, reason_code: int
    ) -> None:
        """Take the broker's answer to a delivery of QoS 1."""
        message = attempt[0]
        if reason_code >= FAILURE:
            self._refused(attempt, reason_code)
            return
        message.remaining -= 1
        if message.remaining:
            return
        self.finished += 1
        elapsed = perf_counter_ns() - message.started
        bits = elapsed.bit_length()
        # bucket_of() without the call; an elapsed time below 16 ns cannot occur.
        self.counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        identity = message.identity
        if identity is not None:
            self.in_flight.pop(identity, None)
            if self._remember:
                self._seen.current[identity] = message.digest
                self._seen.unwritten.append(identity)
                if not self.writing:
                    self.write_soon()
        elif message.packet:
            self._remember_packet(message)
        if message.ack_token:
            self.acknowledge(message.ack_token)
        topic = message.topic
        if topic is not None:
            # KeyedQueue.release() without the call where no other message of the topic waits.
            if self._topic_queues[topic] is None:
                del self._topic_queues[topic]
            else:
                self._topics.release(topic)
        if message.extras is not None or self._on_idle is not None:
            self._follow_up(message)

    def delivered(self, message: InFlightMessage) -> None:
        """Do as `acknowledged` for a delivery that needs no answer: of QoS 0, or stored as a dead letter."""
        message.remaining -= 1
        if message.remaining:
            return
        self.finished += 1
        self.histogram.record(perf_counter_ns() - message.started)
        identity = message.identity
        if identity is not None:
            self.in_flight.pop(identity, None)
            if self._remember:
                self._seen.current[identity] = message.digest
                self._seen.unwritten.append(identity)
                if not self.writing:
                    self.write_soon()
        elif message.packet:
            self._remember_packet(message)
        if message.ack_token:
            self.acknowledge(message.ack_token)
        if message.topic is not None:
            self._topics.release(message.topic)
        self._follow_up(message)

    def _remember_packet(self, message: InFlightMessage) -> None:
        packet = message.packet
        if self._by_packet.get(packet) is message:
            del self._by_packet[packet]
        self._redeliveries.unwritten.append((packet, message.digest or 0))

    def _follow_up(self, message: InFlightMessage) -> None:
        extras = message.extras
        if extras is not None:
            for ack_token in extras.duplicate_tokens:
                self.acknowledge(ack_token)
            for on_done in extras.done_callbacks:
                on_done(message.complete)
            if extras.release_key is not None:
                extras.release_key()
        if self._on_idle is not None and self.open == 0:
            self._on_idle.set()

    # ------------------------------------------------------------ identities on disk

    def _acknowledge_later(self, ack_token: int) -> None:
        """Acknowledge after the identity is written: else the message is delivered twice after a kill."""
        self._ack_tokens.append(ack_token)
        if not self.writing:
            self.write_soon()

    def write_soon(self) -> None:
        """Write to disk, and acknowledge, once for all the packets of this read."""
        self.writing = True
        self._connection.before_write(self.write)

    def write(self) -> None:
        """Write the identities of delivered messages, and acknowledge those that wait for it."""
        self.writing = False
        for write in (self._seen.write, self._redeliveries.write):
            try:
                write()
            except (OSError, ValueError):
                # The disk is full, or the file is closed because no new one could be opened. A duplicate after a kill
                # is the lesser evil than to stop here, or to keep what the other could write in memory for ever.
                self.unwritten += 1
        ack_tokens, self._ack_tokens = self._ack_tokens, []
        self._connection.acknowledge_all(ack_tokens)

    # ------------------------------------------------------------ the end

    @property
    def open(self) -> int:
        """Return the number of messages in flight."""
        return self.mapped - self.finished

    async def drain(self, seconds: float) -> int:
        """Wait until no message is in flight, at most so long, and return how many are."""
        self._on_idle = asyncio.Event()
        try:
            if self.open:
                async with asyncio.timeout(seconds):
                    await self._on_idle.wait()
        except TimeoutError:
            pass
        finally:
            self._on_idle = None
        return self.open

    def close(self) -> None:
        """Write and acknowledge the rest, and close the files."""
        self.write()
        self._seen.close()
        self._redeliveries.close()
