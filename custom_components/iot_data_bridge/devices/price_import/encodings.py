"""The text of a file whose encoding nothing says."""

import re
from dataclasses import dataclass

from charset_normalizer import from_bytes

from ..money import Currency
from ..products import PriceListError
from .columns import known_column

# By the names of Python's codecs, as spreadsheets write them.
UTF_8, UTF_16 = "utf_8", "utf_16"
KOREAN, JAPANESE, CHINESE, TAIWANESE, WESTERN = "cp949", "cp932", "gb18030", "cp950", "cp1252"
# In the order in which they count when nothing tells them apart.
_DETECTED = (KOREAN, JAPANESE, CHINESE, TAIWANESE, WESTERN)
ENCODINGS = (UTF_8, UTF_16, *_DETECTED, "cp1250", "cp1251")
_OF_CURRENCY = {"KRW": KOREAN, "JPY": JAPANESE, "CNY": CHINESE, "TWD": TAIWANESE, "HKD": TAIWANESE}
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf_8_sig"), (b"\xff\xfe", UTF_16), (b"\xfe\xff", UTF_16))
# Characters that no list has, but other files read as text have.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# So much of a long file tells its encoding.
SAMPLE = 100_000
# Korean lists may name 辛라면, but of bytes of another encoding every second character would be a Chinese one.
_MOST_IDEOGRAPHS = 0.2


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the encoding that it was read in, one of `ENCODINGS`."""

    text: str
    encoding: str


def decode(raw: bytes, currency: Currency, encoding: str | None = None) -> Decoded:
    """Return the text of a file.

    Args:
        raw: the file.
        currency: the site's; where two encodings are equally likely, that of its country counts.
        encoding: the one to read in; None to find it out.

    Raises:
        PriceListError: `not_text`.
    """
    for mark, marked in _BYTE_ORDER_MARKS:
        if raw.startswith(mark) and encoding in (None, UTF_8, UTF_16):
            return Decoded(_decoded(raw, marked), UTF_8 if marked != UTF_16 else UTF_16)
    if encoding is None:
        return _detected(raw, currency)
    return Decoded(_decoded(raw, _utf_16_order(raw) or "utf_16_le" if encoding == UTF_16 else encoding), encoding)


def _detected(raw: bytes, currency: Currency) -> Decoded:
    if (order := _utf_16_order(raw)) is not None:
        return Decoded(_text_of(_decoded(raw, order)), UTF_16)
    texts: dict[str, str] = {}
    for encoding in (UTF_8, *_DETECTED):
        try:
            texts[encoding] = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == UTF_8:
            return Decoded(_text_of(texts[UTF_8]), UTF_8)
    if KOREAN in texts and not _is_korean(texts[KOREAN]):
        del texts[KOREAN]
    if not texts:
        raise PriceListError("not_text")
    encoding = _by_header(texts) or _by_content(raw, list(texts), _OF_CURRENCY.get(currency.code, WESTERN))
    return Decoded(_text_of(texts[encoding]), encoding)


def _utf_16_order(raw: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark, known by the zero bytes of its commas and digits."""
    sample = raw[: SAMPLE // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    # Of 16 bits of a text at least an eighth are separators, digits or line ends.
    if max(even, odd) * 16 < len(sample) or min(even, odd) * 4 > max(even, odd):
        return None
    return "utf_16_be" if even > odd else "utf_16_le"


def _is_korean(text: str) -> bool:
    hangul = sum("\uac00" <= character <= "\ud7a3" for character in text)
    ideographs = sum("\u4e00" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" for character in text)
    return hangul > 0 and ideographs <= hangul * _MOST_IDEOGRAPHS


def _by_header(texts: dict[str, str]) -> str | None:
    """Return the one encoding in which the first line names columns that are known in its language."""
    naming = [
        encoding
        for encoding, text in texts.items()
        if any(not cell.isascii() and known_column(cell) is not None for cell in _first_cells(text))
    ]
    return naming[0] if len(naming) == 1 else None


def _first_cells(text: str) -> list[str]:
    line = text[:SAMPLE].lstrip().splitlines()[0] if text.strip() else ""
    for delimiter in ";\t|":
        line = line.replace(delimiter, ",")
    return line.split(",")


def _by_content(raw: bytes, candidates: list[str], likely: str) -> str:
    if len(candidates) == 1:
        return candidates[0]
    # A line end is no part of a character in any of these encodings.
    sample = raw if len(raw) <= SAMPLE else raw[: raw.rfind(b"\n", 0, SAMPLE) + 1] or raw[:SAMPLE]
    matches = list(from_bytes(sample, cp_isolation=candidates, preemptive_behaviour=False))
    if not matches:
        return likely if likely in candidates else candidates[0]
    best = matches[0]
    if any(match.encoding == likely and match.chaos <= best.chaos for match in matches):
        return likely
    return best.encoding


def _text_of(text: str) -> str:
    if _NO_TEXT.search(text) is not None:
        raise PriceListError("not_text")
    return text


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise PriceListError("not_text") from error
