"""Messages whose deliveries are under way."""

from collections.abc import Callable

from data_bridge.catalog.casts import Value
from data_bridge.pipeline.resolver import Fanout, Output


class InFlightMessage:
    """A message whose deliveries are under way."""

    __slots__ = (
        "ack_token",
        "complete",
        "digest",
        "done_callbacks",
        "duplicate_tokens",
        "identity",
        "letter",
        "release_key",
        "remaining",
        "requested",
        "started",
        "trace_id",
    )

    def __init__(
        self,
        identity: str | None,
        trace_id: str,
        ack_token: int,
        started: int,
        remaining: int,
        digest: int | None = None,
    ) -> None:
        self.identity = identity
        self.trace_id = trace_id
        self.ack_token = ack_token
        self.started = started
        self.remaining = remaining
        # Of the message's bytes, None where they do not matter: it tells a copy from another message of its trace id.
        self.digest = digest
        self.complete = True
        # Somebody sent just this one, and waits to hear what became of it: its dead letters are no flood.
        self.requested = False
        # Deliveries of the same message that the broker sent again meanwhile: answered together with the first.
        self.duplicate_tokens: list[int] | None = None
        self.done_callbacks: list[Callable[[bool], None]] | None = None
        # Of a dead letter that is sent again: its number, and how often it was tried before.
        self.letter: tuple[int, int] | None = None
        # Gives back the turn that it has taken.
        self.release_key: Callable[[], None] | None = None

    def add_done_callback(self, on_done: Callable[[bool], None]) -> None:
        """Call `then` when the message is done: True when all was delivered, False when a part is a dead letter."""
        if self.done_callbacks is None:
            self.done_callbacks = []
        self.done_callbacks.append(on_done)


type DeliveryAttempt = tuple[InFlightMessage, Output, bytes, str, int]
"""pending, output, payload, object, number of this attempt"""

type Mapped = list[tuple[Fanout, Value]]
