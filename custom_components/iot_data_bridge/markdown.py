"""Text of others in dialogs and repairs, which Home Assistant shows as Markdown."""

import re

LONGEST = 100
_ELLIPSIS = "…"
# CommonMark: a backslash makes any ASCII punctuation a plain character. Escaped dots and colons leave no address that
# a browser would make a link of.
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
# What begins a new line, hides, or turns the direction of the text round it.
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line of at most `longest` characters, none of them a control, for where text is plain."""
    line = _INVISIBLE.sub(" ", text[: longest * 2]).strip()
    return line if len(line) <= longest and len(text) <= longest * 2 else f"{line[: longest - 1]}{_ELLIPSIS}"


def escaped(text: str, longest: int = LONGEST) -> str:
    """Return Markdown that shows a text as it is: bounded, without links, images, headings or HTML."""
    return _PUNCTUATION.sub(r"\\\1", bounded(text, longest))
