"""Delivery attempts on their way to the connection: in order per key, queued while it is full, retried when refused."""

from functools import partial

from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.delivery.backpressure import Backpressure
from data_bridge.pipeline.delivery.completion import Completion
from data_bridge.pipeline.delivery.delayed_calls import DelayedCalls
from data_bridge.pipeline.delivery.failures import Failures
from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage
from data_bridge.pipeline.delivery.ordering import KeyedQueue
from data_bridge.reasons import Reason


class Sender:
    """Sends the attempts of messages, and lets `completion` know of each that needs no answer of the broker.

    With `ordered` messages of one trace are sent one after the other.
    """

    def __init__(
        self,
        connection: Connection,
        completion: Completion,
        topics: KeyedQueue,
        limiter: RateLimiter,
        *,
        tries: int,
        backoff: float,
        ordered: bool,
    ) -> None:
        self._publish = connection.publish_prepared
        self._delivered = completion.delivered
        self._acknowledged = completion.acknowledged
        self._ordered = ordered
        self._traces = KeyedQueue(self.send_released)
        self._topics = topics
        self._delayed_calls = DelayedCalls()
        self._backpressure = Backpressure(connection, self._delayed_calls, self._submit)
        self.failures = Failures(
            connection,
            limiter,
            self._delayed_calls,
            self.send_or_queue,
            completion.delivered,
            tries=tries,
            backoff=backoff,
        )
        # Public for the hot path: it queues an attempt that the connection has no room for.
        self.queue = self._backpressure.add

    @property
    def backlog(self) -> int:
        """Return how many deliveries wait for room in the connection's queue, or for their ordering key."""
        return len(self._backpressure) + self._waiting

    @property
    def _waiting(self) -> int:
        return self._traces.waiting + self._topics.waiting

    def send_in_order(self, message: InFlightMessage, topic: str | None, attempts: list[DeliveryAttempt]) -> None:
        """Send a message after those before it with the same trace id or, without one, of the same `topic`."""
        trace_id = message.trace_id
        free = True
        if trace_id:
            if self._ordered:
                message.release_with(partial(self._traces.release, trace_id))
                free = self._traces.acquire(trace_id, attempts)
        elif topic is not None:
            message.topic = topic
            free = self._topics.acquire(topic, attempts)
        if free:
            self._send(attempts)
        else:
            self._backpressure.set_waiting(self._waiting)

    def wait_for_topic(self, topic: str, attempts: list[DeliveryAttempt]) -> None:
        """Queue a message behind those of its topic, which has one in flight."""
        self._topics.acquire(topic, attempts)
        self._backpressure.set_waiting(self._waiting)

    def send_released(self, attempts: list[DeliveryAttempt]) -> None:
        """Send a message that has waited for its key."""
        self._backpressure.set_waiting(self._waiting)
        self._send(attempts)

    def _send(self, attempts: list[DeliveryAttempt]) -> None:
        for attempt in attempts:
            if attempt[1].prepared is None:
                self.failures.impossible(attempt, Reason.NO_TRANSPORT, "the device is reached over SignalR only")
            elif not self._submit(attempt):
                self._backpressure.add(attempt)

    def send_or_queue(self, attempt: DeliveryAttempt) -> None:
        """Send an attempt now, or when the connection has room for it."""
        if not self._submit(attempt):
            self._backpressure.add(attempt)

    def _submit(self, attempt: DeliveryAttempt) -> bool:
        """Hand an attempt to the connection; False when it has no room for it now."""
        output = attempt[1]
        prepared = output.prepared
        if prepared is None:
            return True
        if output.qos:
            return self._publish(prepared, attempt[2], self._acknowledged, attempt)
        # At QoS 0 no answer will come: a message is delivered when the connection has it.
        if not self._publish(prepared, attempt[2]):
            return self.failures.given_up(attempt)
        self._delivered(attempt[0])
        return True

    def close(self) -> None:
        """Cancel all retries."""
        self._delayed_calls.cancel()
