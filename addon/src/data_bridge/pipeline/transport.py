"""The transport layer: sends the mapped values, and answers for every message until its last delivery is safe."""

from collections.abc import Callable, Sequence
from time import perf_counter_ns

from orjson import dumps

from data_bridge.catalog.casts import Value
from data_bridge.dead_letters.letter import DeadLetter, DeadLetterSink
from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.delivery.completion import Completion
from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage, Mapped
from data_bridge.pipeline.delivery.ordering import KeyedQueue
from data_bridge.pipeline.delivery.sender import Sender
from data_bridge.pipeline.device_state import DeviceState
from data_bridge.pipeline.resolver import Fanout, Output, encode


class Transport:
    """Delivers values over MQTT, retries, dead-letters, and acknowledges the input when all is safe.

    With `ordered` messages of one trace are sent one after the other; without, a trace is one message.
    """

    def __init__(
        self,
        connection: Connection,
        deduplication: Deduplication,
        dead_letter: DeadLetterSink,
        limiter: RateLimiter,
        *,
        tries: int = 3,
        backoff: float = 0.2,
        ordered: bool = False,
        redeliveries: Redeliveries | None = None,
    ) -> None:
        self.redeliveries = redeliveries or Redeliveries(1)
        # Devices whose state changed since the announcer last looked.
        self.changed: list[DeviceState] = []
        self._connection = connection
        self._publish = connection.publish_prepared
        self._dead_letter = dead_letter
        topics = KeyedQueue(self._send_released)
        self.completion = completion = Completion(connection, deduplication, self.redeliveries, topics, self._refused)
        self._sender = Sender(connection, completion, topics, limiter, tries=tries, backoff=backoff, ordered=ordered)
        self.failures = self._sender.failures
        # For the hot path, which does part of the completion and of the sending itself.
        self.in_flight = completion.in_flight
        self._acknowledged = completion.acknowledged
        self._acknowledge = completion.acknowledge
        self._counts = completion.counts
        self._queue = self._sender.queue
        self._topics = topics.queues
        self._by_packet = self.redeliveries.in_flight
        self._seen = deduplication
        self._remember = deduplication.enabled

    def deliver(
        self,
        fanout: Fanout,
        value: Value,
        identity: str | None,
        trace_id: str,
        ack_token: int,
        started: int,
        digest: int,
    ) -> None:
        """Send one value to all targets of a fanout that has some, with QoS 1; `digest` is that of the message."""
        payload = fanout.head + dumps(value) + b"}"
        targets = fanout.targets
        name = fanout.object
        message = InFlightMessage(identity, trace_id, ack_token, started, len(targets), digest)
        self.completion.mapped += 1
        if identity is not None:
            self.in_flight[identity] = message
        for prepared, state, output in targets:
            attempt = (message, output, payload, name, 1)
            if not self._publish(prepared, payload, self._acknowledged, attempt):
                self._queue(attempt)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)

    def deliver_qos0(  # noqa: C901 -- a call costs more here
        self,
        fanout: Fanout,
        value: Value,
        identity: str | None,
        trace_id: str,
        ack_token: int,
        started: int,
        digest: int,
    ) -> None:
        """Do the same with QoS 0, where a message is delivered when the connection has it."""
        payload = fanout.head + dumps(value) + b"}"
        name = fanout.object
        unsent: list[Output] | None = None
        self.completion.mapped += 1
        for prepared, state, output in fanout.targets:
            if not self._publish(prepared, payload):
                if unsent is None:
                    unsent = []
                unsent.append(output)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)
        if unsent is not None:
            message = InFlightMessage(identity, trace_id, ack_token, started, len(unsent), digest)
            if identity is not None:
                self.in_flight[identity] = message
            for output in unsent:
                attempt = (message, output, payload, name, 1)
                if not self.failures.given_up(attempt):
                    self._queue(attempt)
            return
        completion = self.completion
        completion.finished += 1
        elapsed = perf_counter_ns() - started
        bits = elapsed.bit_length()
        self._counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        if identity is not None and self._remember:
            self._seen.current[identity] = digest
            self._seen.unwritten.append(identity)
            if not completion.writing:
                completion.write_soon()
        if ack_token:
            self._acknowledge(ack_token)

    def deliver_topic(
        self,
        fanout: Fanout,
        value: Value,
        topic: str | None,
        ack_token: int,
        started: int,
        packet: int,
        digest: int,
    ) -> None:
        """Do as `deliver` for a message of a topic rule: `deliver_all` for one fanout that has targets, with QoS 1."""
        payload = fanout.head + dumps(value) + b"}"
        targets = fanout.targets
        name = fanout.object
        message = InFlightMessage(None, "", ack_token, started, len(targets), digest)
        self.completion.mapped += 1
        if packet:
            message.packet = packet
            self._by_packet[packet] = message
        now = True
        if topic is not None:
            message.topic = topic
            if topic in self._topics:
                now = False
            else:
                self._topics[topic] = None
        for prepared, state, output in targets:
            if now:
                attempt = (message, output, payload, name, 1)
                if not self._publish(prepared, payload, self._acknowledged, attempt):
                    self._queue(attempt)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)
        if not now and topic is not None:
            self._sender.wait_for_topic(topic, [(message, output, payload, name, 1) for _, _, output in targets])

    def deliver_all(
        self,
        mapped: Mapped,
        identity: str | None,
        trace_id: str,
        ack_token: int,
        started: int,
        on_done: Callable[[bool], None] | None = None,
        packet: int = 0,
        topic: str | None = None,
        parts: Sequence[DeadLetter] = (),
        digest: int | None = None,
    ) -> None:
        """Send all values of one message, whatever their fanouts need; each must have an output.

        `digest` is that of the message, and `packet` its packet identifier: a message without an identity has both when
        it is sent again. One without a trace id waits for those before it of the same `topic`, if that is given.
        `parts` are letters of the rest of the message: it is done when they are stored too.
        """
        remaining = sum(len(fanout.outputs) for fanout, _ in mapped) + len(parts)
        message = InFlightMessage(identity, trace_id, ack_token, started, remaining, digest)
        # First of all: a fault that it meets may cost this message, but not the ordering key of those behind it.
        attempts = self._encode(message, mapped)
        if on_done is not None:
            message.mark_requested()
            message.add_done_callback(on_done)
        if packet:
            message.packet = packet
            self._by_packet[packet] = message
        self.completion.mapped += 1
        if identity is not None:
            self.in_flight[identity] = message
        self._sender.send_in_order(message, topic, attempts)
        for part in parts:
            self._dead_letter(part, lambda: self.completion.delivered(message))

    def _encode(self, message: InFlightMessage, mapped: Mapped) -> list[DeliveryAttempt]:
        attempts: list[DeliveryAttempt] = []
        for fanout, value in mapped:
            plain = encode(fanout, value)
            for output in fanout.outputs:
                payload = plain if output.template is None else output.template(value, message.trace_id)
                state = output.state
                if state is not None:
                    state.values[fanout.object] = value
                    state.changed_ns = message.started
                    if not state.dirty:
                        state.dirty = True
                        self.changed.append(state)
                attempts.append((message, output, payload, fanout.object, 1))
        return attempts

    def resend(self, letter: DeadLetter, number: int, on_done: Callable[[bool], None]) -> None:
        """Send the delivery of the dead letter `number` again, as it was; if it fails, it is kept under its number."""
        prepared = self._connection.prepare(letter.topic, letter.qos, letter.retain)
        output = Output(letter.device, letter.topic, letter.qos, prepared, None, None, letter.retain)
        message = InFlightMessage(None, letter.trace_id, 0, perf_counter_ns(), 1)
        message.add_done_callback(on_done)
        message.mark_requested((number, letter.attempts))
        self.completion.mapped += 1
        attempt = (message, output, letter.payload, letter.object, 1)
        self._sender.send_or_queue(attempt)

    def _refused(self, attempt: DeliveryAttempt, reason_code: int) -> None:
        self.failures.refused(attempt, reason_code)

    def _send_released(self, attempts: list[DeliveryAttempt]) -> None:
        self._sender.send_released(attempts)

    @property
    def backlog(self) -> int:
        """Return how many deliveries wait for room in the connection's queue, or for their ordering key."""
        return self._sender.backlog

    def close(self) -> None:
        """Cancel all retries. Input that was not acknowledged is sent again by its broker."""
        self._sender.close()
        self.completion.close()
