"""Reports of events that come in floods: one log line and one event per reason and minute, with their number."""

from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.logs import LimitedLog, get_logger
from data_bridge.runtime.event_reporter import PublishEvent

_LOG = get_logger("data_bridge")


class LimitedReports:
    """Rejected inputs, dead letters, and announcements that the broker refused."""

    def __init__(self, publish: PublishEvent) -> None:
        self._publish = publish
        self.rejections = LimitedLog(self._report_rejection)
        self._dead_letters = LimitedLog(self._report_dead_letter)
        self._announcements = LimitedLog(self._report_announcement)

    def flush(self, *, everything: bool = False) -> None:
        """Report the overdue rejections, or with `everything` all that were not reported yet."""
        for each in (self.rejections, self._dead_letters, self._announcements):
            each.flush(everything=everything)

    def record_dead_letter(self, letter: DeadLetter) -> None:
        """Report a dead letter by its reason."""
        target = f"{letter.device} {letter.object}" if letter.device else f"input of {letter.topic}"
        self._dead_letters.record(letter.reason, f"{target}: {letter.detail}")

    def record_refusal(self, topic: str, error: str) -> None:
        """Report an announcement that the broker can never take."""
        self._announcements.record("announcement_refused", f"{topic}: {error}")

    def _report_rejection(self, reason: str, count: int, detail: str) -> None:
        _LOG.warning("skipped", reason=reason, count=count, last=detail)
        self._publish("mapping_failed", reason=reason, count=count, detail=detail)

    def _report_dead_letter(self, reason: str, count: int, detail: str) -> None:
        _LOG.warning("dead_letter", reason=reason, count=count, last=detail)
        self._publish("dead_letter", reason=reason, count=count, detail=detail)

    def _report_announcement(self, event: str, count: int, last: str) -> None:
        _LOG.error(event, count=count, last=last)
