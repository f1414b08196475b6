"""Messages that cannot be used: counted by reason, said once a minute, stored where data would be lost."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from data_bridge.layers.undelivered import DeadLetterSink, Undelivered
from data_bridge.logs import LimitedLog
from data_bridge.reasons import QUIET, Reason

_MOST_BYTES_WAITING = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """What is stored: for which reasons, and at most how many messages a second for each and bytes a second in all.

    `largest` is how many bytes of a message above the size limit are kept.
    """

    reasons: frozenset[Reason]
    per_second: int
    bytes_per_second: int
    largest: int


class Skips:
    """Counts what was skipped, and answers the broker for it."""

    def __init__(
        self,
        acknowledge: Callable[[int], None],
        dead_letter: DeadLetterSink,
        limited: LimitedLog,
        limits: KeepLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[Reason] = Counter()
        self.messages = 0
        self.kept = 0
        self.not_kept = 0  # though their reason is one to keep: there were too many
        self._acknowledge = acknowledge
        self._dead_letter = dead_letter
        self._limited = limited
        self._limits = limits
        self._clock = clock
        self._second = 0.0
        self._in_second: Counter[Reason] = Counter()
        self._bytes_in_second = 0
        self._bytes_waiting = 0

    def reject(self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, trace_id: str) -> None:
        """Skip a whole message. Where its reason is one to keep, it is acknowledged only when it is stored."""
        self.note(reason, detail)
        self.messages += 1
        if reason in self._limits.reasons:
            size = len(payload)
            if reason is Reason.TOO_LARGE:
                payload = payload[: self._limits.largest]
            if self._may_keep(reason, len(payload), delivery):
                self.kept += 1
                cut = size - len(payload)
                letter = Undelivered(reason, detail, trace_id, "", "", topic, 1, False, payload, 0, cut)
                self._keep(letter, delivery)
                return
            self.not_kept += 1
        self._answer(delivery)

    def part(
        self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, name: str
    ) -> Undelivered | None:
        """Skip the part of a message that is the object `name`; return the letter to store for it, if there is one.

        A field that is missing is none: messages of several kinds may share a topic.
        """
        self.note(reason, detail)
        if reason is Reason.MISSING_FIELD or reason not in self._limits.reasons:
            return None
        if not self._may_keep(reason, len(payload), delivery):
            self.not_kept += 1
            return None
        self.kept += 1
        return Undelivered(reason, detail, "", "", name, topic, 1, False, payload, 0)

    def _keep(self, letter: Undelivered, delivery: int) -> None:
        size = len(letter.payload)
        self._bytes_waiting += size

        def stored() -> None:
            self._bytes_waiting -= size
            self._answer(delivery)

        self._dead_letter(letter, stored)

    def note(self, reason: Reason, detail: str) -> None:
        """Count a part of a message that was skipped while the rest went on."""
        self.counts[reason] += 1
        if reason not in QUIET:
            self._limited.happened(reason, detail)

    def _answer(self, delivery: int) -> None:
        if delivery:
            self._acknowledge(delivery)

    def _may_keep(self, reason: Reason, size: int, delivery: int) -> bool:
        """Bound what a flood of bad input can do to the disk, and to the bad input of other kinds."""
        # A broker that waits for our answer stops by itself; at QoS 0 nobody does while the disk refuses.
        if not delivery and self._bytes_waiting + size > _MOST_BYTES_WAITING:
            return False
        now = self._clock()
        if now - self._second >= 1:
            self._second = now
            self._in_second.clear()
            self._bytes_in_second = 0
        if self._in_second[reason] >= self._limits.per_second:
            return False
        # The first of a second may be as large as it is.
        if self._bytes_in_second and self._bytes_in_second + size > self._limits.bytes_per_second:
            return False
        self._in_second[reason] += 1
        self._bytes_in_second += size
        return True
