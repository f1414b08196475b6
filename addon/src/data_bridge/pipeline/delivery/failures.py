"""Deliveries that failed: tried again, then stored as dead letters."""

from collections.abc import Callable

from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.delivery.delayed_calls import DelayedCalls
from data_bridge.pipeline.delivery.message import DeliveryAttempt, InFlightMessage
from data_bridge.reasons import Reason


class Failures:
    """Retries refused deliveries up to `tries` times, `backoff` seconds after the first and twice as long each.

    `send` sends an attempt again, `done` is called for a delivery that needs no answer any more.
    """

    def __init__(
        self,
        connection: Connection,
        limiter: RateLimiter,
        delayed_calls: DelayedCalls,
        send: Callable[[DeliveryAttempt], None],
        done: Callable[[InFlightMessage], None],
        *,
        tries: int,
        backoff: float,
    ) -> None:
        self.retried = 0  # deliveries
        self._connection = connection
        self._limiter = limiter
        self._delayed_calls = delayed_calls
        self._send = send
        self._done = done
        self._tries = tries
        self._backoff = backoff

    @property
    def not_kept(self) -> int:
        """Return how many deliveries that can never go were not stored, for there were too many."""
        return self._limiter.not_kept

    def refused(self, attempt: DeliveryAttempt, reason_code: int) -> None:
        """Try a delivery again that the broker refused, or give it up."""
        message, output, payload, name, number = attempt
        if number >= self._tries:
            self._give_up(attempt, Reason.REFUSED, f"the broker refused it with reason code 0x{reason_code:02x}")
            return
        self.retried += 1
        again = (message, output, payload, name, number + 1)
        self._delayed_calls.later(self._backoff * 2 ** (number - 1), lambda: self._send(again))

    def given_up(self, attempt: DeliveryAttempt) -> bool:
        """Make a dead letter of a delivery that the broker will never take; False if it may later.

        At QoS 1 the refusal is its answer; at QoS 0 it would wait for ever, and all input with it.
        """
        prepared = attempt[1].prepared
        refusal = None if prepared is None else self._connection.refusal(prepared, attempt[2])
        if refusal is None:
            return False
        self.impossible(attempt, Reason.REFUSED, refusal)
        return True

    def impossible(self, attempt: DeliveryAttempt, reason: Reason, detail: str) -> None:
        """Make a dead letter of an undeliverable value, or only count it: no answer of a broker slows a flood down."""
        message = attempt[0]
        if message.requested or self._limiter.admits(reason, len(attempt[2]), message.ack_token):
            self._give_up(attempt, reason, detail)
            return
        message.complete = False
        self._done(message)

    def _give_up(self, attempt: DeliveryAttempt, reason: Reason, detail: str) -> None:
        message, output, payload, name, tries = attempt
        message.complete = False
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
        self._limiter.store(letter, lambda: self._done(message))
