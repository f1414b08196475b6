"""Dead letters, and the interface of their store."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from data_bridge.reasons import Reason


class OriginKind(StrEnum):
    """How an input was read."""

    UNKNOWN = ""  # stored by a version without origins; or a delivery
    ENVELOPE = "envelope"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class Origin:
    """The kind and rules by which an input was read, so that a replay uses the same ones.

    `filters` are the filters of its topic rules; `path` is the path of the one rule of a partial letter.
    """

    kind: OriginKind = OriginKind.UNKNOWN
    filters: tuple[str, ...] = ()
    path: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A failed delivery or a rejected input, with all data for a replay.

    A delivery has a `device`. An input has none, and `topic` is the topic it arrived on; with an `object` only that
    object's part of the input was rejected.
    """

    reason: Reason
    detail: str
    trace_id: str
    device: str
    object: str
    topic: str
    qos: int
    retain: bool
    payload: bytes
    attempts: int
    # Number of bytes that were cut off the payload; a cut letter cannot be replayed.
    cut: int = 0
    # The number of a stored letter that failed again: it replaces that letter.
    number: int | None = None
    origin: Origin = Origin()


type DeadLetterSink = Callable[[DeadLetter, Callable[[], None]], None]
"""sink(letter, on_stored): `on_stored` follows when the letter is safe on disk"""
