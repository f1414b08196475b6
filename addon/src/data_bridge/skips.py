"""Messages that cannot be used: counted by reason, said once a minute, stored where data would be lost."""

import time
from collections import Counter
from collections.abc import Callable

from data_bridge.layers.undelivered import DeadLetterSink, Undelivered
from data_bridge.logs import LimitedLog
from data_bridge.reasons import QUIET, Reason


class Skips:
    """Counts what was skipped, and answers the broker for it."""

    def __init__(
        self,
        acknowledge: Callable[[int], None],
        dead_letter: DeadLetterSink,
        limited: LimitedLog,
        *,
        keep: frozenset[str],
        keep_per_second: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[Reason] = Counter()
        self.messages = 0
        self.kept = 0
        self._acknowledge = acknowledge
        self._dead_letter = dead_letter
        self._limited = limited
        self._keep = keep
        self._per_second = keep_per_second
        self._clock = clock
        self._second = 0.0
        self._in_second = 0

    def reject(self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, trace_id: str) -> None:
        """Skip a whole message. Where its reason is one to keep, it is acknowledged only when it is stored."""
        self.note(reason, detail)
        self.messages += 1
        if reason in self._keep and self._may_keep():
            self.kept += 1
            letter = Undelivered(reason, detail, trace_id, "", "", topic, 1, False, payload, 0)
            self._dead_letter(letter, lambda: self._answer(delivery))
        else:
            self._answer(delivery)

    def note(self, reason: Reason, detail: str) -> None:
        """Count a part of a message that was skipped while the rest went on."""
        self.counts[reason] += 1
        if reason not in QUIET:
            self._limited.happened(reason, detail)

    def _answer(self, delivery: int) -> None:
        if delivery:
            self._acknowledge(delivery)

    def _may_keep(self) -> bool:
        """Bound what a flood of bad input can do to the disk; the counters tell of the rest."""
        now = self._clock()
        if now - self._second >= 1:
            self._second = now
            self._in_second = 0
        self._in_second += 1
        return self._in_second <= self._per_second
