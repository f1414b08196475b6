"""Messages with deliveries in flight."""

from collections.abc import Callable
from dataclasses import dataclass, field

from data_bridge.catalog.casts import Value
from data_bridge.pipeline.resolver import Fanout, Output


@dataclass(slots=True)
class Extras:
    """The fields of few messages; see the methods of InFlightMessage that set them."""

    requested: bool = False
    letter: tuple[int, int] | None = None
    duplicate_tokens: list[int] = field(default_factory=list)
    done_callbacks: list[Callable[[bool], None]] = field(default_factory=list)
    release_key: Callable[[], None] | None = None


class InFlightMessage:
    """A message with deliveries in flight.

    One without an identity may have the packet identifier by which, with its digest, it is known when the broker sends
    it again (0: none), and the `topic` that it has acquired. The fields of few messages are in `extras`.
    """

    __slots__ = (
        "ack_token",
        "complete",
        "digest",
        "extras",
        "identity",
        "packet",
        "remaining",
        "started",
        "topic",
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
        self.packet = 0
        self.topic: str | None = None
        self.extras: Extras | None = None

    def add_duplicate(self, ack_token: int) -> None:
        """Acknowledge a redelivery of the same message together with the first."""
        self._extras().duplicate_tokens.append(ack_token)

    def add_done_callback(self, on_done: Callable[[bool], None]) -> None:
        """Call `on_done` when the message is done: True when all was delivered, False when a part is a dead letter."""
        self._extras().done_callbacks.append(on_done)

    def mark_requested(self, letter: tuple[int, int] | None = None) -> None:
        """Mark a message that a command sends and whose result waits for it: its dead letters pass no rate limit.

        `letter` is the number of the replayed dead letter, and the number of its earlier attempts.
        """
        extras = self._extras()
        extras.requested = True
        extras.letter = letter

    def release_with(self, release_key: Callable[[], None]) -> None:
        """Call `release_key` when the message is done: it releases the key of its trace."""
        self._extras().release_key = release_key

    @property
    def requested(self) -> bool:
        """Tell whether a command's result waits for it."""
        return self.extras is not None and self.extras.requested

    def _extras(self) -> Extras:
        if self.extras is None:
            self.extras = Extras()
        return self.extras


type DeliveryAttempt = tuple[InFlightMessage, Output, bytes, str, int]
"""message, output, payload, object, number of the attempt from 1"""

type Mapped = list[tuple[Fanout, Value]]
