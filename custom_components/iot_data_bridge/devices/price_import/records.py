"""What the formats of price lists have in common: the cells of one product."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one product by their fields, and the line where it is."""

    line: int
    cells: Mapping[str, str]

    @property
    def code(self) -> str:
        """Return the cell of the code, for errors."""
        return self.cells.get("code", "").strip()
