"""Which tags are in the basket: the rules that turn sightings into a snapshot.

A reader sees a tag often, but not always, and sees tags of the next basket weakly. So a tag counts after one sighting
at -58 dBm or more, and leaves after it was missed in two cycles running; a weaker sighting is none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

COUNTS_FROM_RSSI = -58
LEAVES_AFTER_MISSED_CYCLES = 2
PRODUCT_CODE_LENGTH = 4

type Snapshot = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One answer of a tag: its EPC and the strength it was heard with, in dBm."""

    epc: bytes
    rssi: int


def product_code(epc: bytes) -> str | None:
    """Return the product code, the first four bytes of the EPC as ASCII; None for a tag that is no product.

    A shorter code is filled up with blanks or NUL characters, which are none of it: tests/wire/product_codes.yaml.
    """
    code = epc[:PRODUCT_CODE_LENGTH].strip(b"\0 ")
    if len(epc) < PRODUCT_CODE_LENGTH or not code or not code.isascii():
        return None
    text = code.decode("ascii")
    return text if text.isprintable() else None


def tag_code(code: str) -> bytes:
    """Return the beginning of a tag that carries a product code.

    Raises:
        ValueError: it is no code of up to four ASCII characters.
    """
    beginning = code.encode("ascii", "replace").ljust(PRODUCT_CODE_LENGTH)
    if len(beginning) != PRODUCT_CODE_LENGTH or product_code(beginning) != code:
        raise ValueError(f"{code!r} is not a product code of up to {PRODUCT_CODE_LENGTH} ASCII characters")
    return beginning


@dataclass(slots=True)
class _Tag:
    reader: str
    missed_cycles: int = 0


class Presence:
    """The tags in the basket, seen by any number of readers."""

    def __init__(self, *, rssi: int = COUNTS_FROM_RSSI, missed_cycles: int = LEAVES_AFTER_MISSED_CYCLES) -> None:
        self._rssi = rssi
        self._missed_cycles = missed_cycles
        self._tags: dict[bytes, _Tag] = {}

    def clear(self) -> None:
        """Forget every tag: a new session is a new customer."""
        self._tags.clear()

    def cycle(self, sightings: Mapping[str, Iterable[Sighting]]) -> None:
        """Take one cycle: what each reader that answered saw, by the reader's name.

        A reader that did not answer is left out. The tags it saw last are then neither seen nor missed: a pulled cable
        must not empty the basket.
        """
        seen: dict[bytes, str] = {}
        for reader, its_sightings in sightings.items():
            for sighting in its_sightings:
                if sighting.rssi >= self._rssi:
                    seen[sighting.epc] = reader
        for epc, reader in seen.items():
            self._tags[epc] = _Tag(reader)
        for epc, tag in list(self._tags.items()):
            if epc in seen or tag.reader not in sightings:
                continue
            tag.missed_cycles += 1
            if tag.missed_cycles >= self._missed_cycles:
                del self._tags[epc]

    def snapshot(self) -> Snapshot:
        """Return how many tags of each product are in the basket, sorted by product code."""
        codes = Counter(code for epc in self._tags if (code := product_code(epc)) is not None)
        return dict(sorted(codes.items()))

    def foreign_tags(self) -> frozenset[bytes]:
        """Return the EPCs in reach that carry no product code."""
        return frozenset(epc for epc in self._tags if product_code(epc) is None)
