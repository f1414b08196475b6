"""Lasting conditions that need an action.

Each is one log line and one event when it begins, changes and ends, and is in the metrics while it lasts, for readers
that connect later.
"""

import time
from collections.abc import Callable
from enum import StrEnum

_MOST_CHARACTERS = 400
# How long a problem is shown that is known only by its latest occurrence.
SHOWN_SECONDS = 3600.0


class ProblemType(StrEnum):
    """The words of `problems` in the metrics, and of the events."""

    SUBSCRIPTION_REFUSED = "subscription_refused"
    TRACE_ID_REUSED = "trace_id_reused"  # with other bytes; that message was dropped
    BROKER_WITHOUT_RETAINED = "broker_without_retained"
    BROKER_WITHOUT_QOS_1 = "broker_without_qos_1"
    BRIDGE_ID_IN_USE = "bridge_id_in_use"
    BROKER_DROPS_MESSAGES = "broker_drops_messages"
    DEAD_LETTERS_NOT_STORED = "dead_letters_not_stored"


class _Problem:
    __slots__ = ("ends", "since", "text")

    def __init__(self, text: str, since: float, ends: float | None) -> None:
        self.text = text
        self.since = since
        self.ends = ends


class Problems:
    """Which problems there are now; each ends when it is solved, or some time after it was last met."""

    def __init__(
        self,
        report: Callable[[ProblemType, str | None], None],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`report` is called with a new or changed problem and its text, and with None when it has ended."""
        self._report = report
        self._clock = clock
        self._wall_clock = wall_clock
        self._problems: dict[ProblemType, _Problem] = {}

    def meet(self, kind: ProblemType, text: str, *, seconds: float | None = None) -> None:
        """Begin or renew a problem, which ends after `seconds`, or without them only when it is solved."""
        text = text[:_MOST_CHARACTERS]
        ends = None if seconds is None else self._clock() + seconds
        known = self._problems.get(kind)
        if known is None:
            self._problems[kind] = _Problem(text, self._wall_clock(), ends)
        else:
            changed, known.text, known.ends = known.text != text, text, ends
            if not changed or seconds is not None:
                return
        self._report(kind, text)

    def solve(self, kind: ProblemType) -> None:
        """End a problem, if there is one."""
        if self._problems.pop(kind, None) is not None:
            self._report(kind, None)

    def end_overdue(self) -> None:
        """End the problems that were not met again in their time."""
        now = self._clock()
        for kind in [kind for kind, each in self._problems.items() if each.ends is not None and each.ends <= now]:
            self.solve(kind)

    def __contains__(self, kind: ProblemType) -> bool:
        """Return whether there is such a problem now."""
        return kind in self._problems

    def current(self) -> list[dict[str, object]]:
        """Return the problems for the metrics; `since` is in Unix seconds."""
        return [
            {"type": kind.value, "text": each.text, "since": round(each.since, 3)}
            for kind, each in self._problems.items()
        ]


def reused_trace_text(trace_id: str, topic: str, *, by_key: bool) -> str:
    """Return the text for a trace id of several messages, with the settings that help.

    With `by_key` the identity of a message includes its mapping key already.
    """
    helps = "deduplication.enabled: false for a source that sends one constant header.UUID"
    if not by_key:
        helps = f"deduplication.identity: trace_and_key for one that sends several values under one trace id, {helps}"
    return (
        "messages are dropped as duplicates though they differ: a trace id came again with other bytes, on"
        f" {topic[:80]!r} {trace_id[:80]!r}. What helps is {helps}"
    )
