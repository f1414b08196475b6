"""Messages that cannot be used: counted by reason, said once a minute, stored where data would be lost."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from data_bridge.dead_letters.letter import Undelivered
from data_bridge.dead_letters.rate_limit import KeepBudget
from data_bridge.logs import LimitedLog
from data_bridge.reasons import QUIET, Reason


class Skips:
    """Counts what was skipped, answers the broker for it, and stores what has one of the `reasons`.

    `largest` is how many bytes of a message above the size limit are stored.
    """

    def __init__(
        self,
        acknowledge: Callable[[int], None],
        limited: LimitedLog,
        budget: KeepBudget,
        *,
        reasons: AbstractSet[Reason],
        largest: int,
    ) -> None:
        self.counts: Counter[Reason] = Counter()
        self.messages = 0
        self.kept = 0
        self._acknowledge = acknowledge
        self._limited = limited
        self._budget = budget
        self._reasons = reasons
        self._largest = largest

    @property
    def not_kept(self) -> int:
        """Return how many were not stored, though their reason is one to keep: there were too many."""
        return self._budget.not_kept

    def reject(self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, trace_id: str) -> None:
        """Skip a whole message. Where its reason is one to keep, it is acknowledged only when it is stored."""
        self.note(reason, detail)
        self.messages += 1
        if reason in self._reasons:
            size = len(payload)
            if reason is Reason.TOO_LARGE:
                payload = payload[: self._largest]
            if self._budget.admits(reason, len(payload), delivery):
                self.kept += 1
                cut = size - len(payload)
                letter = Undelivered(reason, detail, trace_id, "", "", topic, 1, False, payload, 0, cut)
                self._budget.keep(letter, lambda: self._answer(delivery))
                return
        self._answer(delivery)

    def part(
        self, reason: Reason, detail: str, topic: str, payload: bytes, delivery: int, name: str
    ) -> Undelivered | None:
        """Skip the part of a message that is the object `name`; return the letter to store for it, if there is one.

        A field that is missing is none: messages of several kinds may share a topic.
        """
        self.note(reason, detail)
        if reason is Reason.MISSING_FIELD or reason not in self._reasons:
            return None
        if not self._budget.admits(reason, len(payload), delivery):
            return None
        self.kept += 1
        return Undelivered(reason, detail, "", "", name, topic, 1, False, payload, 0)

    def note(self, reason: Reason, detail: str) -> None:
        """Count a part of a message that was skipped while the rest went on."""
        self.counts[reason] += 1
        if reason not in QUIET:
            self._limited.happened(reason, detail)

    def _answer(self, delivery: int) -> None:
        if delivery:
            self._acknowledge(delivery)
