"""The session of a basket, as commands and the basket's own controller tell it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from .basket_messages import CommandKind, ControllerSession
from .instant import Instant

# How long after an `end` an update may still come from before it: a basket polls until the command has reached it, and
# the broker sends commands and updates to us in no common order.
LATE_UPDATE = timedelta(seconds=10)


class SessionState(StrEnum):
    """The states of a session; a requested one is not confirmed yet."""

    IDLE = "idle"
    REQUESTED = "requested"
    ACTIVE = "active"


class SessionChange(StrEnum):
    """The changes of a session; one that was requested is confirmed or not heard, others start at once."""

    REQUESTED = "requested"
    STARTED = "started"
    CONFIRMED = "confirmed"
    ENDED = "ended"
    NOT_HEARD = "not_heard"


@dataclass(slots=True)
class BasketSession:
    """Whether a session runs. The methods return the changes, in their order.

    A controller that publishes its session outranks the commands that were seen, while it is online. A `start` to one
    that is known to be offline, or that publishes its session, only requests a session: the basket confirms it, or it
    was not heard when the command has expired.

    Attributes:
        started: the beginning of the running session, None without one.
        told: whether `started` is the controller's own word.
        known: whether anything told the session's state; a basket that is first seen by an update may be in use.
        published: whether the controller publishes its session.
        ended: the end of the last session; not stored.
    """

    started: datetime | None = None
    told: bool = False
    known: bool = False
    published: bool = False
    ended: Instant | None = field(default=None, compare=False)
    _unanswered: tuple[CommandKind, Instant] | None = field(default=None, compare=False)

    @property
    def state(self) -> SessionState:
        """Return the session's state."""
        if self.started is not None:
            return SessionState.ACTIVE
        return SessionState.REQUESTED if self.requested else SessionState.IDLE

    @property
    def requested(self) -> bool:
        """Tell whether a `start` waits for the basket's answer."""
        return self._unanswered is not None and self._unanswered[0] is CommandKind.START

    @property
    def unanswered(self) -> bool:
        """Tell whether a command waits for the basket's answer."""
        return self._unanswered is not None

    def covers(self, now: Instant) -> bool:
        """Tell whether an update that arrives now can be of a session, of the one that just ended too."""
        return self.started is not None or (self.ended is not None and now - self.ended <= LATE_UPDATE)

    def start(self, now: Instant, expires: Instant, listens: bool | None) -> tuple[SessionChange, ...]:
        """Take a `start`; `listens` tells whether the controller is there, None when it never said so."""
        self.known = True
        if self.started is not None:
            # A repeated start does nothing, in the basket neither; one after an `end` that waits for its answer does.
            if self._unanswered is not None:
                self._unanswered = CommandKind.START, expires
            return ()
        if listens is False or (listens and self.published):
            requested = self.requested
            self._unanswered = CommandKind.START, expires
            return () if requested else (SessionChange.REQUESTED,)
        return self._begin(now.utc)

    def end(self, now: Instant, expires: Instant, listens: bool | None) -> tuple[SessionChange, ...]:
        """Take an `end`."""
        self.known = True
        if self.started is None:
            self._unanswered = None
            return ()
        if listens and self.published:
            self._unanswered = CommandKind.END, expires
            return ()
        return self._finish(now)

    def confirm(self, now: Instant, *, answers: bool) -> tuple[SessionChange, ...]:
        """Take a sign of life; `answers` tells whether a controller that publishes its session is there.

        One that does not has heard the `start` that was sent to it, as far as can be known.
        """
        return self._begin(now.utc) if self.requested and not (answers and self.published) else ()

    def tell(self, told: ControllerSession, now: Instant) -> tuple[SessionChange, ...]:
        """Take the controller's own word."""
        self.known = self.published = True
        if not told.active:
            # A request that was not answered yet is of after this word.
            return () if self.started is None else self._finish(now)
        if self.started is None:
            changes = self._begin(told.since or now.utc)
        elif told.since is None or to_second(told.since) == self.started:
            return ()
        elif self.told:
            # The end of one session and the start of the next were missed.
            changes = (*self._finish(now), *self._begin(told.since))
        else:
            self.started = to_second(told.since)
            changes = ()
        self.told = told.since is not None
        return changes

    def forget_controller(self) -> None:
        """Follow the commands again: the controller withdrew its word."""
        self.published = False

    def check(self, now: Instant) -> tuple[SessionChange, ...]:
        """Give up waiting for an answer that is overdue."""
        if self._unanswered is None or now < self._unanswered[1]:
            return ()
        kind, _ = self._unanswered
        self._unanswered = None
        if kind is CommandKind.END and self.started is not None:
            return self._finish(now)
        return (SessionChange.NOT_HEARD,) if self.started is None else ()

    def restore(self, started: datetime | None) -> None:
        """Continue with the state that was stored at the session's last change."""
        self.known = True
        self.started = started

    def _begin(self, started: datetime) -> tuple[SessionChange, ...]:
        change = SessionChange.CONFIRMED if self.requested else SessionChange.STARTED
        self._unanswered = None
        self.started = to_second(started)
        return (change,)

    def _finish(self, now: Instant) -> tuple[SessionChange, ...]:
        self._unanswered = None
        self.started = None
        self.told = False
        self.ended = now
        return (SessionChange.ENDED,)


def to_second(moment: datetime) -> datetime:
    """Return a moment in UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0)
