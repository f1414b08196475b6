"""Errors and warnings of a catalog, collected and reported together, each with its file and line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_bridge.catalog.model import CatalogWarning
from data_bridge.yaml_documents import CatalogError, Node, lines_of, name_of

type Location = Sequence[str | int]

_MOST_WARNINGS = 1000
_MOST_ERRORS = 100


@dataclass(frozen=True, slots=True)
class _Finding:
    path: Path
    location: Location
    reason: str
    text: str


class Findings:
    """Collects errors and warnings by the keys and indices of their places; lines are looked up once, at the end."""

    def __init__(self) -> None:
        self._documents: dict[Path, tuple[str, Node]] = {}
        self._errors: list[CatalogError | _Finding] = []
        self._warnings: list[_Finding] = []

    def add_document(self, path: Path, text: str, document: Node) -> None:
        """Add the text of a file and its parsed document, from which the lines of findings are looked up."""
        self._documents[path] = (text, document)

    @property
    def refused(self) -> bool:
        """Return whether there is an error."""
        return bool(self._errors)

    def refuse(self, path: Path, location: Location, reason: str, text: str) -> None:
        """Add an error at a place of a file; see CatalogError for the reasons."""
        self._errors.append(_Finding(path, location, reason, _at(location, text)))

    def add(self, error: CatalogError) -> None:
        """Add an error whose line is known."""
        self._errors.append(error)

    def warn(self, path: Path, location: Location, text: str) -> None:
        """Add a warning at a place of a file."""
        if len(self._warnings) < _MOST_WARNINGS:
            self._warnings.append(_Finding(path, location, "", _at(location, text)))

    def warnings(self) -> tuple[CatalogWarning, ...]:
        """Return the warnings in the order of their lines, a bounded number of them."""
        lines = self._lines(self._warnings)
        found = [
            CatalogWarning(each.path, lines[each.path, tuple(each.location)], each.text) for each in self._warnings
        ]
        return tuple(sorted(found, key=self._order()))

    def raise_refused(self) -> None:
        """Raise the errors, in the order of their lines.

        Raises:
            CatalogError: the first, with the others in `more`; of very many the last one is their number.
        """
        if not self._errors:
            return
        shown, hidden = self._errors[:_MOST_ERRORS], len(self._errors) - _MOST_ERRORS
        lines = self._lines(each for each in shown if isinstance(each, _Finding))
        told = [
            each
            if isinstance(each, CatalogError)
            else CatalogError(each.path, lines[each.path, tuple(each.location)], each.reason, each.text)
            for each in shown
        ]
        told.sort(key=self._order())
        if hidden > 0:
            told.append(CatalogError(told[-1].path, None, told[-1].reason, f"{hidden} more errors"))
        first = told[0]
        raise CatalogError(first.path, first.line, first.reason, first.text, told[1:])

    def _order(self) -> Callable[[CatalogError | CatalogWarning], tuple[int, int]]:
        files = {path: number for number, path in enumerate(self._documents)}
        return lambda each: (files.get(each.path, len(files)), each.line or 0)

    def _lines(self, findings: Iterable[_Finding]) -> Mapping[tuple[Path, tuple[str | int, ...]], int | None]:
        wanted: dict[Path, list[tuple[str | int, ...]]] = {}
        for each in findings:
            wanted.setdefault(each.path, []).append(tuple(each.location))
        found: dict[tuple[Path, tuple[str | int, ...]], int | None] = {}
        for path, locations in wanted.items():
            text, document = self._documents.get(path, ("", None))
            for location, line in zip(locations, lines_of(text, document, locations), strict=True):
                found[path, location] = line
        return found


def _at(location: Location, text: str) -> str:
    place = ""
    for step in location:
        place += f"[{step}]" if isinstance(step, int) else f".{name_of(step)}" if place else name_of(step)
    return f"{place}: {text}" if place else text
