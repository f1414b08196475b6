"""Rejected messages: counted by reason, reported at most once a minute, stored where data would be lost."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from data_bridge.dead_letters.letter import DeadLetter, Origin
from data_bridge.dead_letters.rate_limit import RateLimiter
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.ways import Refusal
from data_bridge.reasons import QUIET, Reason


@dataclass(frozen=True, slots=True)
class Incoming:
    """A received message with its origin and acknowledgement token (0 at QoS 0)."""

    topic: str
    payload: bytes
    ack_token: int
    origin: Origin
    trace_id: str = ""

    def letter(self, refusal: Refusal, name: str, payload: bytes, cut: int = 0) -> DeadLetter:
        """Return a letter of the whole message, or of its part for the object `name`."""
        reason, detail = refusal.reason, refusal.detail
        return DeadLetter(
            reason, detail, self.trace_id, "", name, self.topic, 1, False, payload, 0, cut, origin=self.origin
        )


class Reject(Protocol):
    """Handles a rejected message: counts and reports it, and acknowledges or stores it."""

    def __call__(self, refusal: Refusal, incoming: Incoming) -> None:
        """Count it."""


class Note(Protocol):
    """Handles a rejected part of a message."""

    def __call__(self, refusal: Refusal) -> None:
        """Count it."""


class Part(Protocol):
    """Handles a rejected part of a message whose other parts are delivered."""

    def __call__(self, refusal: Refusal, incoming: Incoming, name: str) -> DeadLetter | None:
        """Count it, and return the letter to store for the object `name`, if there is one."""


class Rejections:
    """Counts and acknowledges rejected messages, and stores those with one of the `reasons`.

    `largest` is the number of stored bytes of a message above the size limit.
    """

    def __init__(
        self,
        acknowledge: Callable[[int], None],
        limited: LimitedLog,
        limiter: RateLimiter,
        *,
        reasons: AbstractSet[Reason],
        largest: int,
    ) -> None:
        self.counts: Counter[Reason] = Counter()
        self.messages = 0
        self.kept = 0
        self._acknowledge = acknowledge
        self._limited = limited
        self._limiter = limiter
        self._reasons = reasons
        self._largest = largest

    @property
    def not_kept(self) -> int:
        """Return how many messages the rate limit has kept from being stored."""
        return self._limiter.not_kept

    def reject(self, refusal: Refusal, incoming: Incoming) -> None:
        """Reject a whole message. Where it is stored, it is acknowledged afterwards."""
        self.note(refusal)
        self.messages += 1
        reason, payload, ack_token = refusal.reason, incoming.payload, incoming.ack_token
        if reason in self._reasons:
            if reason is Reason.TOO_LARGE:
                payload = payload[: self._largest]
            if self._limiter.admits(reason, len(payload), ack_token):
                self.kept += 1
                cut = len(incoming.payload) - len(payload)
                letter = incoming.letter(refusal, "", payload, cut)
                self._limiter.store(letter, lambda: self._answer(ack_token))
                return
        self._answer(ack_token)

    def part(self, refusal: Refusal, incoming: Incoming, name: str) -> DeadLetter | None:
        """Reject the part of a message for the object `name`; return the letter to store, if there is one.

        A missing field makes no letter: messages of several kinds may share a topic.
        """
        self.note(refusal)
        if refusal.reason is Reason.MISSING_FIELD or refusal.reason not in self._reasons:
            return None
        if not self._limiter.admits(refusal.reason, len(incoming.payload), incoming.ack_token):
            return None
        self.kept += 1
        return incoming.letter(refusal, name, incoming.payload)

    def note(self, refusal: Refusal) -> None:
        """Count a rejected part of a message."""
        self.count(refusal.reason, refusal.detail)

    def count(self, reason: Reason, detail: str) -> None:
        """Count a rejection."""
        self.counts[reason] += 1
        if reason not in QUIET:
            self._limited.record(reason, detail)

    def _answer(self, ack_token: int) -> None:
        if ack_token:
            self._acknowledge(ack_token)
