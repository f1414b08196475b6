"""Instants: the time of day for people, and a steady clock for durations."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import overload


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A point in time. Differences and order are of the steady clock: the time of day may be set at any moment.

    Attributes:
        steady: the time of a clock that is never set, since any beginning.
        utc: the time of day, in UTC.
    """

    steady: timedelta
    utc: datetime = field(compare=False)

    def __add__(self, duration: timedelta) -> Instant:
        """Return the instant after a duration."""
        return Instant(self.steady + duration, self.utc + duration)

    @overload
    def __sub__(self, other: Instant) -> timedelta: ...

    @overload
    def __sub__(self, other: timedelta) -> Instant: ...

    def __sub__(self, other: Instant | timedelta) -> timedelta | Instant:
        """Return the duration since an instant, or the instant before a duration."""
        return self.steady - other.steady if isinstance(other, Instant) else self + -other
