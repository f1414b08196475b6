"""The one spelling of a product's code, which price list and baskets meet by."""

LONGEST_CODE = 64
# The code of a tag that holds only filling, spelled as controllers spell bytes that are no character.
_BLANK = "\ufffd"


def product_code(text: str) -> str | None:
    """Return a code without the filling around it; None for one that is empty or longer than `LONGEST_CODE`.

    A tag holds four characters, so a shorter code is filled up with blanks or NUL characters, which no list has.
    """
    code = text.strip()
    while code.startswith("\0") or code.endswith("\0"):
        code = code.strip("\0").strip()
    if not code:
        return _BLANK if text else None
    return code if len(code) <= LONGEST_CODE else None
