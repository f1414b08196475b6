"""Messages whose deliveries are under way."""

from collections.abc import Callable

from data_bridge.catalog.casts import Value
from data_bridge.pipeline.resolver import Output, Route


class Pending:
    """A message whose deliveries are under way."""

    __slots__ = (
        "asked_for",
        "complete",
        "delivery",
        "digest",
        "end_turn",
        "identity",
        "letter",
        "remaining",
        "repeats",
        "started",
        "then",
        "trace_id",
    )

    def __init__(
        self,
        identity: str | None,
        trace_id: str,
        delivery: int,
        started: int,
        remaining: int,
        digest: int | None = None,
    ) -> None:
        self.identity = identity
        self.trace_id = trace_id
        self.delivery = delivery
        self.started = started
        self.remaining = remaining
        # Of the message's bytes, None where they do not matter: it tells a copy from another message of its trace id.
        self.digest = digest
        self.complete = True
        # Somebody sent just this one, and waits to hear what became of it: its dead letters are no flood.
        self.asked_for = False
        # Deliveries of the same message that the broker sent again meanwhile: answered together with the first.
        self.repeats: list[int] | None = None
        self.then: list[Callable[[bool], None]] | None = None
        # Of a dead letter that is sent again: its number, and how often it was tried before.
        self.letter: tuple[int, int] | None = None
        # Gives back the turn that it has taken.
        self.end_turn: Callable[[], None] | None = None

    def call_back(self, then: Callable[[bool], None]) -> None:
        """Call `then` when the message is done: True when all was delivered, False when a part is a dead letter."""
        if self.then is None:
            self.then = []
        self.then.append(then)


type Token = tuple[Pending, Output, bytes, str, int]
"""pending, output, payload, object, number of this attempt"""

type Mapped = list[tuple[Route, Value]]
