"""The name that a misspelt one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'name'?)` with the nearest known name, or nothing where none is near."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word[:80].casefold().strip(), by_folded, 1, 0.7)
    return f" (did you mean {by_folded[near[0]]!r}?)" if near else ""
