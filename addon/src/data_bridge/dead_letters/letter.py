"""What becomes a dead letter, and whoever takes it."""

from collections.abc import Callable
from dataclasses import dataclass

from data_bridge.near_misses import did_you_mean
from data_bridge.reasons import Reason


@dataclass(frozen=True, slots=True)
class Undelivered:
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


type DeadLetterSink = Callable[[Undelivered, Callable[[], None]], None]
"""sink(letter, on_stored): `on_stored` follows when the letter is safe on disk"""
