"""The transport layer: sends what was mapped, and answers for every message until its last delivery is safe."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns

from orjson import dumps

from data_bridge.catalog.casts import Value
from data_bridge.dead_letters.letter import DeadLetter, DeadLetterSink
from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.pipeline.connection import FAILURE, Connection, PreparedPublish
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.delivery.backpressure import Backpressure
from data_bridge.pipeline.delivery.delayed_calls import DelayedCalls
from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage, Mapped
from data_bridge.pipeline.delivery.ordering import KeyedQueue
from data_bridge.pipeline.device_state import DeviceState
from data_bridge.pipeline.histogram import LatencyHistogram
from data_bridge.pipeline.resolver import Fanout, Output, encode
from data_bridge.reasons import Reason


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
        self.in_flight: dict[str, InFlightMessage] = {}
        self.histogram = LatencyHistogram()
        self.mapped = 0  # messages
        self.finished = 0  # messages
        self.retried = 0  # deliveries
        self.dead_lettered = 0  # deliveries
        self.unwritten = 0  # times that the disk did not take the identities of what was delivered
        # Devices whose state changed since the announcer last looked.
        self.changed: list[DeviceState] = []
        self._connection = connection
        self._publish = connection.publish_prepared
        self._acknowledge = self._acknowledge_later if deduplication.persistent else connection.acknowledge
        self._counts = self.histogram.counts
        self._seen = deduplication
        self._remember = deduplication.enabled
        self._dead_letter = dead_letter
        self._limiter = limiter
        self._tries = tries
        self._backoff = backoff
        self._ordered = ordered
        self._trace_queue = KeyedQueue(self._send_waiting)
        self._topic_queue = KeyedQueue(self._send_waiting)
        self._topics = self._topic_queue.queues
        self._by_packet = self.redeliveries.in_flight
        self._delayed_calls = DelayedCalls()
        self._backpressure = Backpressure(connection, self._delayed_calls, self._submit_queued)
        self._writing = False
        self._answers: list[int] = []
        self._on_idle: asyncio.Event | None = None

    # ------------------------------------------------------------ sending

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
        """Send one value to all targets of a route that has some, with QoS 1; `digest` is that of the message."""
        payload = fanout.head + dumps(value) + b"}"
        targets = fanout.targets
        name = fanout.object
        message = InFlightMessage(identity, trace_id, ack_token, started, len(targets), digest)
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = message
        for prepared, state, output in targets:
            attempt = (message, output, payload, name, 1)
            if not self._publish(prepared, payload, self._acknowledged, attempt):
                self._backpressure.add(attempt)
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
        """Do the same with QoS 0, where what was handed to the connection is as delivered as it can be."""
        payload = fanout.head + dumps(value) + b"}"
        name = fanout.object
        unsent: list[Output] | None = None
        self.mapped += 1
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
                if not self._given_up(attempt):
                    self._backpressure.add(attempt)
            return
        self.finished += 1
        elapsed = perf_counter_ns() - started
        bits = elapsed.bit_length()
        self._counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        if identity is not None and self._remember:
            self._seen.current[identity] = digest
            self._seen.unwritten.append(identity)
            if not self._writing:
                self._write_soon()
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
        self.mapped += 1
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
                    self._backpressure.add(attempt)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)
        if not now and topic is not None:
            self._topic_queue.acquire(topic, [(message, output, payload, name, 1) for _, _, output in targets])
            self._backpressure.set_waiting(self._waiting)

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
        `parts` are letters of what the message held besides: it is done when they are stored too.
        """
        remaining = sum(len(fanout.outputs) for fanout, _ in mapped) + len(parts)
        message = InFlightMessage(identity, trace_id, ack_token, started, remaining, digest)
        # First of all: a fault that it meets may cost this message, but not the turn of those behind it.
        attempts = self._encode(message, mapped)
        if on_done is not None:
            message.mark_requested()
            message.add_done_callback(on_done)
        if packet:
            message.packet = packet
            self._by_packet[packet] = message
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = message
        now = True
        if trace_id:
            if self._ordered:
                message.release_with(partial(self._trace_queue.release, trace_id))
                now = self._trace_queue.acquire(trace_id, attempts)
        elif topic is not None:
            message.topic = topic
            now = self._topic_queue.acquire(topic, attempts)
        if now:
            self._send(attempts)
        else:
            self._backpressure.set_waiting(self._waiting)
        for part in parts:
            self._dead_letter(part, lambda: self._delivered(message))

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

    def _send_waiting(self, attempts: list[DeliveryAttempt]) -> None:
        self._backpressure.set_waiting(self._waiting)
        self._send(attempts)

    def _send(self, attempts: list[DeliveryAttempt]) -> None:
        for attempt in attempts:
            prepared = attempt[1].prepared
            if prepared is None:
                self._never_goes(attempt, Reason.NO_TRANSPORT, "the device is reached over SignalR only")
            elif not self._submit(prepared, attempt):
                self._backpressure.add(attempt)

    def _submit(self, prepared: PreparedPublish, attempt: DeliveryAttempt) -> bool:
        """Hand one delivery to the connection; False when it does not take it now."""
        if attempt[1].qos:
            return self._publish(prepared, attempt[2], self._acknowledged, attempt)
        # At QoS 0 no answer will come: what was handed to the connection is as delivered as it can be.
        if not self._publish(prepared, attempt[2]):
            return self._given_up(attempt)
        self._delivered(attempt[0])
        return True

    def _submit_queued(self, attempt: DeliveryAttempt) -> bool:
        prepared = attempt[1].prepared
        return prepared is None or self._submit(prepared, attempt)

    def resend(self, letter: DeadLetter, number: int, on_done: Callable[[bool], None]) -> None:
        """Send the delivery of the dead letter `number` again, as it was; if it fails, it is kept under its number."""
        prepared = self._connection.prepare(letter.topic, letter.qos, letter.retain)
        output = Output(letter.device, letter.topic, letter.qos, prepared, None, None, letter.retain)
        message = InFlightMessage(None, letter.trace_id, 0, perf_counter_ns(), 1)
        message.add_done_callback(on_done)
        message.mark_requested((number, letter.attempts))
        self.mapped += 1
        attempt = (message, output, letter.payload, letter.object, 1)
        if not self._submit(prepared, attempt):
            self._backpressure.add(attempt)

    # ------------------------------------------------------------ answers

    def _acknowledged(  # noqa: C901 -- a call costs more here
        self, attempt: DeliveryAttempt, reason_code: int
    ) -> None:
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
        self._counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        identity = message.identity
        if identity is not None:
            self.in_flight.pop(identity, None)
            if self._remember:
                self._seen.current[identity] = message.digest
                self._seen.unwritten.append(identity)
                if not self._writing:
                    self._write_soon()
        elif message.packet:
            self._note_delivered(message)
        if message.ack_token:
            self._acknowledge(message.ack_token)
        topic = message.topic
        if topic is not None:
            if self._topics[topic] is None:
                del self._topics[topic]
            else:
                self._topic_queue.release(topic)
        if message.extras is not None or self._on_idle is not None:
            self._follow_up(message)

    def _delivered(self, message: InFlightMessage) -> None:
        """Do what _acknowledged does, for deliveries that need no answer."""
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
                if not self._writing:
                    self._write_soon()
        elif message.packet:
            self._note_delivered(message)
        if message.ack_token:
            self._acknowledge(message.ack_token)
        if message.topic is not None:
            self._topic_queue.release(message.topic)
        self._follow_up(message)

    def _note_delivered(self, message: InFlightMessage) -> None:
        packet = message.packet
        if self._by_packet.get(packet) is message:
            del self._by_packet[packet]
        self.redeliveries.unwritten.append((packet, message.digest or 0))

    def _follow_up(self, message: InFlightMessage) -> None:
        extras = message.extras
        if extras is not None:
            for ack_token in extras.duplicate_tokens:
                self._acknowledge(ack_token)
            for on_done in extras.done_callbacks:
                on_done(message.complete)
            if extras.release_key is not None:
                extras.release_key()
        if self._on_idle is not None and self.open == 0:
            self._on_idle.set()

    # ------------------------------------------------------------ failures

    def _refused(self, attempt: DeliveryAttempt, reason_code: int) -> None:
        message, output, payload, name, try_number = attempt
        if try_number >= self._tries:
            self._give_up(attempt, Reason.REFUSED, f"the broker refused it with reason code 0x{reason_code:02x}")
            return
        self.retried += 1
        again = (message, output, payload, name, try_number + 1)

        def retry() -> None:
            if not self._submit_queued(again):
                self._backpressure.add(again)

        self._delayed_calls.later(self._backoff * 2 ** (try_number - 1), retry)

    def _given_up(self, attempt: DeliveryAttempt) -> bool:
        """Make a dead letter of what the connection did not take, if the broker never will; False if it may later.

        At QoS 1 the refusal is its answer; at QoS 0 it would wait for ever, and all input with it.
        """
        prepared = attempt[1].prepared
        refusal = None if prepared is None else self._connection.refusal(prepared, attempt[2])
        if refusal is None:
            return False
        self._never_goes(attempt, Reason.REFUSED, refusal)
        return True

    def _never_goes(self, attempt: DeliveryAttempt, reason: Reason, detail: str) -> None:
        """Make a dead letter of what no try can deliver, or only count it: no answer of a broker slows a flood down."""
        message = attempt[0]
        if message.requested or self._limiter.admits(reason, len(attempt[2]), message.ack_token):
            self._give_up(attempt, reason, detail)
            return
        message.complete = False
        self._delivered(message)

    @property
    def not_kept(self) -> int:
        """Return how many deliveries that can never go were not stored, for there were too many."""
        return self._limiter.not_kept

    def _give_up(self, attempt: DeliveryAttempt, reason: Reason, detail: str) -> None:
        message, output, payload, name, tries = attempt
        message.complete = False
        self.dead_lettered += 1
        number, before = (message.extras and message.extras.letter) or (None, 0)
        letter = DeadLetter(
            reason,
            detail,
            message.trace_id,
            output.device,
            name,
            output.topic,
            output.qos,
            output.retain,
            payload,
            before + tries,
            number=number,
        )
        self._limiter.store(letter, lambda: self._delivered(message))

    # ------------------------------------------------------------ keeping and ending

    def _acknowledge_later(self, ack_token: int) -> None:
        """Answer when the identity is written: what is answered but not known would be delivered twice after a kill."""
        self._answers.append(ack_token)
        if not self._writing:
            self._write_soon()

    def _write_soon(self) -> None:
        # One write to disk, and one batch of answers, for all the packets of this read.
        self._writing = True
        self._connection.before_write(self._write)

    def _write(self) -> None:
        self._writing = False
        for write in (self._seen.write, self.redeliveries.write):
            try:
                write()
            except (OSError, ValueError):
                # The disk is full, or the file is closed because no new one could be opened. A duplicate after a kill
                # is the lesser evil than to stop here, or to keep what the other could write in memory for ever.
                self.unwritten += 1
        answers, self._answers = self._answers, []
        self._connection.acknowledge_all(answers)

    @property
    def open(self) -> int:
        """Return how many messages wait for an answer."""
        return self.mapped - self.finished

    @property
    def backlog(self) -> int:
        """Return how many deliveries wait for room in the connection's queue, or for their trace's turn."""
        return len(self._backpressure) + self._waiting

    @property
    def _waiting(self) -> int:
        return self._trace_queue.waiting + self._topic_queue.waiting

    async def drain(self, seconds: float) -> int:
        """Wait until every message is answered, at most so long, and return how many are not."""
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
        """Cancel all timers. What was not answered will be sent again by the broker that it came from."""
        self._delayed_calls.cancel()
        self._write()
        self._seen.close()
        self.redeliveries.close()
