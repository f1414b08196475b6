"""Two controllers on one topic, which no single message tells."""

from dataclasses import dataclass, field
from datetime import timedelta

from .basket_messages import BasketId
from .instant import Instant

# A basket that got another id is taken with it once its earlier id was silent for so long.
ID_TIMEOUT = timedelta(minutes=10)
# A customer may put a piece in and out again; this many times in a row, the contents are those of two readers.
MOST_ALTERNATIONS = 6


@dataclass(slots=True)
class ControllerWatch:
    """The id that a basket tells, and the last contents.

    Attributes:
        basket_id: the first id that was told; None before.
        alternations: how many times in a row the contents were those before the last ones.
    """

    basket_id: BasketId | None = None
    # Not stored: the contents of a restart are not watched.
    alternations: int = field(default=0, compare=False)
    _id_heard: Instant | None = field(default=None, compare=False)
    _other_heard: Instant | None = field(default=None, compare=False)
    _before: dict[str, int] | None = field(default=None, compare=False)
    _changed: Instant | None = field(default=None, compare=False)

    @property
    def other_id(self) -> bool:
        """Tell whether a controller with another id uses the topic."""
        return self._other_heard is not None

    @property
    def contents_alternate(self) -> bool:
        """Tell whether the contents alternate between two snapshots."""
        return self.alternations >= MOST_ALTERNATIONS

    def restore(self, basket_id: BasketId | None, heard: Instant | None) -> None:
        """Continue with a stored id, as if it was heard at this instant."""
        self.basket_id = basket_id
        self._id_heard = heard

    def accept(self, basket_id: BasketId | None, now: Instant) -> bool:
        """Tell whether a message with this id is of the basket; one without an id may be."""
        if basket_id is None:
            return True
        known = self.basket_id
        # For a reader of updates 1 and "1" are one basket, and a setting of the controller changes one into the other.
        if known is not None and basket_id != known and str(basket_id) != str(known):
            if self._id_heard is not None and now - self._id_heard < ID_TIMEOUT:
                self._other_heard = now
                return False
            self._other_heard = None
        self.basket_id = basket_id
        self._id_heard = now
        return True

    def change(self, before: dict[str, int], after: dict[str, int], now: Instant) -> None:
        """Take a change of the contents."""
        self.alternations = self.alternations + 1 if after == self._before else 0
        self._before = before
        self._changed = now

    def reset(self) -> None:
        """Forget the last contents, at the start and the end of a session."""
        self.alternations = 0
        self._before = None

    def check(self, now: Instant) -> bool:
        """End what has not happened again for a while. Return whether anything changed."""
        before = self.other_id, self.contents_alternate
        if self._other_heard is not None and now - self._other_heard >= ID_TIMEOUT:
            self._other_heard = None
        if self.alternations and self._changed is not None and now - self._changed >= ID_TIMEOUT:
            self.reset()
        return before != (self.other_id, self.contents_alternate)
