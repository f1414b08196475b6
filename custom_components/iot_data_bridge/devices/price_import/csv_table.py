"""A price list as CSV: its headers, and its rows read anew each time, so that a large file is held but once."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from ..products import PriceListError
from .cells import DecimalMark
from .columns import Columns, known_column
from .records import Record

_DELIMITERS = (",", ";", "\t", "|")
# The first line by which Excel writes and understands the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[^ \n"])"?[ \t]*', re.IGNORECASE)
# How YAML and JSON begin.
_NO_HEADER = re.compile(r"---|[-\[{#%]|[^,;\t|\"]+:(?:\s|$)")
LONGEST_HEADER = 65_536
LONGEST_LINE = 1_000_000
MOST_COLUMNS = 1000


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table with a header.

    Attributes:
        headers: as they are written.
        mark: the decimal mark that the delimiter leaves; None where the numbers must tell.
        sample: the first row after the headers.
    """

    headers: tuple[str, ...]
    mark: DecimalMark | None
    sample: tuple[str, ...]
    _text: str
    _delimiter: str
    _lines_before: int

    def records(self, columns: Columns) -> Iterator[Record]:
        """Return the rows that are not blank.

        Raises:
            PriceListError: `too_many_columns`, a number with commas that is not quoted, or `not_csv`.
        """
        for line, cells in self._rows():
            # Of 12,000 without quotes the price would be 12.
            if any(cell.strip() for cell in islice(cells, len(self.headers), None)):
                raise PriceListError("too_many_columns", line)
            found = {field: cells[place] if place < len(cells) else "" for field, place in columns.places.items()}
            if any(cell.strip() for cell in cells):
                yield Record(line, found)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        rows = _rows(self._text, self._delimiter, self._lines_before)
        next(rows)
        yield from rows


def open_csv(text: str, start: int) -> CsvTable | None:
    """Return the table in a text whose first line begins at `start`; None when it is none.

    Raises:
        PriceListError: `not_csv`, or `not_a_list` after a line `sep=;`.
    """
    first = _line(text, start)
    separator = _SEPARATOR_LINE.fullmatch(first)
    if separator is not None:
        start += len(first) + 1
        table = _open(text[start:], separator["delimiter"], text.count("\n", 0, start))
        if table is None:
            raise PriceListError("not_a_list")
        return table
    if _NO_HEADER.match(first) or len(first) > LONGEST_HEADER:
        return None
    body, lines_before = text[start:], text.count("\n", 0, start)
    tables = [table for delimiter in _DELIMITERS if (table := _open(body, delimiter, lines_before)) is not None]
    return max(tables, key=_likelihood, default=None)


def _likelihood(table: CsvTable) -> tuple[int, int]:
    return sum(known_column(header) is not None for header in table.headers), len(table.headers)


def _open(text: str, delimiter: str, lines_before: int) -> CsvTable | None:
    if delimiter not in _line(text, 0):
        return None
    rows = _rows(text, delimiter, lines_before)
    _, headers = next(rows)
    if not 1 < len(headers) <= MOST_COLUMNS:
        return None
    _, sample = next(rows, (0, []))
    mark = DecimalMark.POINT if delimiter == "," else None
    return CsvTable(tuple(headers), mark, tuple(sample), text, delimiter, lines_before)


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]


def _rows(text: str, delimiter: str, lines_before: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(text, lines_before), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            if row:
                yield lines_before + reader.line_num, row
    except csv.Error as error:
        raise PriceListError("not_csv", lines_before + reader.line_num) from error


def _lines(text: str, lines_before: int) -> Iterator[str]:
    start = 0
    for number in count(lines_before + 1):
        if start >= len(text):
            return
        end = text.find("\n", start) + 1 or len(text)
        if end - start > LONGEST_LINE:
            raise PriceListError("too_many_columns", number)
        yield text[start:end]
        start = end
