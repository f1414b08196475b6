"""The transport layer: sends what was mapped, and answers for every message until its last delivery is safe."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

from orjson import dumps

from data_bridge.catalogs.casts import Value
from data_bridge.connection import Connection, PreparedPublish
from data_bridge.histogram import LatencyHistogram
from data_bridge.layers.compiled import DeviceState, Output, Route, encode
from data_bridge.layers.deduplication import Deduplication
from data_bridge.reasons import Reason

# MQTT 5 reason codes from here on are failures.
FAILURE = 0x80
_BACKLOG_PAUSE = 0.002
_MOST_HELD = 10_000


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Something that could not be delivered or used, with all that is needed to try it again.

    A delivery has a `device`; an input that no rule could use has none, and `topic` is where it came from.
    """

    reason: Reason
    detail: str
    trace_id: str
    device: str
    object: str
    topic: str
    qos: int
    retain: bool
    payload: bytes
    attempts: int


class Pending:
    """A message whose deliveries are under way."""

    __slots__ = ("complete", "delivery", "identity", "remaining", "repeats", "started", "then", "trace_id")

    def __init__(self, identity: str | None, trace_id: str, delivery: int, started: int, remaining: int) -> None:
        self.identity = identity
        self.trace_id = trace_id
        self.delivery = delivery
        self.started = started
        self.remaining = remaining
        self.complete = True
        # Deliveries of the same message that the broker sent again meanwhile: answered together with the first.
        self.repeats: list[int] | None = None
        # Called with True when all was delivered, False when a part became a dead letter.
        self.then: Callable[[bool], None] | None = None


type Token = tuple[Pending, Output, bytes, str, int]
"""pending, output, payload, object, number of this attempt"""

type DeadLetterSink = Callable[[Undelivered, Callable[[], None]], None]
"""sink(letter, on_stored): `on_stored` follows when the letter is safe on disk"""

type Mapped = list[tuple[Route, Value]]


