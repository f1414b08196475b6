"""Types of arguments: each value is checked before the command starts, with a clear error."""

import argparse
import math

# The largest integer of SQLite.
LARGEST_NUMBER = 2**63 - 1


def letter_number(text: str) -> int:
    """Return the number of a dead letter.

    Raises:
        argparse.ArgumentTypeError: no letter can have it.
    """
    return _whole_number(text, 1)


def number_or_zero(text: str) -> int:
    """Return the number of a dead letter, or 0 for none.

    Raises:
        argparse.ArgumentTypeError: it is neither.
    """
    return _whole_number(text, 0)


def hours(text: str) -> float:
    """Return a length of time in hours.

    Raises:
        argparse.ArgumentTypeError: it is no finite number above 0.
    """
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise argparse.ArgumentTypeError(f"must be a finite number of hours above 0, not {text[:40]!r}")
    return number


def utf8(text: str) -> str:
    """Return a text that can be encoded: an argument's other bytes are surrogates here.

    Raises:
        argparse.ArgumentTypeError: it is no UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"must be UTF-8 (character {error.start} is not)") from None
    return text


def _whole_number(text: str, least: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_NUMBER)) else -1
    if not least <= number <= LARGEST_NUMBER:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {LARGEST_NUMBER}, not {text[:40]!r}")
    return number
