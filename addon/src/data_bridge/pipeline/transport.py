"""The transport layer: sends what was mapped, and answers for every message until its last delivery is safe."""

import asyncio
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from orjson import dumps

from data_bridge.catalog.casts import Value
from data_bridge.dead_letters.letter import DeadLetterSink, Undelivered
from data_bridge.dead_letters.rate_limit import KeepBudget
from data_bridge.pipeline.connection import FAILURE, Connection, PreparedPublish
from data_bridge.pipeline.deduplication.redeliveries import Key, Redeliveries
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.delivery.backpressure import Backpressure
from data_bridge.pipeline.delivery.message import Mapped, Pending, Token
from data_bridge.pipeline.delivery.ordering import Turns
from data_bridge.pipeline.delivery.timers import Timers
from data_bridge.pipeline.device_state import DeviceState
from data_bridge.pipeline.histogram import LatencyHistogram
from data_bridge.pipeline.resolver import Output, Route, encode
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
        budget: KeepBudget,
        *,
        tries: int = 3,
        backoff: float = 0.2,
        ordered: bool = False,
        redeliveries: Redeliveries | None = None,
    ) -> None:
        self.redeliveries = redeliveries or Redeliveries(1)
        self.in_flight: dict[str, Pending] = {}
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
        self._budget = budget
        self._tries = tries
        self._backoff = backoff
        self._ordered = ordered
        self._traces = Turns(self._send_held)
        self._topics = Turns(self._send_held)
        self._timers = Timers()
        self._backpressure = Backpressure(connection, self._timers, self._submit_kept)
        self._writing = False
        self._answers: list[int] = []
        self._on_idle: asyncio.Event | None = None

    # ------------------------------------------------------------ sending

    def deliver(
        self, route: Route, value: Value, identity: str | None, trace_id: str, delivery: int, started: int, digest: int
    ) -> None:
        """Send one value to all targets of a route that has some, with QoS 1; `digest` is that of the message."""
        payload = route.head + dumps(value) + b"}"
        targets = route.targets
        name = route.object
        pending = Pending(identity, trace_id, delivery, started, len(targets), digest)
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = pending
        for prepared, state, output in targets:
            token = (pending, output, payload, name, 1)
            if not self._publish(prepared, payload, self._acknowledged, token):
                self._backpressure.add(token)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)

    def deliver_unanswered(  # noqa: C901 -- a call costs more here
        self, route: Route, value: Value, identity: str | None, trace_id: str, delivery: int, started: int, digest: int
    ) -> None:
        """Do the same with QoS 0, where what was handed to the connection is as delivered as it can be."""
        payload = route.head + dumps(value) + b"}"
        name = route.object
        untaken: list[Output] | None = None
        self.mapped += 1
        for prepared, state, output in route.targets:
            if not self._publish(prepared, payload):
                if untaken is None:
                    untaken = []
                untaken.append(output)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)
        if untaken is not None:
            pending = Pending(identity, trace_id, delivery, started, len(untaken), digest)
            if identity is not None:
                self.in_flight[identity] = pending
            for output in untaken:
                token = (pending, output, payload, name, 1)
                if not self._given_up(token):
                    self._backpressure.add(token)
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
        if delivery:
            self._acknowledge(delivery)

    def deliver_all(
        self,
        mapped: Mapped,
        identity: str | None,
        trace_id: str,
        delivery: int,
        started: int,
        then: Callable[[bool], None] | None = None,
        key: Key | None = None,
        topic: str | None = None,
        parts: Sequence[Undelivered] = (),
        digest: int | None = None,
    ) -> None:
        """Send all values of one message, whatever their routes need; each route must have an output.

        `key` is what a message without an identity has when it is sent again. One without a trace id waits for those
        before it of the same `topic`, if that is given. `parts` are letters of what the message held besides: it is
        done when they are stored too.
        """
        remaining = sum(len(route.outputs) for route, _ in mapped) + len(parts)
        pending = Pending(identity, trace_id, delivery, started, remaining, digest)
        # First of all: a fault that it meets may cost this message, but not the turn of those behind it.
        tokens = self._encode(pending, mapped)
        if then is not None:
            pending.asked_for = True
            pending.call_back(then)
        if key is not None:
            self._watch_for(key, pending)
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = pending
        if trace_id:
            now = not self._ordered or self._traces.take(trace_id, pending, tokens)
        else:
            now = topic is None or self._topics.take(topic, pending, tokens)
        if now:
            self._send(tokens)
        else:
            self._backpressure.hold(self._held)
        for part in parts:
            self._dead_letter(part, lambda: self._delivered(pending))

    def _watch_for(self, key: Key, pending: Pending) -> None:
        redeliveries = self.redeliveries
        redeliveries.under_way[key] = pending

        def done(_: bool) -> None:
            if redeliveries.under_way.get(key) is pending:
                del redeliveries.under_way[key]
            redeliveries.delivered(key)

        pending.call_back(done)

    def _encode(self, pending: Pending, mapped: Mapped) -> list[Token]:
        tokens: list[Token] = []
        for route, value in mapped:
            plain = encode(route, value)
            for output in route.outputs:
                payload = plain if output.template is None else output.template(value, pending.trace_id)
                state = output.state
                if state is not None:
                    state.values[route.object] = value
                    state.changed_ns = pending.started
                    if not state.dirty:
                        state.dirty = True
                        self.changed.append(state)
                tokens.append((pending, output, payload, route.object, 1))
        return tokens

    def _send_held(self, tokens: list[Token]) -> None:
        self._backpressure.hold(self._held)
        self._send(tokens)

    def _send(self, tokens: list[Token]) -> None:
        for token in tokens:
            prepared = token[1].prepared
            if prepared is None:
                self._never_goes(token, Reason.NO_TRANSPORT, "the device is reached over SignalR only")
            elif not self._submit(prepared, token):
                self._backpressure.add(token)

    def _submit(self, prepared: PreparedPublish, token: Token) -> bool:
        """Hand one delivery to the connection; False when it does not take it now."""
        if token[1].qos:
            return self._publish(prepared, token[2], self._acknowledged, token)
        # At QoS 0 no answer will come: what was handed to the connection is as delivered as it can be.
        if not self._publish(prepared, token[2]):
            return self._given_up(token)
        self._delivered(token[0])
        return True

    def _submit_kept(self, token: Token) -> bool:
        prepared = token[1].prepared
        return prepared is None or self._submit(prepared, token)

    def resend(self, letter: Undelivered, number: int, then: Callable[[bool], None]) -> None:
        """Send the delivery of the dead letter `number` again, as it was; if it fails, it is kept under its number."""
        prepared = self._connection.prepare(letter.topic, letter.qos, letter.retain)
        output = Output(letter.device, letter.topic, letter.qos, prepared, None, None, letter.retain)
        pending = Pending(None, letter.trace_id, 0, perf_counter_ns(), 1)
        pending.call_back(then)
        pending.asked_for = True
        pending.letter = (number, letter.attempts)
        self.mapped += 1
        token = (pending, output, letter.payload, letter.object, 1)
        if not self._submit(prepared, token):
            self._backpressure.add(token)

    # ------------------------------------------------------------ answers

    def _acknowledged(self, token: Token, reason_code: int) -> None:
        pending = token[0]
        if reason_code >= FAILURE:
            self._refused(token, reason_code)
            return
        pending.remaining -= 1
        if pending.remaining:
            return
        self.finished += 1
        elapsed = perf_counter_ns() - pending.started
        bits = elapsed.bit_length()
        # bucket_of() without the call; an elapsed time below 16 ns cannot occur.
        self._counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        identity = pending.identity
        if identity is not None:
            self.in_flight.pop(identity, None)
            if self._remember:
                self._seen.current[identity] = pending.digest
                self._seen.unwritten.append(identity)
                if not self._writing:
                    self._write_soon()
        if pending.delivery:
            self._acknowledge(pending.delivery)
        if (
            pending.repeats is not None
            or pending.then is not None
            or pending.end_turn is not None
            or self._on_idle is not None
        ):
            self._follow_up(pending)

    def _delivered(self, pending: Pending) -> None:
        """Do what _acknowledged does, for deliveries that need no answer."""
        pending.remaining -= 1
        if pending.remaining:
            return
        self.finished += 1
        self.histogram.record(perf_counter_ns() - pending.started)
        identity = pending.identity
        if identity is not None:
            self.in_flight.pop(identity, None)
            if self._remember:
                self._seen.current[identity] = pending.digest
                self._seen.unwritten.append(identity)
                if not self._writing:
                    self._write_soon()
        if pending.delivery:
            self._acknowledge(pending.delivery)
        self._follow_up(pending)

    def _follow_up(self, pending: Pending) -> None:
        for delivery in pending.repeats or ():
            self._acknowledge(delivery)
        for then in pending.then or ():
            then(pending.complete)
        if pending.end_turn is not None:
            pending.end_turn()
        if self._on_idle is not None and self.open == 0:
            self._on_idle.set()

    # ------------------------------------------------------------ failures

    def _refused(self, token: Token, reason_code: int) -> None:
        pending, output, payload, name, attempt = token
        if attempt >= self._tries:
            self._give_up(token, Reason.REFUSED, f"the broker refused it with reason code 0x{reason_code:02x}")
            return
        self.retried += 1
        again = (pending, output, payload, name, attempt + 1)

        def retry() -> None:
            if not self._submit_kept(again):
                self._backpressure.add(again)

        self._timers.later(self._backoff * 2 ** (attempt - 1), retry)

    def _given_up(self, token: Token) -> bool:
        """Make a dead letter of what the connection did not take, if the broker never will; False if it may later.

        At QoS 1 the refusal is its answer; at QoS 0 it would wait for ever, and all input with it.
        """
        prepared = token[1].prepared
        refusal = None if prepared is None else self._connection.refusal(prepared, token[2])
        if refusal is None:
            return False
        self._never_goes(token, Reason.REFUSED, refusal)
        return True

    def _never_goes(self, token: Token, reason: Reason, detail: str) -> None:
        """Make a dead letter of what no try can deliver, or only count it: no answer of a broker slows a flood down."""
        pending = token[0]
        if pending.asked_for or self._budget.admits(reason, len(token[2]), pending.delivery):
            self._give_up(token, reason, detail)
            return
        pending.complete = False
        self._delivered(pending)

    @property
    def not_kept(self) -> int:
        """Return how many deliveries that can never go were not stored, for there were too many."""
        return self._budget.not_kept

    def _give_up(self, token: Token, reason: Reason, detail: str) -> None:
        pending, output, payload, name, attempts = token
        pending.complete = False
        self.dead_lettered += 1
        number, before = pending.letter or (None, 0)
        letter = Undelivered(
            reason,
            detail,
            pending.trace_id,
            output.device,
            name,
            output.topic,
            output.qos,
            output.retain,
            payload,
            before + attempts,
            number=number,
        )
        self._budget.keep(letter, lambda: self._delivered(pending))

    # ------------------------------------------------------------ keeping and ending

    def _acknowledge_later(self, delivery: int) -> None:
        """Answer when the identity is written: what is answered but not known would be delivered twice after a kill."""
        self._answers.append(delivery)
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
        return len(self._backpressure) + self._held

    @property
    def _held(self) -> int:
        return self._traces.held + self._topics.held

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
        self._timers.cancel()
        self._write()
        self._seen.close()
        self.redeliveries.close()
