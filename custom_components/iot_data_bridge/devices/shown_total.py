"""The total on a basket's display, and whether it is wrong."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from .instant import Instant
from .json_values import JsonValue, to_decimal

# A total may be under way while the contents change: one that was right this long ago is not wrong. A site that shows
# totals itself has as long to send the next one.
TOTAL_GRACE = timedelta(seconds=10)
# The totals of the grace time are as many as updates of a basket; the earliest are right no more when it is so busy.
MOST_EARLIER_TOTALS = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """A wrong total as it was found: the contents go on changing, and are no new fault."""

    shown: Decimal
    computed: Decimal


@dataclass(slots=True)
class ShownTotal:
    """The last total that was shown in a session.

    A total is wrong if it was right at no time of its way, or if nothing follows it though this site shows a running
    total. One that a customer asked for by hand and that another item made old is not wrong.

    Attributes:
        amount: as it can be paid; None when none was shown.
        difference: why it is wrong, None when it is not known to be.
    """

    amount: Decimal | None = None
    difference: Difference | None = None
    # Not stored: without a subscription nothing can be late.
    _due: Instant | None = field(default=None, compare=False)
    _earlier: deque[tuple[Instant, Decimal]] = field(
        default_factory=lambda: deque(maxlen=MOST_EARLIER_TOTALS), compare=False
    )

    def clear(self) -> None:
        """Show nothing, as a display does at the start and the end of a session."""
        self.amount = None
        self.difference = None
        self._due = None

    def show(self, amount: Decimal | None, computed: Decimal | None, now: Instant) -> bool:
        """Show a total of contents that cost `computed`. Return whether it is another one than before."""
        if amount is None or computed is None or amount == computed:
            self.difference = None
            self._due = None
        elif not self._was_right(amount, now):
            self.difference = Difference(amount, computed)
        changed = amount != self.amount
        self.amount = amount
        return changed

    def follow(self, before: Decimal | None, computed: Decimal | None, now: Instant, *, running: bool) -> None:
        """Take a change of the contents' cost; `running` tells whether this site shows the next total."""
        if before is not None:
            self._earlier.append((now, before))
        if self.amount is None or computed is None:
            return
        if self.amount == computed:
            self.difference = None
            self._due = None
        elif running and self.difference is None and self._due is None:
            self._due = now + TOTAL_GRACE

    def check(self, computed: Decimal | None, now: Instant) -> bool:
        """Find a running total that is overdue. Return whether that is news."""
        if self._due is None or now < self._due:
            return False
        self._due = None
        if self.amount is not None and computed is not None and self.amount != computed:
            self.difference = Difference(self.amount, computed)
        return self.difference is not None

    def _was_right(self, amount: Decimal, now: Instant) -> bool:
        return any(amount == total and now - until <= TOTAL_GRACE for until, total in self._earlier)

    def as_json(self) -> JsonValue:
        """Return the state to store."""
        return {
            "amount": None if self.amount is None else str(self.amount),
            "difference": None
            if self.difference is None
            else {"shown": str(self.difference.shown), "computed": str(self.difference.computed)},
        }

    @classmethod
    def from_json(cls, stored: JsonValue) -> ShownTotal:
        """Restore a total; earlier versions stored only the amount."""
        if not isinstance(stored, dict):
            return cls(to_decimal(stored))
        difference = stored.get("difference")
        if isinstance(difference, dict):
            shown, computed = to_decimal(difference.get("shown")), to_decimal(difference.get("computed"))
            if shown is not None and computed is not None:
                return cls(to_decimal(stored.get("amount")), Difference(shown, computed))
        return cls(to_decimal(stored.get("amount")))
