"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80
_LEAST_RATIO = 0.75


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to a word, None where none is near."""
    by_folded = {name.casefold(): str(name) for name in known}
    near = get_close_matches(word[:_LONGEST].strip().casefold(), by_folded, 1, _LEAST_RATIO)
    return by_folded[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'name'?)` with the nearest known name, or nothing where none is near."""
    near = nearest(word, known)
    return f" (did you mean {near!r}?)" if near is not None else ""