class Transport:
    """Delivers values over MQTT, retries, dead-letters, and acknowledges the input when all is safe.

    With `ordered` messages of one trace are sent one after the other; without, a trace is one message.
    """

    def __init__(
        self,
        connection: Connection,
        deduplication: Deduplication,
        dead_letter: DeadLetterSink,
        *,
        tries: int = 3,
        backoff: float = 0.2,
        ordered: bool = False,
    ) -> None:
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
        self._tries = tries
        self._backoff = backoff
        self._ordered = ordered
        self._traces: dict[str, deque[tuple[Pending, Mapped]]] = {}
        self._held = 0
        self._backlog: deque[Token] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._paused = False
        self._writing = False
        self._answers: list[int] = []
        self._on_idle: asyncio.Event | None = None

    # ------------------------------------------------------------ sending

    def deliver(
        self, route: Route, value: Value, identity: str | None, trace_id: str, delivery: int, started: int
    ) -> None:
        """Send one value to all targets of a route that has some, with QoS 1."""
        payload = route.head + dumps(value) + b"}"
        targets = route.targets
        name = route.object
        pending = Pending(identity, trace_id, delivery, started, len(targets))
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = pending
        for prepared, state, output in targets:
            token = (pending, output, payload, name, 1)
            if not self._publish(prepared, payload, self._acknowledged, token):
                self._queue_full(token)
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)

    def deliver_unanswered(  # noqa: C901 -- a call costs more here
        self, route: Route, value: Value, identity: str | None, trace_id: str, delivery: int, started: int
    ) -> None:
        """Do the same with QoS 0, where what was handed to the connection is as delivered as it can be."""
        payload = route.head + dumps(value) + b"}"
        name = route.object
        refused: Pending | None = None
        self.mapped += 1
        for prepared, state, output in route.targets:
            if not self._publish(prepared, payload):
                if refused is None:
                    refused = Pending(identity, trace_id, delivery, started, 0)
                    if identity is not None:
                        self.in_flight[identity] = refused
                refused.remaining += 1
                self._queue_full((refused, output, payload, name, 1))
            if state is not None:
                state.values[name] = value
                state.changed_ns = started
                if not state.dirty:
                    state.dirty = True
                    self.changed.append(state)
        if refused is not None:
            return
        self.finished += 1
        elapsed = perf_counter_ns() - started
        bits = elapsed.bit_length()
        self._counts[(bits << 3) | ((elapsed >> (bits - 4)) & 7)] += 1
        if identity is not None and self._remember:
            self._seen.current.add(identity)
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
    ) -> None:
        """Send all values of one message, whatever their routes need; each route must have an output."""
        remaining = sum(len(route.outputs) for route, _ in mapped)
        pending = Pending(identity, trace_id, delivery, started, remaining)
        pending.then = then
        self.mapped += 1
        if identity is not None:
            self.in_flight[identity] = pending
        if self._ordered and trace_id:
            queue = self._traces.get(trace_id)
            if queue is not None:
                queue.append((pending, mapped))
                self._held += 1
                if self._held > _MOST_HELD:
                    self._pause()
                return
            self._traces[trace_id] = deque()
        self._send(pending, mapped)

    def _send(self, pending: Pending, mapped: Mapped) -> None:
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
                token = (pending, output, payload, route.object, 1)
                if output.prepared is None:
                    self._give_up(token, Reason.NO_TRANSPORT, "the device is reached over SignalR only")
                elif not self._submit(output.prepared, token):
                    self._queue_full(token)

    def _submit(self, prepared: PreparedPublish, token: Token) -> bool:
        if token[1].qos:
            return self._publish(prepared, token[2], self._acknowledged, token)
        # At QoS 0 no answer will come: what was handed to the connection is as delivered as it can be.
        if not self._publish(prepared, token[2]):
            return False
        self._delivered(token[0])
        return True

    def resend(self, letter: Undelivered, then: Callable[[bool], None]) -> None:
        """Send a dead letter's delivery again, as it was."""
        prepared = self._connection.prepare(letter.topic, letter.qos, letter.retain)
        output = Output(letter.device, letter.topic, letter.qos, prepared, None, None, letter.retain)
        pending = Pending(None, letter.trace_id, 0, perf_counter_ns(), 1)
        pending.then = then
        self.mapped += 1
        token = (pending, output, letter.payload, letter.object, 1)
        if not self._submit(prepared, token):
            self._queue_full(token)

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
                self._seen.current.add(identity)
                self._seen.unwritten.append(identity)
                if not self._writing:
                    self._write_soon()
        if pending.delivery:
            self._acknowledge(pending.delivery)
        if pending.repeats is not None or pending.then is not None or self._ordered or self._on_idle is not None:
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
                self._seen.current.add(identity)
                self._seen.unwritten.append(identity)
                if not self._writing:
                    self._write_soon()
        if pending.delivery:
            self._acknowledge(pending.delivery)
        self._follow_up(pending)

    def _follow_up(self, pending: Pending) -> None:
        for delivery in pending.repeats or ():
            self._acknowledge(delivery)
        if pending.then is not None:
            pending.then(pending.complete)
        if self._ordered and pending.trace_id in self._traces:
            self._next_of_trace(pending.trace_id)
        if self._on_idle is not None and self.open == 0:
            self._on_idle.set()

    def _next_of_trace(self, trace_id: str) -> None:
        queue = self._traces[trace_id]
        if not queue:
            del self._traces[trace_id]
            return
        pending, mapped = queue.popleft()
        self._held -= 1
        self._resume()
        self._send(pending, mapped)

    # ------------------------------------------------------------ failures

    def _refused(self, token: Token, reason_code: int) -> None:
        pending, output, payload, name, attempt = token
        if attempt >= self._tries:
            self._give_up(token, Reason.REFUSED, f"the broker refused it with reason code 0x{reason_code:02x}")
            return
        self.retried += 1
        again = (pending, output, payload, name, attempt + 1)
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle

        def retry() -> None:
            self._timers.discard(handle)
            if output.prepared is not None and not self._submit(output.prepared, again):
                self._queue_full(again)

        handle = loop.call_later(self._backoff * 2 ** (attempt - 1), retry)
        self._timers.add(handle)

    def _give_up(self, token: Token, reason: Reason, detail: str) -> None:
        pending, output, payload, name, attempts = token
        pending.complete = False
        self.dead_lettered += 1
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
            attempts,
        )
        self._dead_letter(letter, lambda: self._delivered(pending))

    def _queue_full(self, token: Token) -> None:
        """Keep what the connection cannot take, and take no more input until it can."""
        self._backlog.append(token)
        if len(self._backlog) == 1:
            self._pause()
            self._later(_BACKLOG_PAUSE, self._drain)

    def _drain(self) -> None:
        while self._backlog:
            token = self._backlog[0]
            prepared = token[1].prepared
            if prepared is not None and not self._submit(prepared, token):
                self._later(_BACKLOG_PAUSE, self._drain)
                return
            self._backlog.popleft()
        self._resume()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._connection.pause()

    def _resume(self) -> None:
        if self._paused and not self._backlog and self._held <= _MOST_HELD:
            self._paused = False
            self._connection.resume()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        handle: asyncio.TimerHandle

        def run() -> None:
            self._timers.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(handle)

    # ------------------------------------------------------------ keeping and ending

    def _acknowledge_later(self, delivery: int) -> None:
        """Answer when the identity is written: what is answered but not known would be delivered twice after a kill."""
        self._answers.append(delivery)
        if not self._writing:
            self._write_soon()

    def _write_soon(self) -> None:
        # After the packets that are being handled now: one write, and one batch of answers, for all of them.
        self._writing = True
        asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._writing = False
        try:
            self._seen.write()
        except (OSError, ValueError):
            # The disk is full, or the file is closed because no new one could be opened. A duplicate after a kill is
            # the lesser evil than to stop here.
            self.unwritten += 1
        answers, self._answers = self._answers, []
        for delivery in answers:
            self._connection.acknowledge(delivery)

    @property
    def open(self) -> int:
        """Return how many messages wait for an answer."""
        return self.mapped - self.finished

    @property
    def backlog(self) -> int:
        """Return how many deliveries wait for room in the connection's queue, or for their trace's turn."""
        return len(self._backlog) + self._held

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
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        self._write()
        self._seen.close()
