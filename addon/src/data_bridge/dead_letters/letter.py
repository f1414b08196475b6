"""What becomes a dead letter, and whoever takes it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from data_bridge.near_misses import did_you_mean
from data_bridge.reasons import Reason


class OriginKind(StrEnum):
    """How an input was read."""

    UNKNOWN = ""  # stored by a version that did not note it; a delivery
    ENVELOPE = "envelope"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True)
class Origin:
    """The rules that an input came to, so that it is tried again by them and by no others.

    `filters` are those of its topic rules; `path` is that of the one rule whose part of the input a letter holds.
    """

    kind: OriginKind = OriginKind.UNKNOWN
    filters: tuple[str, ...] = ()
    path: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not be delivered or used, with all that is needed to try it again.

    A delivery has a `device`; an input that no rule could use has none, and `topic` is where it came from. With an
    `object` it is only that object's part of the input that could not be used.
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
    # How many bytes of the payload are not here; what is cut can only be looked at.
    cut: int = 0
    # Of a stored letter that failed again: it is kept under this number, once.
    number: int | None = None
    origin: Origin = Origin()


def letter_reason(word: str) -> Reason:
    """Return the reason that a word names.

    Raises:
        ValueError: there is no such reason; it names those that there are.
    """
    try:
        return Reason(word)
    except ValueError:
        known = ", ".join(sorted(Reason))
        raise ValueError(f"there is no reason {word[:80]!r}{did_you_mean(word, Reason)}; there are {known}") from None


type DeadLetterSink = Callable[[DeadLetter, Callable[[], None]], None]
"""sink(letter, on_stored): `on_stored` follows when the letter is safe on disk"""
